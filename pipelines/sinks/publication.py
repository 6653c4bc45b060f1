"""What publishing is in every sink: one process at a time, one run per content and day, one report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from typing import Any

import polars as pl

from pipelines.errors import SinkError
from pipelines.io.lake import Lake
from pipelines.io.lock import exclusive
from pipelines.settings import Settings
from pipelines.sinks.fold import Counts
from pipelines.sinks.ledger import Ledger, RunLedger
from pipelines.sinks.ledger_tables import RunState
from pipelines.sinks.report import PublishReport

#: Rows that a dry run shows.
SAMPLE_ROWS = 5


@contextmanager
def alone(settings: Settings, sink: str, object_: str, *, then: str = "run again") -> Iterator[None]:
    """Hold the lock of an object for publishing or erasing; the error of the others says what to do ``then``."""
    busy = SinkError(f"another process is publishing to {object_}; wait for it to end, then {then}")
    with exclusive(settings, f"{sink}-{object_.replace('/', '-')}", refusal=busy):
        yield


class Publication:
    """Rows that are to be published for a day, and what the ledger knows of them."""

    def __init__(self, lake: Lake, sink: str, object_: str, as_of: date, key: str) -> None:
        self.ledger = Ledger(lake, sink, object_)
        self.as_of = as_of
        #: Hash of the rows, see :func:`pipelines.sinks.ledger.run_key`.
        self.key = key
        newest = self.ledger.newest()
        same = newest is not None and newest.run_key == key
        state = newest.state if newest else None
        #: The newest run, if it published these rows and has ended.
        self.finished = newest if same and state is RunState.FINISHED else None
        #: The newest run, if it has not ended.
        self.interrupted = newest if state is RunState.OPEN else None
        #: The same, if it is about these rows.
        self.resumable = self.interrupted if same else None
        #: What a person should know, in words.
        self.warnings: list[str] = []

    def start(self, rows: pl.DataFrame, *, forced: bool) -> RunLedger:
        """Open a run with a plan."""
        return self.ledger.start(as_of=self.as_of, key=self.key, forced=forced, rows=rows)

    def report(self, run: RunLedger | None, counts: Counts, **more: Any) -> PublishReport:
        """Report a run, or a rehearsal if there is none."""
        return PublishReport(
            **asdict(counts),
            sink=self.ledger.sink,
            object=self.ledger.object,
            as_of=self.as_of,
            run_id=run.run_id if run else None,
            jobs=len(run.job_ids()) if run else 0,
            warnings=tuple(self.warnings),
            **more,
        )

    def rehearsal(self, counts: Counts, **more: Any) -> PublishReport:
        """Report a dry run: what a publish would do."""
        if self.interrupted:
            self.warnings.append(f"run {self.interrupted.run_id} has not ended; a publish settles it first")
        return self.report(None, counts, complete=False, dry_run=True, **more)
