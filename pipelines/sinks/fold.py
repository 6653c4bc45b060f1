"""Folds of ledger events into present states, counts and what the sink holds (pure, columnar)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from pipelines.errors import SinkError
from pipelines.sinks.ledger_tables import JOB_GONE, UNKNOWN_HASH, JobState, Operation, RowState

#: A chunk in one of these states may have reached the sink.
_REACHED = (JobState.CREATED, JobState.UNKNOWN, JobState.GONE, JobState.COMPLETE)


@dataclass(frozen=True)
class Counts:
    """Rows of a run by fate.

    ``planned`` rows are to be sent; ``sent`` were part of a job that reached the sink;
    ``dead`` is part of ``failed`` and ``deleted`` part of ``ok``.
    """

    planned: int = 0
    sent: int = 0
    ok: int = 0
    failed: int = 0
    unknown: int = 0
    skipped: int = 0
    deleted: int = 0
    dead: int = 0

    @property
    def balanced(self) -> bool:
        """Whether every row that was sent has exactly one fate."""
        return self.sent == self.ok + self.failed + self.unknown


def latest_jobs(events: pl.DataFrame) -> pl.DataFrame:
    """Newest event of each chunk, ordered by chunk."""
    return events.sort("seq").unique("chunk", keep="last", maintain_order=True).sort("chunk")


def latest_rows(events: pl.DataFrame, jobs: pl.DataFrame) -> pl.DataFrame:
    """Newest event of each row of a run, with ``state`` as seen through the job that carries it; one row per external id.

    ``events`` are in the columns of :data:`~pipelines.sinks.ledger_tables.ROWS`; ``jobs`` are the events of the
    same run's jobs, folded or not. The additional column ``settled`` is false for a row whose job is complete
    although it has no outcome, which must never happen.
    """
    chunks = latest_jobs(jobs).select("chunk", pl.col("state").alias("job_state"))
    planned = pl.col("state") == RowState.PLANNED
    by_job = {JobState.CREATED.value: RowState.SENT.value, JobState.UNKNOWN.value: RowState.UNKNOWN.value}
    carried = pl.col("job_state").replace_strict(by_job, default=None, return_dtype=pl.String)
    lost = planned & pl.col("job_state").is_in([JobState.COMPLETE.value, JobState.GONE.value])
    return (
        events.sort("seq")
        .unique("external_id", keep="last", maintain_order=True)
        .join(chunks, on="chunk", how="left")
        .with_columns(
            state=pl.coalesce(pl.when(planned).then(carried), "state"), settled=~lost.fill_null(value=False)
        )
        .drop("job_state")
        .sort("external_id")
    )


def count(events: pl.DataFrame, jobs: pl.DataFrame, rows: pl.DataFrame | None = None) -> Counts:
    """Count the rows of a run by fate; ``rows`` are the folded events if they are at hand.

    ``sent`` is counted from plans and jobs, the outcomes from the rows' own events: the two sides
    of ``sent = ok + failed + unknown`` come from different facts.
    """
    rows = latest_rows(events, jobs) if rows is None else rows
    reached = latest_jobs(jobs).filter(pl.col("state").is_in([s.value for s in _REACHED])).select("chunk")
    sent = events.filter(pl.col("state") == RowState.PLANNED).join(reached, on="chunk", how="semi")
    state = pl.col("state")
    waiting_again = (state == RowState.PLANNED) & (pl.col("attempt") > 1) & pl.col("settled")
    ok = state == RowState.OK
    found = rows.select(
        planned=(state != RowState.SKIPPED).sum(),
        ok=ok.sum(),
        failed=(state.is_in([RowState.FAILED.value, RowState.DEAD.value]) | waiting_again).sum(),
        unknown=state.is_in([RowState.SENT.value, RowState.UNKNOWN.value]).sum(),
        skipped=(state == RowState.SKIPPED).sum(),
        deleted=(ok & (pl.col("operation") == Operation.DELETE)).sum(),
        dead=(state == RowState.DEAD).sum(),
    ).row(0, named=True)
    return Counts(sent=sent["external_id"].n_unique(), **found)


def check_balance(counts: Counts, jobs: pl.DataFrame, rows: pl.DataFrame, run_id: str) -> None:
    """Check the run as a whole and each answered job by itself; a row that is lost or counted twice is an error."""
    problems = []
    if not counts.balanced:
        problems.append(
            f"sent must be ok + failed + unknown, got {counts.sent} != "
            f"{counts.ok} + {counts.failed} + {counts.unknown}"
        )
    answered = latest_jobs(jobs).filter(pl.col("state") == JobState.COMPLETE)
    off = answered.filter(pl.col("rows") != pl.col("ok") + pl.col("failed") + pl.col("unprocessed"))
    problems += [
        f"job {job['job_id']}: rows must be ok + failed + unprocessed, got {job['rows']} != "
        f"{job['ok']} + {job['failed']} + {job['unprocessed']}"
        for job in off.head(5).iter_rows(named=True)
    ]
    lost = rows.filter(~pl.col("settled"))
    if lost.height:
        ids = lost["external_id"].head(5).to_list()
        problems.append(f"{lost.height} rows of answered jobs have no outcome, for instance {ids}")
    if problems:
        raise SinkError(f"the ledger of run {run_id} does not balance: {'; '.join(problems)}")


def fate(done: pl.Expr, again: pl.Expr) -> pl.Expr:
    """State of a row that was answered: ok if done, else failed if it may be tried again, else dead."""
    return (
        pl.when(done)
        .then(pl.lit(RowState.OK.value))
        .when(again)
        .then(pl.lit(RowState.FAILED.value))
        .otherwise(pl.lit(RowState.DEAD.value))
    )


def job_event(
    chunk: pl.DataFrame, state: JobState, job_id: str, operation: str = "upsert"
) -> dict[str, object]:
    """Event that says how far the job of a chunk of folded rows is."""
    return {
        "chunk": chunk["chunk"][0],
        "attempt": chunk["attempt"].max(),
        "operation": operation,
        "state": state.value,
        "rows": chunk.height,
        "job_id": job_id,
    }


def next_try(rows: pl.DataFrame, states: Sequence[RowState]) -> pl.DataFrame:
    """Plan another try of the folded rows in these states, without chunks."""
    return rows.filter(pl.col("state").is_in(states)).select(
        "external_id",
        "operation",
        "payload_hash",
        "base_hash",
        "remote_id",
        attempt=pl.col("attempt") + 1,
        state=pl.lit(RowState.PLANNED.value),
    )


def next_chunk(rows: pl.DataFrame) -> int:
    """Number of the first chunk that a run does not have yet."""
    return int(str(rows["chunk"].max())) + 1


def published(rows: pl.DataFrame) -> pl.DataFrame:
    """Tell which records the sink holds after a run with these folded rows, as far as the ledger knows.

    Returns ``external_id``, ``hash``, ``remote_id``; one row per record, ordered by external id.
    """
    state, operation = pl.col("state"), pl.col("operation")
    in_doubt = state.is_in([RowState.SENT.value, RowState.UNKNOWN.value]) | pl.col("code").eq_missing(
        JOB_GONE
    )
    held = (
        pl.when(in_doubt)
        .then(pl.lit(UNKNOWN_HASH))
        .when((state == RowState.OK) & (operation == Operation.DELETE))
        .then(None)
        .when(state == RowState.OK)
        .then(pl.col("payload_hash"))
        .otherwise(pl.col("base_hash"))
    )
    return rows.select("external_id", "remote_id", hash=held).drop_nulls("hash").sort("external_id")
