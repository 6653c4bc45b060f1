"""The tables: what sources deliver, what the lake holds, what the generator keeps aside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module

from features.schemas import Column, Table
from pipelines.discovery import every
from pipelines.io.marts import mart_contract
from pipelines.lab.reference.markdown import grid, names
from pipelines.lab.simulation import simulations
from pipelines.settings import PROJECT_ROOT, Settings
from pipelines.sources.layout import RawLayout


def delivered_layouts() -> tuple[RawLayout, ...]:
    """Raw layouts of all use cases."""
    return tuple(layout for usecase in every() for layout in usecase.layouts)


def lake_tables() -> Iterator[tuple[str, Sequence[Table]]]:
    """Tables of the lake in groups with a heading, in reading order."""
    from pipelines.io import promotions, runs, tombstones
    from pipelines.monitoring import schemas as monitoring
    from pipelines.sinks import ledger_tables
    from pipelines.sources import landed

    project = Settings.model_construct(home=PROJECT_ROOT).dbt_project  # without the environment
    for usecase in every():
        if usecase.layouts:
            raw = [usecase.raw(layout.table.name) for layout in usecase.layouts]
            yield f"{usecase.title}, raw: what was landed", raw
        marts = [mart_contract(project, "ml", mart.model).table for mart in usecase.marts]
        yield f"{usecase.title}: features, computed by dbt", marts
        yield f"{usecase.title}: results, and what they were judged by", usecase.tables
    yield "Operations: ingestion", (landed.INGESTS, landed.QUARANTINE, landed.SOURCES)
    yield "Operations: erasures", (tombstones.ERASURES, tombstones.TOMBSTONES)
    yield "Operations: runs and promotions", (runs.STEP_RUNS, promotions.PROMOTIONS)
    published = (ledger_tables.RUNS, ledger_tables.ROWS, ledger_tables.JOBS, ledger_tables.FLIPS)
    yield "Operations: publishing", published
    yield "Operations: monitoring", (monitoring.MONITORING, monitoring.REFERENCE)


def layouts_section() -> str:
    """Files that a source delivers."""
    parts = [
        "## Files that a source delivers\n",
        "For each table a file `NAME.parquet`, `NAME.csv` or `NAME.csv.gz`, or a folder `NAME/` of such files.\n"
        "Times are UTC without a zone, dates `YYYY-MM-DD`. A row that breaks a rule goes to `ops/quarantine` with\n"
        "the reason, the others land; a missing column or an unreadable file lands nothing.\n",
    ]
    for layout in delivered_layouts():
        parts.append(f"### {layout.table.name}\n\n{layout.table.description}\n")
        history = _HISTORY[layout.history.value].format(known=layout.known)
        parts.append(_keys(layout.table) + f" Rows are {history}.\n")
        parts.append(_columns(layout.table.columns))
        if rules := _rules(layout):
            parts.append("Rules between columns and tables:\n")
            parts.append("".join(f"- {rule}\n" for rule in rules))
    return "\n".join(parts)


_HISTORY = {
    "immutable": "facts: the same key with other content is quarantined",
    "versioned": "versions: a change is a further row with a later `{known}`",
}


def _rules(layout: RawLayout) -> list[str]:
    rules = [f"`{rule.column}` must {rule.words}." for rule in layout.rules]
    for column, table, other in layout.references:
        rules.append(f"`{column}` must be an `{other}` of `{table}`, landed before or in the same delivery.")
    for column in layout.lists:
        rules.append(f"`{column}` is landed trimmed, sorted and without repeats.")
    return rules


def tables_section() -> str:
    """Tables of the lake."""
    parts = [
        "## Tables of the lake\n",
        "Delta tables under `MILLRACE_LAKE`. Every write is checked against these rules before it is committed.\n",
    ]
    for title, tables in lake_tables():
        parts.append(f"### {title}\n")
        for table in tables:
            parts.append(f"#### {table.name}\n\n{table.description}\n")
            parts.append(" ".join((_keys(table), *_relations(table))) + "\n")
            parts.append(_columns(table.columns))
    return "\n".join(parts)


def truth_tables() -> Iterator[Table]:
    """What simulators know and no model sees: the tables that their module ``truth`` declares."""
    for simulation in simulations():
        module = import_module(f"pipelines.lab.simulation.{simulation}.truth")
        yield from (each for each in vars(module).values() if isinstance(each, Table))


def truth_section() -> str:
    """Columns that the simulators know and no model sees."""
    parts = [
        "## What the generators keep aside\n",
        "`millrace generate` writes it beside the delivered files as `NAME.parquet`. It is never ingested:\n"
        "models are measured against it, they do not see it.\n",
    ]
    for table in truth_tables():
        parts.append(f"### {table.name}\n\n{table.description}\n")
        parts.append(_columns(table.columns))
    return "\n".join(parts)


def _keys(table: Table) -> str:
    text = f"Key: {names(table.key)}."
    return f"{text} Partitioned by {names(table.partition_by)}." if table.partition_by else text


def _relations(table: Table) -> list[str]:
    """Sentences on what a table must agree with."""
    found = [
        f"Every {names(reference.columns)} is in `{reference.table}`"
        + (f" where `{reference.where}`." if reference.where != "true" else ".")
        for reference in table.references
    ]
    for total in table.totals:
        found.append(f"`{total.column}` sums to that of `{total.table}` where `{total.where}`.")
    if table.steady:
        found.append(f"Compared with the last day: {names(table.steady)}.")
    return found


def _columns(columns: Iterable[Column]) -> str:
    rows = [
        (f"`{c.name}`", c.dtype.value, c.unit or "", "yes" if c.nullable else "", _range(c), _meaning(c))
        for c in columns
    ]
    return grid(("Column", "Type", "Unit", "Null", "Values", "Meaning"), rows)


def _range(column: Column) -> str:
    if column.allowed is not None:
        return names(column.allowed)
    low, high = (None if v is None else f"{v:g}" for v in (column.minimum, column.maximum))
    if low is not None and high is not None:
        return f"{low} to {high}"
    if low is not None:
        return f">= {low}"
    return f"<= {high}" if high is not None else ""


def _meaning(column: Column) -> str:
    return f"{column.description} *Personal data.*" if column.personal else column.description
