"""Carrying one chunk: a job that can be killed at any point and found again.

The order of the steps is the whole point. A job's id is in the ledger before its rows leave, so a
crash leaves either nothing, a stray empty job, or a job that the next run can ask about.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from pipelines.errors import SinkError
from pipelines.sinks.errors import AmbiguousRequestError
from pipelines.sinks.fold import job_event
from pipelines.sinks.ledger import RunLedger
from pipelines.sinks.ledger_tables import JobState
from pipelines.sinks.salesforce.bulk2 import ENDED, BulkIngest, RemoteState
from pipelines.sinks.salesforce.results import KINDS, fates, forgotten, is_delete, read_results, reconcile
from pipelines.sinks.salesforce.target import PublishOptions

_LOG = logging.getLogger(__name__)

_RESULT_TRIES = 3
_CLOCK_SKEW = timedelta(minutes=10)


@dataclass
class Carrier:
    """Takes the chunks of a run to Salesforce and their answers back to the ledger."""

    bulk: BulkIngest
    run: RunLedger
    options: PublishOptions
    #: Ids of all jobs in the ledger.
    known_jobs: set[str]
    #: Roughly when the run began, by Salesforce's clock: no stray job of ours is older.
    since: datetime
    #: Whether an earlier process may have left a stray job; those of this process are known.
    sweep: bool

    def submit(self, rows: pl.DataFrame, data: bytes) -> JobState:
        """Send a chunk of ledger rows, encoded, in a new job and wait for ``complete``, ``unknown`` or ``gone``."""
        for attempt in range(self.options.max_jobs_per_chunk):
            if attempt:
                self.options.http.wait(attempt)
            job_id = self._create(_operation(rows))
            if job_id is None:
                continue
            self._record(rows, JobState.CREATED, job_id)
            try:
                self.bulk.upload(job_id, data)
            except AmbiguousRequestError as error:
                _LOG.warning("upload to job %s broke, using a new one: %s", job_id, error)
                state = self._abort(rows, job_id)
            else:
                self.bulk.close(job_id)
                state = self.settle(rows, job_id)
            if state is not JobState.ABORTED:
                return state
        raise SinkError(
            f"chunk {rows['chunk'][0]} could not be handed to Salesforce in {self.options.max_jobs_per_chunk} jobs; "
            "run the publish again: it resumes with this chunk"
        )

    def settle(self, rows: pl.DataFrame, job_id: str) -> JobState:
        """Find out what became of a job, waiting if it runs, and record the outcomes of its rows.

        Returns ``complete``; ``aborted`` if the job had not been closed (its rows go into a new one);
        ``unknown`` if it runs longer than we wait; ``gone`` if Salesforce forgot it.
        """
        info = self._wait(job_id)
        if info is None:
            self.run.record_rows(fates(rows, forgotten(rows), job_id, self.options.max_attempts))
            return self._record(rows, JobState.GONE, job_id)
        state = RemoteState(info["state"])
        if state is RemoteState.OPEN:
            return self._abort(rows, job_id)
        if state not in ENDED:
            return self._record(rows, JobState.UNKNOWN, job_id, message=f"still {state} after the wait")
        message = str(info.get("errorMessage") or "") or None
        results = self._results(rows, job_id, state)
        self.run.record_rows(fates(rows, results, job_id, self.options.max_attempts, message))
        tally = {str(kind): int(count) for kind, count in results["kind"].value_counts().iter_rows()}
        return self._record(rows, JobState.COMPLETE, job_id, message=message, **tally)

    # ---------------------------------------------------------------- steps

    def _create(self, operation: str) -> str | None:
        """Make a job; None if it is not known whether one was made."""
        try:
            job = self.bulk.create(operation)
        except AmbiguousRequestError as error:
            _LOG.warning("creating a job broke, a stray one may exist: %s", error)
            self.sweep = True
            return None
        job_id = str(job["id"])
        self.known_jobs.add(job_id)
        if self.sweep:
            self._abort_strays(str(job["createdById"]))
        return job_id

    def _abort_strays(self, created_by: str) -> None:
        # The new job told us who we are, which is what the search needs.
        after = (self.since - _CLOCK_SKEW).strftime("%Y-%m-%dT%H:%M:%S")
        found = self.bulk.strays(created_by=created_by, created_after=after, known=self.known_jobs)
        for stray in list(found):
            _LOG.warning("aborting job %s: ours, open, and in no ledger", stray)
            self.bulk.abort(stray)
        self.sweep = False

    def _abort(self, rows: pl.DataFrame, job_id: str) -> JobState:
        state = self.bulk.abort(job_id)
        if state is not RemoteState.ABORTED:
            # Someone closed it meanwhile: it will run, so its answer counts.
            return self.settle(rows, job_id)
        return self._record(rows, JobState.ABORTED, job_id)

    def _wait(self, job_id: str) -> dict[str, Any] | None:
        """Poll until the job has ended, is open, is gone, or the time is up."""
        deadline = time.monotonic() + self.options.poll_timeout_s
        attempt = 0
        while True:
            info = self.bulk.info(job_id)
            if info is None or info["state"] in (*ENDED, RemoteState.OPEN) or time.monotonic() >= deadline:
                return info
            self.options.poll.wait(attempt)
            attempt += 1

    def _results(self, rows: pl.DataFrame, job_id: str, state: RemoteState) -> pl.DataFrame:
        """Read the results until they name every row of the chunk exactly once, or give up."""
        problem = ""
        for attempt in range(_RESULT_TRIES):
            if attempt:
                self.options.http.wait(attempt)
            found = read_results(self.bulk, job_id, rows)
            results, problem = reconcile(rows, found, whole=state is RemoteState.JOB_COMPLETE)
            if not problem:
                return results
            _LOG.warning("results of job %s: %s", job_id, problem)
        raise SinkError(
            f"job {job_id} does not account for its rows: {problem}. Nothing of it was recorded; look at "
            "the job in Salesforce (Setup, Bulk Data Load Jobs), then run the publish again to ask again"
        )

    # ---------------------------------------------------------------- writing down

    def _record(
        self, rows: pl.DataFrame, state: JobState, job_id: str, message: str | None = None, **tally: int
    ) -> JobState:
        event = job_event(rows, state, job_id, _operation(rows)) | {"message": message}
        if state is JobState.COMPLETE:
            event |= {kind: tally.get(kind, 0) for kind in KINDS}
        self.run.record_jobs(pl.DataFrame([event]))
        return state


def _operation(rows: pl.DataFrame) -> str:
    """Operation of the job that carries the rows of a chunk."""
    return "delete" if is_delete(rows) else "upsert"
