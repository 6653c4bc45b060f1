"""The publish ledger: the runs of one object in one sink, their events, and what the sink holds.

``Ledger(lake, "salesforce", "Churn_Score__c")`` knows the runs of the object; ``newest()`` and
``start(...)`` return a :class:`RunLedger`, to which events are appended as they happen.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Any

import polars as pl

from features.schemas import Table
from pipelines.io.lake import Lake, before_day, having
from pipelines.sinks.fold import Counts, check_balance, count, latest_jobs, latest_rows, published
from pipelines.sinks.ledger_tables import FLIPS, JOBS, ROWS, RUNS, SUPERSEDED, RowState, RunState

#: Columns that are the same for all events of a run: not read back, which halves what a large run takes.
_SAME = ("sink", "object", "as_of", "run_id")

#: Small files of the append-only tables are rewritten into one when a run ends with more than this.
_COMPACT_ABOVE = 40


def run_key(sink: str, object_: str, as_of: date, wanted: pl.DataFrame, *variant: str) -> str:
    """Hash of what a publish is about: the same rows for the same day give the same key, in any order.

    ``wanted`` has ``external_id`` and ``payload_hash``; ``variant`` are other things that make it another
    publish, such as what happens to leavers.
    """
    digest = hashlib.sha256("\x1f".join((sink, object_, as_of.isoformat(), *variant)).encode())
    ordered = wanted.sort("external_id")
    for name in ("external_id", "payload_hash"):
        digest.update(b"\x1d" + ordered[name].str.join("\x1f").item().encode())
    return digest.hexdigest()[:32]


class RunLedger:
    """Events of one run, a row of :data:`~pipelines.sinks.ledger_tables.RUNS`, appended as they happen."""

    def __init__(self, lake: Lake, run: dict[str, Any]) -> None:
        self._lake = lake
        self._run = run
        self.run_id: str = run["run_id"]
        self.run_key: str = run["run_key"]
        self.run_no: int = run["run_no"]
        self.as_of: date = run["as_of"]
        self.state = RunState(run["state"])
        #: When its newest state was written down (UTC).
        self.began: datetime = run["recorded_at"]
        self._seq: int = run["seq"]

    # ---------------------------------------------------------------- reading

    def _events(self, table: Table) -> pl.DataFrame:
        where = having(run_id=self.run_id)
        if "as_of" in table.partition_by:
            where &= having(sink=self._run["sink"], as_of=self.as_of)
        columns = [name for name in table.column_names if name not in _SAME]
        events = pl.DataFrame(self._lake.read(table, columns=columns, where=where, missing_ok=True))
        if events.height:
            self._seq = max(self._seq, int(str(events["seq"].max())))
        return events

    def jobs(self) -> pl.DataFrame:
        """Newest event of each chunk."""
        return latest_jobs(self._events(JOBS))

    def job_ids(self) -> list[str]:
        """Every job that this run ever made, aborted ones included."""
        return self._events(JOBS)["job_id"].drop_nulls().unique(maintain_order=True).to_list()

    def rows(self) -> pl.DataFrame:
        """Present state of every row, see :func:`pipelines.sinks.fold.latest_rows`."""
        return latest_rows(self._events(ROWS), self._events(JOBS))

    def counts(self) -> Counts:
        """Rows by fate, after checking that they balance, see :func:`pipelines.sinks.fold.check_balance`."""
        events, jobs = self._events(ROWS), self._events(JOBS)
        rows = latest_rows(events, jobs)
        counts = count(events, jobs, rows)
        check_balance(counts, jobs, rows, self.run_id)
        return counts

    # ---------------------------------------------------------------- writing

    def record_rows(self, rows: pl.DataFrame) -> None:
        """Append events of rows: any of the columns from ``external_id`` on; the others are null."""
        if rows.height:
            self._append(ROWS, rows)

    def record_jobs(self, jobs: pl.DataFrame) -> None:
        """Append events of chunks: any of the columns from ``chunk`` on; the others are null."""
        if jobs.height:
            self._append(JOBS, jobs)

    def close(self, state: RunState, counts: Counts | None = None) -> Counts:
        """Record the end of the run with its balanced counts.

        ``counts`` are what :meth:`counts` said, if nothing was written down since: the books of a large run
        take seconds to check.
        """
        counts = counts or self.counts()
        self.state = state
        self._seq += 1
        jobs = len(self.job_ids())
        end = {"jobs": jobs, "state": state.value, "seq": self._seq, "recorded_at": clock()}
        self._lake.append(RUNS, [self._run | asdict(counts) | end])
        self._compact()
        return counts

    def supersede(self) -> Counts:
        """Give up what is not yet sent, for a run with other rows; jobs must be settled before.

        Rows that never went out are skipped; those that wait for another try are dead.
        """
        rows = self.rows().filter(pl.col("state").is_in([RowState.PLANNED.value, RowState.FAILED.value]))
        never_sent = (pl.col("state") == RowState.PLANNED) & (pl.col("attempt") == 1)
        fate = pl.when(never_sent).then(pl.lit(RowState.SKIPPED.value)).otherwise(pl.lit(RowState.DEAD.value))
        names = ("external_id", "operation", "attempt", "payload_hash", "base_hash", "remote_id")
        self.record_rows(rows.select(*names, state=fate, code=pl.lit(SUPERSEDED)))
        return self.close(RunState.SUPERSEDED)

    def _append(self, table: Table, events: pl.DataFrame) -> None:
        self._seq += 1
        nothing = dict.fromkeys(set(table.column_names) - set(events.columns))
        same = {name: self._run[name] for name in _SAME} | {"seq": self._seq, "recorded_at": clock()}
        given = {name: pl.lit(value) for name, value in (nothing | same).items()}
        rows = events.with_columns(**given).select(table.column_names)
        self._lake.append(table, rows.to_arrow().cast(table.arrow_schema))

    def _compact(self) -> None:
        """Rewrite the small files of this run; a table may not exist yet if nothing was ever sent."""
        rows_of_day = [("sink", "=", str(self._run["sink"])), ("as_of", "=", str(self.as_of))]
        for table, partition in ((RUNS, None), (JOBS, None), (ROWS, rows_of_day)):
            if not self._lake.exists(table.name):
                continue
            delta = self._lake.open(table.name)
            if len(delta.file_uris(file_pruning_predicate=partition)) > _COMPACT_ABOVE:
                delta.optimize.compact(partition_filters=partition)


class Ledger:
    """Runs of one object, or table, in one sink."""

    def __init__(self, lake: Lake, sink: str, object_: str) -> None:
        self.lake = lake
        self.sink = sink
        self.object = object_
        self._mine = having(sink=sink, object=object_)

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
        self.lake.rewrite(ROWS.name, self._mine & before_day(min(before, newest.as_of)))

    def start(self, *, as_of: date, key: str, forced: bool, rows: pl.DataFrame) -> RunLedger:
        """Record a plan and open a run with it.

        The run is written last: a crash before leaves rows of a run that does not exist, which
        nothing reads. ``rows`` have their chunks, see :meth:`RunLedger.record_rows`.
        """
        newest = self.newest()
        number = newest.run_no + 1 if newest else 1
        skipped = rows.filter(pl.col("state") == RowState.SKIPPED).height
        counts = Counts(planned=rows.height - skipped, skipped=skipped)
        row = {
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
        }
        run = RunLedger(self.lake, row)
        run.record_rows(rows)
        self.lake.append(RUNS, [row])
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
    moves = lake.read(FLIPS, where=having(sink=sink, object=object_), missing_ok=True)
    return pl.DataFrame(moves).sort("recorded_at", "revision")


def clock() -> datetime:
    """Now, in UTC without a zone attached, as the ledger stores it; never part of a decision."""
    return datetime.now(UTC).replace(tzinfo=None)
