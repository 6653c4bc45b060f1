"""What the commands share, those of extensions included: arguments, and how they print."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipelines.errors import unknown
from pipelines.usecases import names

out = Console()
notes = Console(stderr=True)


def _known(name: str) -> str:
    if name not in names():
        raise typer.BadParameter(str(unknown("use case", name, names())))
    return name


UseCaseArgument = Annotated[
    str, typer.Argument(help=f"One of {', '.join(names())}.", metavar="USECASE", callback=_known)
]
AsOf = Annotated[str, typer.Option("--as-of", help="Day to compute for, YYYY-MM-DD.", metavar="DAY")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines.")]


def emit(record: Mapping[str, object], as_json: bool, title: str) -> None:
    """Print a record as JSON or as a two-column table."""
    if as_json:
        typer.echo(json.dumps(record, default=str))
        return
    table = Table(title=title, show_header=False, title_justify="left")
    for key, value in record.items():
        shown = json.dumps(value, default=str) if isinstance(value, dict | list) else str(value)
        table.add_row(key, escape(shown))
    out.print(table)
