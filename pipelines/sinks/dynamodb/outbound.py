"""The outbound items of one publish: checked and hashed once, planned, encoded chunk by chunk."""

from __future__ import annotations

from datetime import date

import polars as pl
import pyarrow as pa

from pipelines.errors import DataContractError
from pipelines.sinks.dynamodb.encoding import encode, item_hashes, lines
from pipelines.sinks.dynamodb.target import SINK, DynamoTarget
from pipelines.sinks.ledger import run_key
from pipelines.sinks.ledger_tables import Operation, RowState
from pipelines.sinks.outbound import check_unique

#: Rows encoded at once: an encoded row is several times as large as the row.
_SLICE = 50_000


class Outbound:
    """Wanted items in every form that a publish needs.

    Encoded items are never all in memory: they are made once to be checked and hashed, and again when their
    chunk is sent. Raises ``DataContractError`` if there are no rows, the key column is missing, a key repeats,
    or a row cannot be written.
    """

    def __init__(self, rows: pa.Table, as_of: date, target: DynamoTarget) -> None:
        self._target = target
        self._as_of = as_of
        if target.key not in rows.column_names:
            raise DataContractError(f"{target.object}: the key column {target.key!r} is missing")
        if not rows.num_rows:
            raise DataContractError(
                f"{target.object}: there are no rows for {as_of}, and an empty version serves nobody"
            )
        self._frame = pl.DataFrame(rows)
        parts = []
        for start in range(0, rows.num_rows, _SLICE):
            encoded = encode(self._frame.slice(start, _SLICE), target)
            parts.append(encoded.select("external_id", item_hashes(encoded), "bytes"))
        #: ``external_id`` (the key), ``payload_hash``, ``bytes``, ``at`` (row number); ordered by key.
        self.wanted = pl.concat(parts).with_row_index("at").sort("external_id")
        check_unique(self.wanted["external_id"], f"{target.object}.{target.key}")

    def key(self) -> str:
        """Key of the run that publishes these rows for the day."""
        kept = str(self._target.expires_at(self._as_of))
        return run_key(SINK, self._target.object, self._as_of, self.wanted, kept)

    def plan(self, chunk_rows: int) -> pl.DataFrame:
        """Plan every item, in chunks: a version is whole, so unchanged items are written too."""
        planned = self.wanted.select(
            "external_id",
            "payload_hash",
            operation=pl.lit(Operation.UPSERT.value),
            state=pl.lit(RowState.PLANNED.value),
            attempt=pl.lit(1, dtype=pl.Int64),
        )
        return chunked(planned, first=0, chunk_rows=chunk_rows)

    def items(self, external_ids: pl.Series, version: str) -> pl.DataFrame:
        """Encoded items: ``external_id``, ``line``, ``bytes``; in the order in which they travel."""
        chosen = self.wanted.join(external_ids.to_frame("external_id"), on="external_id", how="semi")
        encoded = encode(self._frame[chosen.sort("payload_hash")["at"]], self._target)
        made = lines(encoded, self._target, version=version, expires_at=self._target.expires_at(self._as_of))
        return encoded.select("external_id", made, "bytes")


def chunked(rows: pl.DataFrame, *, first: int, chunk_rows: int) -> pl.DataFrame:
    """Give rows the chunk they travel in, in the order of their hashes.

    That order is the same whenever the rows are, and has nothing to do with their keys: items of
    one store are spread over time as they are over partitions.
    """
    place = pl.col("payload_hash").rank("ordinal").cast(pl.Int64) - 1
    return rows.with_columns(chunk=place // chunk_rows + first)
