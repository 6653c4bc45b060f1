"""Carrying the items of a run to the table and their fates to the ledger, chunk by chunk.

A chunk is announced in the ledger before its items leave and settled once the fate of each is known.
After a crash the announced chunks are carried again: putting an item twice is the same item, and the
ledger counts each once.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import polars as pl

from pipelines.errors import SinkError
from pipelines.sinks.dynamodb.loader import UNPROCESSED, Loader
from pipelines.sinks.dynamodb.outbound import Outbound, chunked
from pipelines.sinks.dynamodb.target import LoadOptions
from pipelines.sinks.fold import Counts, fate, job_event, next_chunk, next_try
from pipelines.sinks.ledger import RunLedger
from pipelines.sinks.ledger_tables import JobState, RowState

_LOG = logging.getLogger(__name__)

_TO_CARRY = [RowState.PLANNED.value, RowState.SENT.value, RowState.UNKNOWN.value]


@dataclass(frozen=True)
class Delivery:
    """Takes the items of one run to the table; the run's id is the version of the items."""

    run: RunLedger
    outbound: Outbound
    loader: Loader
    options: LoadOptions

    def deliver(self) -> Counts:
        """Send what is not confirmed yet, in rounds, until every item is; returns the items by fate, all of them ok.

        Raises ``SinkError`` if items are dead: the version is incomplete and must not serve. The run stays
        open.
        """
        rows = self.run.rows()
        again = [RowState.FAILED, RowState.DEAD] if self.options.retry_dead else [RowState.FAILED]
        rounds = 0
        while True:
            refused = self._carry(rows)
            # The books of a large run take seconds to read: only if there is something to find.
            if not (refused or rows["state"].is_in(again).any()):
                break
            rows = self.run.rows()
            planned = next_try(rows, again)
            if not planned.height:
                break
            _LOG.info("run %s: %d items again", self.run.run_id, planned.height)
            chunk_rows = self.options.chunk_rows
            self.run.record_rows(chunked(planned, first=next_chunk(rows), chunk_rows=chunk_rows))
            self.options.retry_wait.wait(rounds)
            rows, again = self.run.rows(), [RowState.FAILED]
            rounds += 1
        counts = self.run.counts()
        if counts.ok != counts.planned or counts.unknown:
            raise self._not_whole(counts)
        return counts

    def _carry(self, rows: pl.DataFrame) -> int:
        """Send the chunks that have items without a fate; returns the number of items that were refused.

        One commit settles a chunk and announces the next.
        """
        waiting = pl.col("state").is_in(_TO_CARRY)
        announced = self.run.jobs().filter(pl.col("state") == JobState.CREATED)["chunk"]
        open_chunks = rows.filter(waiting)["chunk"].append(announced).unique().sort().to_list()
        chunks = rows.filter(pl.col("chunk").is_in(open_chunks)).partition_by("chunk", as_dict=True)
        settled: list[dict[str, object]] = []
        refused = 0
        for number in open_chunks:
            chunk = chunks[(number,)]
            self.run.record_jobs(pl.DataFrame([*settled, self._event(chunk, JobState.CREATED)], strict=False))
            event, count = self._settle(chunk, waiting)
            settled, refused = [event], refused + count
        if settled:
            self.run.record_jobs(pl.DataFrame(settled))
        return refused

    def _settle(self, chunk: pl.DataFrame, waiting: pl.Expr) -> tuple[dict[str, object], int]:
        """Send a chunk; returns the event that says so, once the fates of its items are recorded, and the refused."""
        todo = chunk.filter(waiting)
        refusals = self.loader.load(self.outbound.items(todo["external_id"], self.run.run_id))
        outcomes = self._fates(todo, refusals)
        self.run.record_rows(outcomes)
        done = chunk.filter(~waiting).select("external_id", "state")
        states = pl.concat([done, outcomes.select("external_id", "state")])["state"]
        event, number = self._event(chunk, JobState.COMPLETE, states), chunk["chunk"][0]
        text = "run %s: chunk %d, %d items, %d refused"
        _LOG.info(text, self.run.run_id, number, chunk.height, refusals.height)
        if todo.height and refusals.filter(pl.col("code") != UNPROCESSED).height == todo.height:
            self.run.record_jobs(pl.DataFrame([event]))
            raise SinkError(
                f"DynamoDB refuses every item of chunk {number}: {refusals['message'][0]}. What served before "
                "still serves; fix the cause, then publish with retry_dead"
            )
        return event, refusals.height

    def _fates(self, rows: pl.DataFrame, refusals: pl.DataFrame) -> pl.DataFrame:
        """Fates of the items of a chunk, as events for the ledger."""
        again = (pl.col("code") == UNPROCESSED) & (pl.col("attempt") < self.options.max_attempts)
        plan = rows.select("external_id", "operation", "attempt", "chunk", "payload_hash")
        joined = plan.join(refusals, on="external_id", how="left")
        chunk = rows["chunk"][0] if rows.height else None
        return joined.with_columns(
            state=fate(pl.col("code").is_null(), again), job_id=pl.lit(self._job_id(chunk))
        )

    def _event(
        self, chunk: pl.DataFrame, state: JobState, states: pl.Series | None = None
    ) -> dict[str, object]:
        ok = int((states == RowState.OK).sum()) if states is not None else None
        return job_event(chunk, state, self._job_id(chunk["chunk"][0])) | {
            "ok": ok,
            "failed": None if ok is None else chunk.height - ok,
            "unprocessed": None if ok is None else 0,
        }

    def _job_id(self, chunk: object) -> str:
        return f"{self.run.run_id}/{chunk}"

    def _not_whole(self, counts: Counts) -> SinkError:
        dead = self.run.rows().filter(pl.col("state") == RowState.DEAD)
        reasons = dead["message"].unique().sort().head(3).to_list()
        return SinkError(
            f"version {self.run.run_id} is incomplete: {counts.ok} of {counts.planned} items were confirmed, {counts.dead} "
            f"are dead, for instance {dead['external_id'].head(3).to_list()}: {reasons}. What served before still serves. "
            "Fix the cause, then publish with retry_dead"
        )
