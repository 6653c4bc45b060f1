"""The publish ledger of one object in one sink: its runs, and what the sink holds.

``Ledger(lake, "salesforce", "Churn_Score__c")`` knows the runs of the object; ``newest()`` and
``start(...)`` return a :class:`~pipelines.sinks.run_ledger.RunLedger`, to which events are appended as
they happen.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import asdict
from datetime import date

import polars as pl
import pyarrow.dataset as pa_dataset

from pipelines.io.lake import Lake
from pipelines.sinks.fold import Counts, published
from pipelines.sinks.ledger_tables import FLIPS, JOBS, ROWS, RUNS, RowState, RunState
from pipelines.sinks.run_ledger import RunLedger, clock


def run_key(sink: str, object_: str, as_of: date, wanted: pl.DataFrame, *variant: str) -> str:
    """Hash of what a publish is about: the same rows for the same day give the same key.

    Parameters
    ----------
    wanted
        ``external_id``, ``payload_hash``; the order does not matter.
    variant
        Other things that make it another publish, such as what happens to leavers.
    """
    digest = hashlib.sha256("\x1f".join((sink, object_, as_of.isoformat(), *variant)).encode())
    ordered = wanted.sort("external_id")
    for name in ("external_id", "payload_hash"):
        digest.update(b"\x1d" + ordered[name].str.join("\x1f").item().encode())
    return digest.hexdigest()[:32]


class Ledger:
    """Runs of one object, or table, in one sink."""

    def __init__(self, lake: Lake, sink: str, object_: str) -> None:
        self.lake = lake
        self.sink = sink
        self.object = object_

        self._mine = (pa_dataset.field("sink") == sink) & (pa_dataset.field("object") == object_)

    def runs(self) -> pl.DataFrame:
        """Newest state of every run, oldest run first."""
        events = pl.DataFrame(self.lake.read(RUNS, where=self._mine, missing_ok=True))
        return events.sort("seq").unique("run_id", keep="last").sort("run_no")

    def newest(self) -> RunLedger | None:
        """Newest run; None before the first."""
        runs = self.runs()
        return RunLedger(self.lake, runs.row(-1, named=True)) if runs.height else None

    def job_ids(self) -> set[str]:
        """Every job of the object that the ledger knows."""
        ids = self.lake.read(JOBS, columns=["job_id"], where=self._mine, missing_ok=True)
        return set(ids["job_id"].drop_null().to_pylist())

    def newest_as_of(self) -> date | None:
        """Latest day that any run was about."""
        newest = self.runs()["as_of"].max()
        return newest if isinstance(newest, date) else None

    def published(self) -> pl.DataFrame:
        """Tell what the sink holds: ``external_id``, ``hash``, ``remote_id``."""
        run = self.newest()
        if run is None:
            return pl.DataFrame(schema=dict.fromkeys(("external_id", "remote_id", "hash"), pl.String))
        return published(run.rows())

    def forget_rows(self, before: date) -> None:
        """Drop the fates of rows of days before ``before``; runs and jobs stay, with their totals.

        Only for sinks that never ask what an earlier run left, see :meth:`published`. The newest run
        keeps its rows.
        """
        newest = self.newest()
        if newest is None or not self.lake.exists(ROWS.name):
            return
        self.lake.rewrite(ROWS.name, self._mine & (pa_dataset.field("as_of") < min(before, newest.as_of)))

    def start(self, *, as_of: date, key: str, forced: bool, rows: pl.DataFrame) -> RunLedger:
        """Record a plan and open a run with it.

        The run is written last: a crash before leaves rows of a run that does not exist, which
        nothing reads. ``rows`` have their chunks, see :meth:`RunLedger.record_rows`.
        """
        newest = self.newest()
        number = newest.run_no + 1 if newest else 1
        skipped = rows.filter(pl.col("state") == RowState.SKIPPED).height
        counts = Counts(planned=rows.height - skipped, skipped=skipped)
        run = RunLedger(
            self.lake,
            {
                "sink": self.sink,
                "object": self.object,
                "as_of": as_of,
                "run_key": key,
                "run_id": f"{as_of:%Y%m%d}-{number:06d}-{key[:12]}-{secrets.token_hex(3)}",
                "run_no": number,
                "seq": 0,
                "state": RunState.OPEN.value,
                "forced": forced,
                "recorded_at": clock(),
                "jobs": 0,
                **asdict(counts),
            },
        )
        run.record_rows(rows)
        run.begin()
        return run


def dead_letters(lake: Lake, sink: str, object_: str) -> pl.DataFrame:
    """Rows that failed for good in the newest run: what, how often, why, in the sink's words."""
    run = Ledger(lake, sink, object_).newest()
    columns = ["external_id", "operation", "attempt", "code", "message", "job_id", "recorded_at"]
    if run is None:
        return pl.DataFrame(schema=dict.fromkeys(["as_of", *columns], pl.String))
    return (
        run.rows().filter(pl.col("state") == RowState.DEAD).select(pl.lit(run.as_of).alias("as_of"), *columns)
    )


def read_flips(lake: Lake, sink: str, object_: str) -> pl.DataFrame:
    """Which version served since when, and who decided it: moves of an object's pointer, oldest first."""
    where = (pa_dataset.field("sink") == sink) & (pa_dataset.field("object") == object_)
    return pl.DataFrame(lake.read(FLIPS, where=where, missing_ok=True)).sort("recorded_at", "revision")
