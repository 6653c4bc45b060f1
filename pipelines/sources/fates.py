"""What becomes of each row: landed, already landed, repeated, or in conflict with another.

Works on the good rows of one file at a time against everything that has the same key: rows landed
earlier (of the months that the file touches) and rows of earlier files of the same delivery.
"""

# SQL is put together from declared names, quoted; values are parameters or quoted literals.

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import pyarrow.dataset as pa_dataset

from features.schemas import Table
from features.sql import listed, literal, quoted
from pipelines.sources.landed import INGESTED_AT
from pipelines.sources.layout import RawLayout

CONFLICT = "row must keep the content of its key"


def prepare(con: duckdb.DuckDBPyConnection, layout: RawLayout, table: Table) -> None:
    """Make the view ``good``: checked rows without a broken rule, in the columns of ``table``."""
    columns = [_landed_sql(layout, table, name) for name in table.column_names if name != INGESTED_AT.name]
    con.execute(
        f"create or replace temp view good as select row_number, {', '.join(columns)}"
        " from checked where not is_bad"
    )


def decide(
    con: duckdb.DuckDBPyConnection, table: Table, *, landed: pa_dataset.Dataset | None, staged: Sequence[str]
) -> None:
    """Make the table ``fates`` (row_number, fate, reason) of the good rows that are not simply new.

    ``fate`` is ``already_landed`` (same content in the lake), ``duplicate`` (same content earlier in the
    delivery) or ``conflict`` (other content; ``reason`` says where and in which columns). A key never has two
    contents: of two rows with one key, the one that came first wins, whether the table holds facts or versions
    (whose key includes ``known_at``).

    ``landed`` are the rows of the table in the lake, None if it does not exist; ``staged`` are Parquet files of
    earlier files of this delivery.
    """
    con.execute("create or replace temp table fates (row_number bigint, fate varchar, reason varchar)")
    keys = listed(table.key)
    _find_met(con, table, landed, staged)
    same_key = " and ".join(f"g.{quoted(name)} = o.{quoted(name)}" for name in table.key)
    differing = _differing(table)
    verdict = (
        "case when len(differing) = 0 then {same} else 'conflict' end,"
        " case when len(differing) > 0 then "
        f"{literal(CONFLICT)} || ', conflicts with ' || {{other}} || ' in '"
        " || array_to_string(differing, ', ') end"
    )
    con.execute(
        "insert into fates select row_number, "
        + verdict.format(
            same="case when origin = 'landed' then 'already_landed' else 'duplicate' end",
            other="case when origin = 'landed' then 'the landed row'"
            " else 'an earlier file of the delivery' end",
        )
        + f" from (select g.row_number, o.origin, {differing} as differing"
        f" from good g join met o on {same_key})"
    )
    con.execute(
        "create or replace temp table firsts as select g.* from good g join ("
        f" select min(row_number) as row_number from good group by {keys} having count(*) > 1)"
        " using (row_number)"
        f" where ({keys}) not in (select ({keys}) from met)"
    )
    con.execute(
        "insert into fates select row_number, "
        + verdict.format(same="'duplicate'", other="'row ' || other || ' of the file'")
        + f" from (select g.row_number, o.row_number as other, {differing} as differing"
        f" from good g join firsts o on {same_key} where g.row_number > o.row_number)"
    )


def _find_met(
    con: duckdb.DuckDBPyConnection, table: Table, landed: pa_dataset.Dataset | None, staged: Sequence[str]
) -> None:
    """Make ``met``: rows landed or staged before whose key occurs among the good rows."""
    content = listed(name for name in table.column_names if name != INGESTED_AT.name)
    keys = listed(table.key)
    con.execute(f"create or replace temp table met as select {content}, '' as origin from good limit 0")
    origins = []
    if landed is not None:
        con.register("landed_rows", landed)
        origins.append(("landed", "landed_rows"))
    if staged:
        origins.append(("staged", f"read_parquet([{', '.join(literal(path) for path in staged)}])"))
    for origin, relation in origins:
        con.execute(
            f"insert into met select {content}, {literal(origin)} from {relation}"
            f" where {_months(con, table)} and ({keys}) in (select ({keys}) from good)"
        )
    if landed is not None:
        con.unregister("landed_rows")


def _months(con: duckdb.DuckDBPyConnection, table: Table) -> str:
    """Filter on the partition column, as constants, so that other months are not read."""
    if not table.partition_by:
        return "true"
    (column,) = table.partition_by
    rows = con.execute(f"select distinct {quoted(column)} from good").fetchall()
    listed = ", ".join(literal(row[0]) for row in rows)
    return f"{quoted(column)} in ({listed})" if rows else "false"


def _differing(table: Table) -> str:
    compared = [n for n in table.column_names if n != INGESTED_AT.name and n not in table.key]
    tests = [
        f"case when g.{quoted(n)} is distinct from o.{quoted(n)} then {literal(n)} end" for n in compared
    ]
    return f"list_filter([{', '.join(tests)}]::varchar[], lambda x: x is not null)"


def _landed_sql(layout: RawLayout, table: Table, name: str) -> str:
    if layout.month_of is not None and name in table.partition_by:
        return f"strftime({quoted(layout.month_of)}, '%Y-%m') as {quoted(name)}"
    return quoted(name)
