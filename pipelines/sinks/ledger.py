"""The publish ledger of one object in one sink: its runs, and what the sink holds.

ledger = Ledger(lake, "salesforce", "Churn_Score__c")
run = ledger.newest()            # a RunLedger, or None
ledger.published()               # what the newest run left in the sink
run = ledger.start(...)          # a new run with its plan
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.dataset as pa_dataset

from features.schemas import Table
from pipelines.io.lake import Lake
from pipelines.sinks.fold import Counts, check_balance, count, latest_jobs, latest_rows, published
from pipelines.sinks.ledger_tables import JOBS, ROWS, RUNS, RowState, RunState

#: Small files of the append-only tables are rewritten into one when a run ends with more than this.
_COMPACT_ABOVE = 40


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


class RunLedger:
    """Events of one run, appended as they happen.

    Attributes
    ----------
    run_id, run_key, run_no, as_of, state
        As in :data:`~pipelines.sinks.ledger_tables.RUNS`.
    began
        When its newest state was written down (UTC).
    """

    def __init__(self, lake: Lake, run: dict[str, Any]) -> None:
        self._lake = lake
        self._run = run
        self.run_id: str = run["run_id"]
        self.run_key: str = run["run_key"]
        self.run_no: int = run["run_no"]
        self.as_of: date = run["as_of"]
        self.state = RunState(run["state"])
        self.began: datetime = run["recorded_at"]
        self._seq: int = run["seq"]

    # ---------------------------------------------------------------- reading

    def _events(self, table: Table) -> pl.DataFrame:
        where = pa_dataset.field("run_id") == self.run_id
        if "as_of" in table.partition_by:
            where &= (pa_dataset.field("sink") == self._run["sink"]) & (
                pa_dataset.field("as_of") == self.as_of
            )
        events = _frame(self._lake.read(table, where=where, missing_ok=True))
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
        """Rows by fate, after checking that they balance.

        Raises
        ------
        SinkError
            They do not.
        """
        rows, jobs = self._events(ROWS), self._events(JOBS)
        counts = count(rows, jobs)
        check_balance(counts, jobs, latest_rows(rows, jobs), self.run_id)
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

    def close(self, state: RunState) -> Counts:
        """Write down the end of the run with its balanced counts."""
        counts = self.counts()
        self.state = state
        self._seq += 1
        jobs = len(self.job_ids())
        end = {"jobs": jobs, "state": state.value, "seq": self._seq, "recorded_at": _clock()}
        self._lake.append(RUNS, _table(RUNS, pl.DataFrame([self._run | asdict(counts) | end])))
        self._compact()
        return counts

    def begin(self) -> None:
        """Write down that the run exists; its plan must have been recorded before."""
        self._lake.append(RUNS, _table(RUNS, pl.DataFrame([self._run])))

    def _append(self, table: Table, events: pl.DataFrame) -> None:
        self._seq += 1
        given = {
            "sink": self._run["sink"],
            "object": self._run["object"],
            "as_of": self.as_of,
            "run_id": self.run_id,
            "seq": self._seq,
            "recorded_at": _clock(),
        }
        stamped = events.with_columns(**{name: pl.lit(value) for name, value in given.items()})
        absent = [name for name in table.column_names if name not in stamped.columns]
        self._lake.append(table, _table(table, stamped.with_columns(**dict.fromkeys(absent, pl.lit(None)))))

    def _compact(self) -> None:
        for table in (RUNS, JOBS):
            delta = self._lake.open(table.name)
            if len(delta.file_uris()) > _COMPACT_ABOVE:
                delta.optimize.compact()
        partition = [("sink", "=", str(self._run["sink"])), ("as_of", "=", str(self.as_of))]
        delta = self._lake.open(ROWS.name)
        if len(delta.file_uris(file_pruning_predicate=partition)) > _COMPACT_ABOVE:
            delta.optimize.compact(partition_filters=partition)


class Ledger:
    """Runs of one object in one sink.

    Parameters
    ----------
    lake
        Where the ledger tables are.
    sink, object_
        Name of the sink and of the object or table in it.
    """

    def __init__(self, lake: Lake, sink: str, object_: str) -> None:
        self.lake = lake
        self.sink = sink
        self.object = object_

    def runs(self) -> pl.DataFrame:
        """Newest state of every run, oldest run first."""
        where = (pa_dataset.field("sink") == self.sink) & (pa_dataset.field("object") == self.object)
        events = _frame(self.lake.read(RUNS, where=where, missing_ok=True))
        return events.sort("seq").unique("run_id", keep="last").sort("run_no")

    def newest(self) -> RunLedger | None:
        """Newest run; None before the first."""
        runs = self.runs()
        return RunLedger(self.lake, runs.row(-1, named=True)) if runs.height else None

    def job_ids(self) -> set[str]:
        """Every job of the object that the ledger knows."""
        where = (pa_dataset.field("sink") == self.sink) & (pa_dataset.field("object") == self.object)
        ids = self.lake.read(JOBS, columns=["job_id"], where=where, missing_ok=True)
        return set(ids["job_id"].drop_null().to_pylist())

    def newest_as_of(self) -> date | None:
        """Latest day that any run was about."""
        newest = self.runs()["as_of"].max()
        return newest if isinstance(newest, date) else None

    def published(self) -> pl.DataFrame:
        """Tell what the sink holds: ``external_id``, ``hash``, ``remote_id``."""
        run = self.newest()
        if run is None:
            text = pl.String
            return pl.DataFrame(schema={"external_id": text, "remote_id": text, "hash": text})
        return published(run.rows())

    def start(self, *, as_of: date, key: str, forced: bool, rows: pl.DataFrame) -> RunLedger:
        """Record a plan and open a run with it.

        The run is written last: a crash before leaves rows of a run that does not exist, which
        nothing reads.

        Parameters
        ----------
        rows
            Plan with chunks, see :meth:`RunLedger.record_rows`.
        """
        newest = self.newest()
        number = newest.run_no + 1 if newest else 1
        zeros = dict.fromkeys(
            ("sent", "ok", "failed", "unknown", "deleted", "dead", "jobs"),
            0,
        )
        skipped = rows.filter(pl.col("state") == RowState.SKIPPED).height
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
                "recorded_at": _clock(),
                "planned": rows.height - skipped,
                "skipped": skipped,
                **zeros,
            },
        )
        run.record_rows(rows)
        run.begin()
        return run


def dead_letters(lake: Lake, sink: str, object_: str) -> pl.DataFrame:
    """Rows that failed for good in the newest run: what, how often, why, in the sink's words."""
    run = Ledger(lake, sink, object_).newest()
    columns = ["as_of", "external_id", "operation", "attempt", "code", "message", "job_id", "recorded_at"]
    if run is None:
        return pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
    return run.rows().filter(pl.col("state") == RowState.DEAD).select(columns)


def _clock() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _frame(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    if not isinstance(frame, pl.DataFrame):
        raise TypeError(f"expected a table, got {type(frame).__name__}")
    return frame


def _table(table: Table, frame: pl.DataFrame) -> pa.Table:
    return frame.select(table.column_names).to_arrow().cast(table.arrow_schema)
