"""Which version served since when, and who decided it: the log of pointers, for sinks that keep versions."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

import polars as pl
import pyarrow.dataset as pa_dataset

from pipelines.io.lake import Lake
from pipelines.sinks.ledger import clock
from pipelines.sinks.ledger_tables import FLIPS
from pipelines.sinks.run_ledger import to_frame, to_table


class FlipKind(StrEnum):
    """What moved a pointer."""

    PUBLISH = "publish"
    ROLLBACK = "rollback"


def read_flips(lake: Lake, sink: str, object_: str) -> pl.DataFrame:
    """Moves of an object's pointer, oldest first."""
    where = (pa_dataset.field("sink") == sink) & (pa_dataset.field("object") == object_)
    return to_frame(lake.read(FLIPS, where=where, missing_ok=True)).sort("recorded_at", "revision")


def record_flip(
    lake: Lake,
    sink: str,
    object_: str,
    *,
    revision: int,
    kind: FlipKind,
    as_of: date,
    version: str,
    before: str | None,
    why: str,
    who: str,
) -> None:
    """Record a move, unless it is recorded already.

    The pointer moves first. A crash in between is fixed by the next call, since the pointer carries
    the revision.
    """
    known = read_flips(lake, sink, object_)
    if known.filter((pl.col("revision") == revision) & (pl.col("version") == version)).height:
        return
    row = {
        "sink": sink,
        "object": object_,
        "revision": revision,
        "kind": kind.value,
        "as_of": as_of,
        "version": version,
        "before": before,
        "why": why,
        "who": who,
        "recorded_at": clock(),
    }
    lake.append(FLIPS, to_table(FLIPS, pl.DataFrame([row])))
