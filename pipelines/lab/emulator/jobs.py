"""Processing of ingest jobs in the background: ``UploadComplete`` to ``JobComplete`` or ``Failed``."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from pipelines.lab.emulator.csvio import CsvError, parse
from pipelines.lab.emulator.dml import Outcome, apply
from pipelines.lab.emulator.objects import SObject
from pipelines.lab.emulator.plan import HeaderError, Write, plan
from pipelines.lab.emulator.store import Store
from pipelines.lab.emulator.values import from_csv
from pipelines.lab.faults import Injector

BATCH_ROWS = 10_000

#: What can go wrong with a job, a call of kind ``job``: its ``rows`` (all if none is named) fail with
#: ``UNABLE_TO_LOCK_ROW``, or it ends as ``Failed`` at the first of them; the rows before are committed.
JOB_FAULTS = ("lock_row", "fail_job")


class JobWorker:
    """Processes closed jobs one after the other, as the service's queue does.

    A job is processed in internal batches, each one transaction with its results and the job's
    counters: after a ``kill -9`` a new worker continues where the old one stopped.

    Parameters
    ----------
    store, schema
        The org.
    injector
        Row locks and job failures.
    latency_seconds
        Wait before a job becomes ``InProgress``, and before each batch.
    batch_rows
        Rows per internal batch; the service uses 10,000.
    """

    def __init__(
        self,
        store: Store,
        schema: dict[str, SObject],
        injector: Injector,
        *,
        latency_seconds: float = 0.0,
        batch_rows: int = BATCH_ROWS,
    ) -> None:
        self._store = store
        self._schema = schema
        self._injector = injector
        self._latency = latency_seconds
        self._batch_rows = batch_rows
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="salesforce-emulator-jobs", daemon=True)

    def start(self) -> None:
        """Begin, with the jobs that a previous process left unfinished."""
        self._wake.set()
        self._thread.start()

    def notify(self) -> None:
        """Look for work."""
        self._wake.set()

    def stop(self) -> None:
        """End after the present batch."""
        self._stop.set()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait()
            self._wake.clear()
            while not self._stop.is_set() and (number := self._next()) is not None:
                self._process(number)

    def _next(self) -> int | None:
        with self._store.transaction() as connection:
            row = connection.execute(
                "SELECT number FROM \"_jobs\" WHERE state IN ('InProgress', 'UploadComplete')"
                " ORDER BY state, number LIMIT 1"
            ).fetchone()
        return int(row[0]) if row else None

    def _process(self, number: int) -> None:
        self._stop.wait(self._latency)
        with self._store.transaction() as connection:
            (state, object_name, operation, key, delimiter, line_ending, content, done) = connection.execute(
                "SELECT state, object, operation, external_id, delimiter, line_ending, content, processed"
                ' FROM "_jobs" WHERE number = ?',
                (number,),
            ).fetchone()
            if state not in ("UploadComplete", "InProgress"):
                return
            self._set_state(number, "InProgress")
        try:
            header, rows = parse(content or b"", delimiter, line_ending)
            write = plan(self._schema, self._schema[object_name.lower()], operation, header, key=key or "Id")
        except CsvError as error:
            self._set_state(number, "Failed", str(error))
            return
        except HeaderError as error:
            self._set_state(number, "Failed", f"InvalidBatch : {error}")
            return
        fault = self._injector.next("job")
        named = set(fault.rows or range(len(rows))) if fault else set()
        failing = fault is not None and fault.name == "fail_job"
        locked = set() if failing else named
        last = min(named | {len(rows)}) if failing else len(rows)
        while done < last:
            if done:
                self._stop.wait(self._latency)
            if self._stop.is_set():
                return
            end = min(done + self._batch_rows, last)
            if not self._batch(number, write, rows[done:end], done, locked):
                return
            done = end
        if failing:
            self._set_state(number, "Failed", "InternalServerError : Unable to process the job. Try again.")
        else:
            self._set_state(number, "JobComplete")

    def _batch(
        self, number: int, write: Write, rows: Sequence[Sequence[str]], start: int, locked: set[int]
    ) -> bool:
        """Process one internal batch; False if the job was aborted meanwhile."""
        began = time.perf_counter()
        columns = [from_csv(column) for column in zip(*rows, strict=True)]
        here = {row - start for row in locked if start <= row < start + len(rows)}
        with self._store.transaction() as connection:
            row = connection.execute('SELECT state FROM "_jobs" WHERE number = ?', (number,)).fetchone()
            if row is None or row[0] != "InProgress":
                return False
            outcomes = apply(self._store, write, columns, locked=here)
            connection.executemany(
                'INSERT INTO "_job_rows" VALUES (?, ?, ?, ?, ?)',
                (
                    (number, start + i, o.record_id, int(o.created), str(o.error) if o.error else None)
                    for i, o in enumerate(outcomes)
                ),
            )
            connection.execute(
                'UPDATE "_jobs" SET processed = processed + ?, failed = failed + ?, milliseconds ='
                " milliseconds + ?, modified = ? WHERE number = ?",
                (
                    len(rows),
                    _failures(outcomes),
                    int(1000 * (time.perf_counter() - began)) + 1,
                    self._store.timestamp(),
                    number,
                ),
            )
        return True

    def _set_state(self, number: int, state: str, error: str | None = None) -> None:
        with self._store.transaction() as connection:
            connection.execute(
                'UPDATE "_jobs" SET state = ?, error = ?, modified = ? WHERE number = ?'
                " AND state IN ('UploadComplete', 'InProgress')",
                (state, error, self._store.timestamp(), number),
            )


def _failures(outcomes: Sequence[Outcome]) -> int:
    return sum(outcome.error is not None for outcome in outcomes)
