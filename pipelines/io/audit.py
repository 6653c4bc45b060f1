"""Audits of a staged table: the contract that its declaration implies, decided in SQL on every row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from features.schemas import Table
from features.sql import column_rules, listed

if TYPE_CHECKING:
    import duckdb

#: An audit looks at the staged rows (a DuckDB relation) and returns problems in words; none is good.
Audit = Callable[["duckdb.DuckDBPyRelation"], Sequence[str]]

#: An audit that is also told how the rows fare under the contract, which is decided once per write.
Examine = Callable[["duckdb.DuckDBPyRelation", Sequence["Outcome"]], Sequence[str]]


@dataclass(frozen=True)
class Outcome:
    """How the rows of a table fare under one rule."""

    #: The rule, without a value.
    words: str
    #: Rows looked at, and those that break the rule.
    rows: int
    offending: int
    #: Column that the rule is about; None if it is about several.
    column: str | None = None
    #: Offending value, as text; None if there is none to show.
    got: str | None = None

    @property
    def problem(self) -> str:
        """What is wrong, with one offending value and the number of rows."""
        got = "" if self.got is None else f", got {self.got}"
        return f"{self.words}{got} (offending rows: {self.offending})"


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


def judge_contract(table: Table, staged: duckdb.DuckDBPyRelation) -> list[Outcome]:
    """Outcomes of the key and of every rule of every column (nulls, finite numbers, ranges, allowed values).

    Broken or kept, each names the column, the rule, the number of offending rows and, unless it is personal, one
    offending value.
    """
    rules = [rule for column in table.columns for rule in column_rules(column)]
    rows, *counts = _aggregated(
        staged, ["count(*)", *(f"count(*) filter (where {rule.broken})" for rule in rules)]
    )
    # Examples of the broken rules only: to look for one per rule takes ten times as long as all counts.
    telling = [rule for rule, count in zip(rules, counts, strict=True) if count and rule.value]
    examples = _aggregated(staged, [f"any_value({r.value}) filter (where {r.broken})" for r in telling])
    got = dict(zip(telling, examples, strict=True))
    repeats = _repeats(staged, table.key)
    example = _repeated_key(table, staged) if repeats else None
    found = [Outcome(f"key {list(table.key)} must be unique", rows, repeats, got=example)]
    for rule, count in zip(rules, counts, strict=True):
        found.append(Outcome(rule.words, rows, count, rule.column, got.get(rule)))
    return found


def _repeats(staged: duckdb.DuckDBPyRelation, key: Sequence[str]) -> int:
    """Rows whose key occurred before.

    Marts arrive in the order of their key, where each key need only be compared with the one before: a pass
    without memory. Keys in any other order are counted, which holds all of them in memory.
    """
    names = listed(key)
    pairs = staged.project(f"row({names}) as this, lag(row({names})) over () as before")
    in_order = pairs.aggregate("count(*) filter (where this <= before)").fetchall()[0][0] == 0
    if in_order:
        return 0
    # On its own: beside other aggregates the distinct count takes twice as long.
    return int(staged.aggregate(f"count(*) - count(distinct ({names}))").fetchall()[0][0])


def _repeated_key(table: Table, staged: duckdb.DuckDBPyRelation) -> str | None:
    """One key that several rows have, as text; None if it is personal."""
    if any(table.column(name).personal for name in table.key):
        return None
    names = listed(table.key)
    found = staged.aggregate(f"{names}, count(*) as rows_of_key", names).filter("rows_of_key > 1").limit(1)
    return str(found.project(f"concat_ws(', ', {names})").fetchall()[0][0])


def _aggregated(staged: duckdb.DuckDBPyRelation, selects: Sequence[str]) -> tuple[Any, ...]:
    """Several aggregates in one pass; none without any."""
    if not selects:
        return ()
    named = ", ".join(f"{sql} as v{index}" for index, sql in enumerate(selects))
    return tuple(staged.aggregate(named).fetchall()[0])
