"""What an installed package may add to millrace, found by the entry points of the group ``millrace.extensions``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer

    from pipelines.settings import Settings
    from pipelines.sources.adapter import Adapter
    from pipelines.usecase import D, M, P, UseCase


@dataclass(frozen=True)
class Check:
    """One finding of ``millrace doctor``."""

    #: What was looked at.
    name: str
    #: Whether it is as it must be.
    ok: bool
    #: What was found.
    detail: str
    #: What to do if it is not.
    fix: str


@dataclass(frozen=True)
class Extension:
    """One extension; importing it must be cheap."""

    #: Adds commands to the command line.
    commands: Callable[[typer.Typer], None]
    #: By name of a use case: its further sources.
    adapters: Callable[[str], Mapping[str, Callable[[], Adapter]]]
    #: Further checks of ``millrace doctor``.
    checks: Callable[[Settings], list[Check]]


@cache
def extensions() -> tuple[Extension, ...]:
    """Load the installed extensions, by name; one whose package was left out, as in an image, is not there.

    Raises ``TypeError`` if an entry point is not an :class:`Extension`.
    """
    found = []
    for point in sorted(entry_points(group="millrace.extensions"), key=lambda each: each.name):
        try:
            loaded = point.load()
        except ModuleNotFoundError as error:
            if f"{point.module}.".startswith(f"{error.name}."):
                continue
            raise
        if not isinstance(loaded, Extension):
            raise TypeError(f"entry point {point.name} must be an Extension, got {type(loaded).__name__}")
        found.append(loaded)
    return tuple(found)


def adapters(usecase: UseCase[P, D, M]) -> dict[str, Callable[[], Adapter]]:
    """Return the sources whose files a use case takes in layouts of their own, those of extensions included."""
    found = dict(usecase.adapters)
    for each in extensions():
        found |= each.adapters(usecase.name)
    return found
