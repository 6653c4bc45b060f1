"""The outbound rows of one publish: encoded once, planned against what Salesforce holds, cut into files."""

from __future__ import annotations

from datetime import date

import polars as pl
import pyarrow as pa

from pipelines.sinks.diff import OnLeave, check_leavers, leavers, plan
from pipelines.sinks.ledger import run_key
from pipelines.sinks.ledger_tables import Operation, RowState
from pipelines.sinks.salesforce import encoding
from pipelines.sinks.salesforce.target import SINK, PublishOptions, SalesforceTarget


class Outbound:
    """Wanted rows, exactly the columns ``target.columns``, in every form that a publish needs."""

    def __init__(self, rows: pa.Table, target: SalesforceTarget, options: PublishOptions) -> None:
        self._rows = rows
        self._target = target
        self._options = options
        #: Encoded rows, see :func:`pipelines.sinks.salesforce.encoding.encode`.
        self.wanted = encoding.encode(rows, target)

    def key(self, as_of: date) -> str:
        """Key of the run that publishes these rows for a day."""
        return run_key(SINK, self._target.object, as_of, self.wanted, self._options.on_leave.value)

    def plan(self, base: pl.DataFrame) -> pl.DataFrame:
        """Plan as :func:`pipelines.sinks.diff.plan` does, unless too many would leave; ``base`` is what Salesforce holds."""
        on_leave = self._options.on_leave
        leaving = leavers(self.wanted, base)
        clearing = leaving["external_id"] if on_leave is OnLeave.CLEAR else leaving["external_id"].clear()
        cleared = encoding.encode_cleared(clearing, self._target)
        if on_leave is not OnLeave.KEEP:
            before = cleared.select("external_id", hash="payload_hash")  # cleared in an earlier run
            check_leavers(
                leaving.join(before, on=["external_id", "hash"], how="anti"),
                base,
                max_share=self._options.max_leavers_share,
                force=self._options.force,
            )
        return plan(self.wanted, cleared, base, on_leave, resend=self._options.resend)

    def chunked(self, rows: pl.DataFrame, *, first: int) -> pl.DataFrame:
        """Give planned rows the ``chunk`` they travel in: upserts by parent, then deletes; other rows get none."""
        planned = pl.col("state") == RowState.PLANNED
        deleting = pl.col("operation") == Operation.DELETE
        ready = self._with_lines(rows.filter(planned))
        parts = [rows.filter(~planned).with_columns(chunk=pl.lit(None, dtype=pl.Int64))]
        for part in (ready.filter(~deleting), ready.filter(deleting)):
            if part.height:
                numbers = encoding.chunk_numbers(
                    part["line"],
                    self._header(part),
                    max_bytes=self._options.max_chunk_bytes,
                    max_rows=self._options.max_chunk_rows,
                    first=first,
                )
                first = int(numbers[-1]) + 1
                parts.append(part.select(rows.columns).with_columns(chunk=pl.Series(numbers)))
        return pl.concat(parts)

    def file(self, rows: pl.DataFrame) -> bytes:
        """File of the rows of one chunk."""
        return encoding.file_bytes(self._with_lines(rows)["line"], self._header(rows))

    def values(self, external_ids: pl.Series) -> pl.DataFrame:
        """Wanted values of some records, as they came."""
        frame = pl.DataFrame(self._rows.select(self._target.columns))
        key = self._target.external_id_field
        return frame.filter(pl.col(key).cast(pl.String).is_in(external_ids.implode()))

    def _header(self, rows: pl.DataFrame) -> list[str]:
        return ["Id"] if rows["operation"][0] == Operation.DELETE else self._target.columns

    def _with_lines(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows with their line, in the order they travel."""
        operation = pl.col("operation")
        clearing = rows.filter(operation == Operation.CLEAR)["external_id"]
        sources = {
            Operation.UPSERT: self.wanted,
            Operation.CLEAR: encoding.encode_cleared(clearing, self._target),
            Operation.DELETE: encoding.encode_deletes(rows.filter(operation == Operation.DELETE)),
        }
        lines = pl.concat(
            source.select("external_id", "sort_key", "line", operation=pl.lit(name.value))
            for name, source in sources.items()
        )
        joined = rows.join(lines, on=["external_id", "operation"], how="inner")
        return joined.sort("sort_key", "external_id", nulls_last=True)
