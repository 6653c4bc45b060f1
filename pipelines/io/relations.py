"""What a staged table must agree with besides its own rules: other tables of the lake, and its own last day."""

# SQL is put together from declared names, quoted; days are dates.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset

from features.schemas import Reference, Table, Total
from features.sql import listed, quoted
from pipelines.io.audit import Outcome
from pipelines.io.lake import Lake, on_day

#: Distributions are compared on about this many rows of each side.
SAMPLE_ROWS = 20_000

#: Relative difference of two sums that the order of adding explains.
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Samples:
    """Steady columns of the staged rows and of the last day before them."""

    #: Rows drawn by the hash of the key, with the steady columns.
    now: pa.Table
    before: pa.Table
    #: Day of ``before``.
    day: date


def judge_relations(table: Table, staged: duckdb.DuckDBPyRelation, lake: Lake) -> list[Outcome]:
    """Outcomes of the references and totals of a table, on all its rows."""
    return [
        *(_referred(reference, staged, lake) for reference in table.references),
        *(_summed(total, staged, lake) for total in table.totals),
    ]


def draw_samples(
    table: Table, staged: duckdb.DuckDBPyRelation, lake: Lake, *, sample_rows: int = SAMPLE_ROWS
) -> Samples | None:
    """Samples of the steady columns; None if the table has none, or no day before."""
    if not table.steady or not lake.exists(table.name):
        return None
    rows, first = staged.aggregate("count(*), min(as_of)").fetchall()[0]
    earlier = [day for day in lake.days(table.name) if rows and day < first]
    if not earlier:
        return None
    day = max(earlier)
    before = lake.dataset(table.name).filter(on_day(day))
    with duckdb.connect(config={"threads": 2}) as con:
        return Samples(
            now=_drawn(table, staged, rows, sample_rows),
            before=_drawn(table, con.from_arrow(before), before.count_rows(), sample_rows),
            day=day,
        )


def _drawn(table: Table, rows: duckdb.DuckDBPyRelation, count: int, sample_rows: int) -> pa.Table:
    """About ``sample_rows`` of the rows, the same ones each time."""
    one_in = max(1, count // sample_rows)
    kept = rows.filter(f"hash({listed(table.key)}) % {one_in} = 0") if one_in > 1 else rows
    return kept.project(listed(table.steady)).to_arrow_table()


def _referred(reference: Reference, staged: duckdb.DuckDBPyRelation, lake: Lake) -> Outcome:
    names = listed(reference.columns)
    # By distinct values: a table has many rows for each.
    held = staged.aggregate(f"{names}, count(*) as rows_held", names).to_arrow_table()
    known = _of_days(lake, reference.table, held, reference.columns)
    with duckdb.connect(config={"threads": 2}) as con:
        con.register("held", held)
        con.register("known", known)
        rows, lost, got = con.execute(
            f"select (select sum(rows_held) from held), sum(rows_held), any_value(concat_ws(', ', {names})) from held"
            f" anti join (select {names} from known where {reference.where}) using ({names})"
        ).fetchall()[0]
    where = "" if reference.where == "true" else f" where {reference.where}"
    words = f"{', '.join(reference.columns)} must exist in {reference.table}{where}"
    return Outcome(words, int(rows or 0), int(lost or 0), got=got)


def _summed(total: Total, staged: duckdb.DuckDBPyRelation, lake: Lake) -> Outcome:
    name = quoted(total.column)
    ours = staged.aggregate(f"as_of, sum({name}) as ours", "as_of").to_arrow_table()
    theirs = _of_days(lake, total.table, ours, ("as_of",))
    with duckdb.connect(config={"threads": 2}) as con:
        con.register("ours", ours)
        con.register("theirs", theirs)
        off = con.execute(
            "select as_of, coalesce(ours, 0) as mine, coalesce(theirs, 0) as other from ours left join"
            f" (select as_of, sum({name}) as theirs from theirs where {total.where} group by as_of) using (as_of)"
            f" where abs(mine - other) > {_TOLERANCE!r} * greatest(abs(mine), abs(other)) order by as_of"
        ).fetchall()
    words = f"{total.column} must sum to that of {total.table} where {total.where}"
    got = f"{off[0][1]:g} against {off[0][2]:g} on {off[0][0]}" if off else None
    return Outcome(words, ours.num_rows, len(off), got=got)


def _of_days(lake: Lake, name: str, rows: pa.Table, columns: Sequence[str]) -> pa_dataset.Dataset:
    """Other table, of the days of the rows if it has days: DuckDB reads it as a stream."""
    dataset = lake.dataset(name)
    if "as_of" not in columns:
        return dataset
    return dataset.filter(pa_dataset.field("as_of").isin(pc.unique(rows["as_of"])))
