"""Commands made from the signatures of functions, when somebody asks for them.

A group knows the names of its commands and the first line of their modules without importing any. Options are the
parameters of a function; their help is what its docstring says of them.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from pipelines.console import Json
from pipelines.errors import ConfigError, unknown
from pipelines.lab.numpydoc import described, summary
from pipelines.steps import parse_as_of


@dataclass(frozen=True)
class Found:
    """A command that can be made: the file that says what it is, and what makes it."""

    file: Path
    make: Callable[[], TyperCommand]


def group(what: str, find: Callable[[], Mapping[str, Found]]) -> type[TyperGroup]:
    """Group of the commands that ``find`` returns by name; ``what`` is what one of them is called."""

    class Lazy(TyperGroup):
        def list_commands(self, ctx: object) -> list[str]:
            return sorted(find())

        def get_command(self, ctx: object, cmd_name: str) -> TyperCommand | None:
            """Return the command as the list of all shows it: its options are not known yet."""
            found = find().get(cmd_name)
            return TyperCommand(cmd_name, help=_first_line(found.file)) if found else None

        def resolve_command(self, ctx: object, args: Sequence[str]) -> tuple[str, TyperCommand, list[str]]:
            name, found = args[0], find()
            if name not in found:
                raise unknown(what, name, found)
            return name, found[name].make(), list(args[1:])

    return Lazy


def command(
    title: str,
    function: Callable[..., object],
    run: Callable[[Mapping[str, object], bool], None],
    *,
    leave_out: Collection[str],
    also: Sequence[inspect.Parameter] = (),
) -> TyperCommand:
    """Make a command with an option for each parameter of a function.

    Parameters
    ----------
    title
        What the command is called in errors, for instance ``bench telco``.
    run
        Called with the values by name, and whether to answer machines.
    leave_out
        Parameters that ``run`` provides.
    also
        Further options that ``run`` takes, by name.
    """
    words = described(function)
    options = [
        _option(parameter, words[parameter.name])
        for parameter in inspect.signature(function, eval_str=True).parameters.values()
        if parameter.name not in leave_out
    ]
    needed = [each.name for each in options if each.default is ...]

    def invoke(**given: Any) -> None:
        as_json = given.pop("as_json")
        for name in needed:
            if given[name] is None:
                raise ConfigError(f"{title} needs --{name}: {words[name][:1].lower()}{words[name][1:]}")
        run(given, as_json)

    last = inspect.Parameter("as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Json)
    listed = [each.replace(default=None) if each.default is ... else each for each in options]
    invoke.__signature__ = inspect.Signature([*listed, *also, last])  # type: ignore[attr-defined]
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")
    app.command(title.split()[-1], help=summary(function))(invoke)
    made = typer.main.get_command(app)
    assert isinstance(made, TyperCommand)  # noqa: S101 - one command makes no group
    return made


def option(name: str, kind: object, default: object, words: str) -> inspect.Parameter:
    """Make an option that is no parameter of a function."""
    annotation = Annotated[kind, typer.Option(help=words)]  # type: ignore[valid-type]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _option(parameter: inspect.Parameter, words: str) -> inspect.Parameter:
    kind, default = parameter.annotation, parameter.default
    if default is parameter.empty:  # asked for by name in an error that says what it is
        return option(parameter.name, kind | None, ..., f"{words} Needed.")
    if kind is date:
        day = Annotated[date, typer.Option(help=words, metavar="DAY", parser=parse_as_of)]
        return parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=day)
    return option(parameter.name, kind, default, words)


def _first_line(file: Path) -> str:
    return (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").partition("\n")[0]
