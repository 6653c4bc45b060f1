"""The declarations of the use cases, by name."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pipelines.errors import ConfigError, unknown
from pipelines.usecases import names

if TYPE_CHECKING:
    from pipelines.usecase import UseCase


def find(name: str) -> UseCase[Any, Any, Any]:
    """Return the declaration of a use case; raises ``ConfigError`` if there is no such use case, or it declares none."""
    from pipelines.usecase import UseCase

    if name not in names():
        raise unknown("use case", name, names())
    package = f"pipelines.usecases.{name}"
    declared = getattr(import_module(package), "USECASE", None)
    if not isinstance(declared, UseCase) or declared.name != name:
        raise ConfigError(f"{package} must declare USECASE, a UseCase of the name {name!r}")
    return declared


def every() -> tuple[UseCase[Any, Any, Any], ...]:
    """Return the declarations of all use cases, by name."""
    return tuple(find(name) for name in names())
