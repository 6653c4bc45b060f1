"""What to send: the difference between the wanted rows and what the sink holds."""

from __future__ import annotations

from enum import StrEnum

import polars as pl

from pipelines.errors import SinkError
from pipelines.sinks.ledger_tables import KEPT, UNCHANGED, Operation, RowState


class OnLeave(StrEnum):
    """What happens to the record of a row that was published and is no longer wanted."""

    DELETE = "delete"
    CLEAR = "clear"
    KEEP = "keep"


def leavers(wanted: pl.DataFrame, base: pl.DataFrame) -> pl.DataFrame:
    """Return the records of ``base`` that are no longer wanted."""
    return base.join(wanted, on="external_id", how="anti").sort("external_id")


def check_leavers(leaving: pl.DataFrame, base: pl.DataFrame, *, max_share: float, force: bool) -> None:
    """Refuse to touch too large a share of the published records, unless forced.

    An empty or half-loaded source looks exactly like everybody leaving.
    """
    if force or not leaving.height or leaving.height <= max_share * base.height:
        return
    raise SinkError(
        f"{leaving.height} of {base.height} published records are no longer wanted "
        f"({leaving.height / base.height:.0%}); at most {max_share:.0%} may leave in one run. Nothing was "
        f"sent. Check the source of the rows; if they are right, publish with force, or raise "
        f"max_leavers_share. Offending: {leaving['external_id'].head(5).to_list()}"
    )


def plan(
    wanted: pl.DataFrame, cleared: pl.DataFrame, base: pl.DataFrame, on_leave: OnLeave, *, resend: bool
) -> pl.DataFrame:
    """Decide the operation and first state of every row.

    ``wanted`` are the rows to have in the sink; ``cleared`` are the leavers whose fields are to be nulled, none
    unless ``on_leave`` is ``clear``. Both have ``external_id`` and ``payload_hash``. ``base`` is what the sink
    holds: ``external_id``, ``hash``, ``remote_id``; ``on_leave`` says what happens to its other records.
    ``resend`` sends unchanged rows too.

    Returns one row per external id of either side: ``external_id``, ``operation``, ``state`` (planned or
    skipped), ``code``, ``payload_hash``, ``base_hash``, ``remote_id``.
    """
    columns = ("external_id", "payload_hash")
    rows = pl.concat(
        frame.select(*columns, operation=pl.lit(operation.value))
        for frame, operation in ((wanted, Operation.UPSERT), (cleared, Operation.CLEAR))
    )
    same = pl.col("payload_hash").eq_missing(pl.col("hash")) & pl.lit(not resend)
    kept = rows.join(base, on="external_id", how="left").with_columns(
        state=pl.when(same).then(pl.lit(RowState.SKIPPED.value)).otherwise(pl.lit(RowState.PLANNED.value)),
        code=pl.when(same).then(pl.lit(UNCHANGED)),
    )
    keeping = on_leave is OnLeave.KEEP
    gone = base.join(rows, on="external_id", how="anti").with_columns(
        operation=pl.lit(Operation.UPSERT.value if keeping else Operation.DELETE.value),
        payload_hash=pl.lit(None, dtype=pl.String),
        state=pl.lit(RowState.SKIPPED.value if keeping else RowState.PLANNED.value),
        code=pl.lit(KEPT if keeping else None, dtype=pl.String),
    )
    order = ["external_id", "operation", "state", "code", "payload_hash", "hash", "remote_id"]
    return pl.concat([kept.select(order), gone.select(order)]).rename({"hash": "base_hash"})
