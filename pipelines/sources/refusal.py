"""Rows of people who were forgotten: refused before anything else reads them, counted, and kept nowhere.

They are not bad rows: the quarantine would keep their content.
"""

# SQL is put together from declared names, quoted; values are parameters.

from __future__ import annotations

import duckdb
import pyarrow as pa

from features.sql import quoted
from pipelines.io.tombstones import SUBJECT, Graveyard
from pipelines.sources.layout import RawLayout


def refuse(con: duckdb.DuckDBPyConnection, layout: RawLayout, graveyard: Graveyard, usecase: str) -> int:
    """Take the rows that name a forgotten person, or refer to rows that did, out of ``delivered``; returns how many."""
    kinds = [(layout.subject, SUBJECT)] if layout.subject is not None else []
    kinds += [(column, f"{usecase}_{table}.{other}") for column, table, other in layout.references]
    refused = 0
    for column, kind in kinds:
        if not graveyard.has(kind):
            continue
        name = quoted(column)
        ids = con.execute(
            f"select distinct {name}::varchar from delivered where {name} is not null"
        ).fetchall()
        gone = graveyard.among(kind, (each for (each,) in ids))
        if gone:
            con.register("gone", pa.table({"id": pa.array(gone, pa.string())}))
            ((count,),) = con.execute(
                f"delete from delivered where {name}::varchar in (select id from gone)"
            ).fetchall()
            con.unregister("gone")
            refused += int(count)
    return refused
