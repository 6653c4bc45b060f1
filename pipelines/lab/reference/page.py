"""The page as a whole, and its parts about settings, commands and exit codes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from typer.core import TyperGroup

from pipelines.lab.reference.markdown import escape, grid
from pipelines.lab.reference.tables import layouts_section, tables_section, truth_section
from pipelines.settings import PROJECT_ROOT, DynamoSettings, SalesforceSettings, Settings

#: Variables that are read where settings are not: before them, by DAG files, or by the demo.
OTHER_VARIABLES: Mapping[str, str] = {
    "MILLRACE_SECRETS_DIR": (
        "Folder with one file per setting, named like its variable in lower case; the environment wins."
    ),
    "MILLRACE_DBT_MEMORY_LIMIT": "Memory that DuckDB may use in a dbt run before it spills to disk; `2GB` if unset.",
    "MILLRACE_DBT_DUCKDB_THREADS": "Threads of DuckDB in a dbt run; 2 if unset.",
    "MILLRACE_SCHEDULES": "`off`: DAGs run when they are triggered only. Read when DAG files are parsed.",
    "MILLRACE_CODE_VERSION": "Commit that the code was taken from, where there is no git (images).",
    "MILLRACE_DEMO_INSTALL_SECONDS": "What `make demo` needed for the installation, for its summary.",
}

#: Variables of settings that are not called like them.
VARIABLES: Mapping[str, str] = {"overrides": "MILLRACE_<USE CASE>_PARAMS"}

#: Settings of the systems that rows are published to.
SINKS: Mapping[str, type[BaseModel]] = {"salesforce": SalesforceSettings, "dynamodb": DynamoSettings}

_HEAD = """\
# Reference

Made from the code by `python -m pipelines.lab.reference > docs/reference.md`; do not edit by hand.

- [Settings](#settings)
- [Commands](#commands)
- [Exit codes](#exit-codes)
- [Files that a source delivers](#files-that-a-source-delivers)
- [Tables of the lake](#tables-of-the-lake)
- [What the generators keep aside](#what-the-generators-keep-aside)
"""


def page() -> str:
    """Text of ``docs/reference.md``."""
    parts = (
        _HEAD,
        _settings(),
        _commands(),
        _exit_codes(),
        layouts_section(),
        tables_section(),
        truth_section(),
    )
    return "\n".join(part.rstrip() + "\n" for part in parts)


# ------------------------------------------------------------------------------------------ settings


def _settings() -> str:
    rows = []
    for name, field in Settings.model_fields.items():
        if name not in SINKS:
            variable = VARIABLES.get(name, f"MILLRACE_{name.upper()}")
            rows.append((f"`{variable}`", _default(field), field.description or ""))
    for sink, kind in SINKS.items():
        for name, field in kind.model_fields.items():
            variable = f"MILLRACE_{sink.upper()}__{name.upper()}"
            rows.append((f"`{variable}`", _default(field), field.description or ""))
    rows += [(f"`{name}`", "not set", meaning) for name, meaning in OTHER_VARIABLES.items()]
    return (
        "## Settings\n\n"
        "Environment variables, read at the start of a step. `<home>` is the checkout, `<var>` the value of\n"
        "`MILLRACE_VAR`. Secrets are never printed. Without any `MILLRACE_SALESFORCE__...` there is no Salesforce\n"
        "to publish to, without any `MILLRACE_DYNAMODB__...` no DynamoDB; with one of them those without a\n"
        "default are needed.\n\n"
        + grid(("Variable", "Default", "Meaning"), rows)
        + "\nThresholds, windows and model parameters are not settings: they are in\n"
        "`pipelines/usecases/<usecase>/params.yaml`, with a comment each, and are logged with every model. Schedules\n"
        "are in the DAG files.\n"
    )


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined:
        return "needed"
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value is None or value == "":
        return "not set"
    return f"`{str(value).replace(str(PROJECT_ROOT), '<home>')}`"


# ------------------------------------------------------------------------------------------ commands


def _commands() -> str:
    import typer

    from pipelines.cli import command_line

    parts = [
        "## Commands\n",
        "`millrace COMMAND --help` says the same. `AS_OF`, the day that `--as-of` gives, is the only clock of a "
        "step.\n",
    ]
    group: Any = typer.main.get_command(command_line())
    for name, command in group.commands.items():
        parts += _command(f"### millrace {name}", command)
        if isinstance(command, TyperGroup):
            context = typer.Context(command)
            for each in command.list_commands(context):
                _, made, _ = command.resolve_command(context, [each])
                parts += _command(f"#### millrace {name} {each}", made)
    return "\n".join(parts)


def _command(heading: str, command: Any) -> Iterator[str]:
    arguments = "".join(f" {_shown(p)}" for p in command.params if not p.opts[0].startswith("-"))
    yield f"{heading}{arguments}\n"
    yield escape(_plain(command.help or "")) + "\n"
    options = [
        (_option(p), _option_default(p), _plain(p.help or ""))
        for p in command.params
        if p.opts[0].startswith("-")
    ]
    if options:
        yield grid(("Option", "Default", "Meaning"), options)


def _shown(parameter: Any) -> str:
    name = parameter.metavar or str(parameter.name).upper()
    return name if parameter.required else f"[{name}]"


def _option(parameter: Any) -> str:
    value = "" if getattr(parameter, "is_flag", False) else f" {parameter.metavar or parameter.name.upper()}"
    return f"`{parameter.opts[0]}{value}`"


def _option_default(parameter: Any) -> str:
    if parameter.required:
        return "needed"
    if getattr(parameter, "is_flag", False):
        return "off"
    return "" if parameter.default is None else f"`{parameter.default}`"


def _plain(text: str) -> str:
    """Help text without the markup of the terminal, in one paragraph per paragraph."""
    text = re.sub(r"\[/?(bold|italic|dim|red|green)\]", "", inspect.cleandoc(text))
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _exit_codes() -> str:
    from pipelines import errors

    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.MillraceError)
    ]
    rows = [("0", "", "Done.")]
    for kind in sorted(kinds, key=lambda kind: kind.exit_code):
        meaning = "Anything unexpected." if kind is errors.MillraceError else _first_sentence(kind)
        rows.append((str(kind.exit_code), f"`{kind.__name__}`", meaning))
    return (
        "## Exit codes\n\n"
        "Of the `millrace` command. Airflow repeats a failed task unless the error is one that the same input\n"
        "must bring about again (2, 3, 4).\n\n" + grid(("Code", "Error", "Meaning"), rows)
    )


def _first_sentence(thing: object) -> str:
    return (inspect.getdoc(thing) or "").partition("\n\n")[0].replace("\n", " ")
