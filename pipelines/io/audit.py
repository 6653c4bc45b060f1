"""Audits of a staged table: the contract that its declaration implies, as SQL over the rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from features.schemas import Column, DType, Table

if TYPE_CHECKING:
    import duckdb

#: An audit looks at the staged rows (a DuckDB relation) and returns problems in words; none is good.
Audit = Callable[["duckdb.DuckDBPyRelation"], Sequence[str]]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _rules(column: Column) -> list[tuple[str, str]]:
    """Pairs of (what is broken, SQL condition that is true for an offending row)."""
    name = _quoted(column.name)
    rules = []
    if not column.nullable:
        rules.append(("must not be null", f"{name} is null"))
    if column.dtype is DType.NUMBER:
        rules.append(("must be finite", f"not isfinite({name})"))
    if column.minimum is not None:
        rules.append((f"must be >= {column.minimum:g}", f"{name} < {column.minimum!r}"))
    if column.maximum is not None:
        rules.append((f"must be <= {column.maximum:g}", f"{name} > {column.maximum!r}"))
    if column.allowed is not None:
        values = ", ".join("'" + value.replace("'", "''") + "'" for value in column.allowed)
        rules.append((f"must be one of {list(column.allowed)}", f"{name} not in ({values})"))
    return rules


def schema_problems(table: Table, schema: pa.Schema) -> list[str]:
    """Differences between a declared table and an Arrow schema, in words."""
    problems = []
    missing = [name for name in table.column_names if name not in schema.names]
    extra = [name for name in schema.names if name not in table.column_names]
    if missing:
        problems.append(f"columns are missing: {missing}")
    if extra:
        problems.append(f"columns are not declared: {extra}")
    for column in table.columns:
        if column.name in schema.names:
            found = schema.field(column.name).type
            if not found.equals(column.dtype.arrow):
                problems.append(f"{column.name} must be {column.dtype.arrow}, got {found}")
    return problems


def _repeats(staged: duckdb.DuckDBPyRelation, key: Sequence[str]) -> int:
    """Rows whose key occurred before.

    Marts arrive in the order of their key, where each key need only be compared with the one before: a pass
    without memory. Keys in any other order are counted, which holds all of them in memory.
    """
    listed = ", ".join(_quoted(name) for name in key)
    pairs = staged.project(f"row({listed}) as this, lag(row({listed})) over () as before")
    in_order = pairs.aggregate("count(*) filter (where this <= before)").fetchall()[0][0] == 0
    if in_order:
        return 0
    # On its own: beside other aggregates the distinct count takes twice as long.
    return int(staged.aggregate(f"count(*) - count(distinct ({listed}))").fetchall()[0][0])


def contract_audit(table: Table) -> Audit:
    """Audit that checks nulls, ranges, allowed values and the uniqueness of the key.

    Every problem names the column, the rule, the number
    of offending rows and one offending value.
    """
    rules = [(column, *rule) for column in table.columns for rule in _rules(column)]

    def audit(staged: duckdb.DuckDBPyRelation) -> list[str]:
        repeated = _repeats(staged, table.key)
        counts = _aggregated(staged, [f"count(case when {condition} then 1 end)" for *_, condition in rules])
        broken = [(rule, count) for rule, count in zip(rules, counts, strict=True) if count]
        # Examples of the broken rules only: to look for one per rule takes ten times as long as all counts.
        examples = _aggregated(
            staged,
            [
                f"any_value({_quoted(column.name)}) filter (where {condition})"
                for (column, _, condition), _ in broken
            ],
        )
        problems = []
        if repeated:
            problems.append(f"key {list(table.key)} must be unique, got {repeated} repeated rows")
        for ((column, words, _), count), example in zip(broken, examples, strict=True):
            problems.append(f"{column.name} {words}, got {example!r} (offending rows: {count})")
        return problems

    return audit


def _aggregated(staged: duckdb.DuckDBPyRelation, selects: Sequence[str]) -> tuple[Any, ...]:
    """Several aggregates in one pass; none without any."""
    if not selects:
        return ()
    named = ", ".join(f"{sql} as v{index}" for index, sql in enumerate(selects))
    return tuple(staged.aggregate(named).fetchall()[0])
