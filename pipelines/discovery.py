"""The use cases that there are: the folders below ``pipelines/usecases``, found and never listed.

Light: the command line and every DAG file import it.
"""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from pipelines.errors import ConfigError, unknown

if TYPE_CHECKING:
    from pipelines.usecase import UseCase

_PACKAGE = "pipelines.usecases"


@cache
def names() -> tuple[str, ...]:
    """Names of the use cases, sorted; nothing is imported."""
    found = pkgutil.iter_modules([str(files(_PACKAGE))])
    return tuple(sorted(module.name for module in found if module.ispkg))


def find(name: str) -> UseCase[Any, Any, Any]:
    """Return the declaration of a use case.

    Raises
    ------
    ConfigError
        There is no such use case, or its package does not declare ``USECASE``.
    """
    from pipelines.usecase import UseCase

    if name not in names():
        raise unknown("use case", name, names())
    declared = getattr(import_module(f"{_PACKAGE}.{name}"), "USECASE", None)
    if not isinstance(declared, UseCase) or declared.name != name:
        raise ConfigError(f"{_PACKAGE}.{name} must declare USECASE, a UseCase of the name {name!r}")
    return declared


def every() -> tuple[UseCase[Any, Any, Any], ...]:
    """Return the declarations of all use cases, by name."""
    return tuple(find(name) for name in names())
