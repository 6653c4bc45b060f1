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


class Refusal:
    """Takes rows of forgotten people out of the table ``delivered``.

    Parameters
    ----------
    con
        Scratch connection of an ingest.
    graveyard
        Who was forgotten.
    usecase
        Use case whose files are read.

    Attributes
    ----------
    refused
        Rows of the present file that were taken out.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection, graveyard: Graveyard, usecase: str) -> None:
        self._con = con
        self._graveyard = graveyard
        self._usecase = usecase
        self.refused = 0

    def refuse(self, layout: RawLayout) -> None:
        """Take out the rows that name such a person, or refer to rows that did."""
        self.refused = 0
        kinds = [(layout.subject, SUBJECT)] if layout.subject is not None else []
        kinds += [(column, f"{self._usecase}_{table}.{other}") for column, table, other in layout.references]
        for column, kind in kinds:
            if self._graveyard.has(kind):
                self.refused += self._take_out(column, kind)

    def _take_out(self, column: str, kind: str) -> int:
        name = quoted(column)
        ids = self._con.execute(
            f"select distinct {name}::varchar from delivered where {name} is not null"
        ).fetchall()
        gone = self._graveyard.among(kind, (each for (each,) in ids))
        if not gone:
            return 0
        self._con.register("gone", pa.table({"id": pa.array(gone, pa.string())}))
        ((count,),) = self._con.execute(
            f"delete from delivered where {name}::varchar in (select id from gone)"
        ).fetchall()
        self._con.unregister("gone")
        return int(count)
