"""The laboratory as an extension of millrace; importing it imports nothing of the laboratory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from pipelines.extension import Extension

if TYPE_CHECKING:
    import typer

    from pipelines.extension import Check
    from pipelines.settings import Settings
    from pipelines.sources.adapter import Adapter


def _commands(app: typer.Typer) -> None:
    from pipelines.lab.cli import add_commands

    add_commands(app)


def _adapters(usecase: str) -> Mapping[str, Callable[[], Adapter]]:
    from pipelines.lab.adapters import adapters

    return adapters(usecase)


def _checks(settings: Settings) -> list[Check]:
    from pipelines.lab.checks import checks

    return checks()


EXTENSION = Extension(commands=_commands, adapters=_adapters, checks=_checks)
