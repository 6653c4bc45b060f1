"""Folding events: every row has one fate, and a lost one is noticed."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from pipelines.errors import SinkError
from pipelines.sinks.fold import check_balance, count, latest_rows, published
from pipelines.sinks.ledger_tables import JOB_GONE, UNKNOWN_HASH

ROW = {
    "seq": pl.Int64,
    "external_id": pl.String,
    "operation": pl.String,
    "state": pl.String,
    "attempt": pl.Int64,
    "chunk": pl.Int64,
    "payload_hash": pl.String,
    "base_hash": pl.String,
    "remote_id": pl.String,
    "code": pl.String,
}
JOB = {
    "seq": pl.Int64,
    "chunk": pl.Int64,
    "state": pl.String,
    "job_id": pl.String,
    "rows": pl.Int64,
    "ok": pl.Int64,
    "failed": pl.Int64,
    "unprocessed": pl.Int64,
}


def row(
    seq: int, name: str, state: str, chunk: int | None = 0, attempt: int = 1, **more: Any
) -> dict[str, Any]:
    given = {"seq": seq, "external_id": name, "state": state, "chunk": chunk, "attempt": attempt}
    return {"operation": "upsert", "payload_hash": f"new-{name}", "base_hash": f"old-{name}"} | given | more


def job(seq: int, chunk: int, state: str, rows: int = 1, **more: Any) -> dict[str, Any]:
    return {"seq": seq, "chunk": chunk, "state": state, "job_id": f"j{chunk}", "rows": rows, **more}


def rows(*events: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(events, schema=ROW)


def jobs(*events: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(events, schema=JOB)


@pytest.mark.parametrize(
    ("job_states", "state", "sent", "unknown"),
    [
        ([], "planned", 0, 0),
        (["created"], "sent", 1, 1),
        (["created", "unknown"], "unknown", 1, 1),
        (["created", "aborted"], "planned", 0, 0),
        (["created", "aborted", "created"], "sent", 1, 1),
    ],
)
def test_a_planned_row_is_seen_through_its_job(
    job_states: list[str], state: str, sent: int, unknown: int
) -> None:
    events, carried = rows(row(1, "a", "planned")), jobs(*(job(i, 0, s) for i, s in enumerate(job_states)))
    assert latest_rows(events, carried)["state"].to_list() == [state]
    counts = count(events, carried)
    assert (counts.planned, counts.sent, counts.unknown, counts.balanced) == (1, sent, unknown, True)


def test_counts_of_a_run_with_every_fate() -> None:
    events = rows(
        *(row(1, name, "planned") for name in "abcd"),
        row(1, "e", "planned", chunk=1),
        row(1, "f", "skipped", chunk=None, attempt=0, code="UNCHANGED"),
        row(1, "g", "planned", operation="delete"),
        row(2, "a", "ok"),
        row(2, "b", "failed"),
        row(2, "c", "dead"),
        row(2, "d", "failed"),
        row(2, "g", "ok", operation="delete"),
        row(3, "d", "planned", chunk=2, attempt=2),
    )
    carried = jobs(
        job(1, 0, "created", rows=5),
        job(2, 0, "complete", rows=5, ok=2, failed=3, unprocessed=0),
        job(3, 1, "created"),
    )
    counts = count(events, carried)
    assert vars(counts) == {
        "planned": 6, "sent": 6, "ok": 2, "failed": 3, "unknown": 1, "skipped": 1, "deleted": 1, "dead": 1,
    }  # fmt: skip
    check_balance(counts, carried, latest_rows(events, carried), "run")


def test_order_of_events_is_their_seq_and_repeats_do_no_harm() -> None:
    events = rows(row(3, "a", "ok"), row(1, "a", "planned"), row(2, "a", "ok"), row(3, "a", "ok"))
    carried = jobs(job(1, 0, "created"), job(4, 0, "complete", ok=1, failed=0, unprocessed=0))
    assert count(events.unique(), carried) == count(events.sample(fraction=1, shuffle=True, seed=1), carried)
    assert latest_rows(events, carried)["state"].to_list() == ["ok"]


def test_a_row_that_its_answered_job_lost_breaks_the_balance() -> None:
    events = rows(row(1, "a", "planned"), row(1, "b", "planned"), row(2, "a", "ok"))
    carried = jobs(job(1, 0, "created", rows=2), job(2, 0, "complete", rows=2, ok=2, failed=0, unprocessed=0))
    counts = count(events, carried)
    assert not counts.balanced
    with pytest.raises(SinkError, match=r"2 != 1 \+ 0 \+ 0.*1 rows of answered jobs have no outcome.*'b'"):
        check_balance(counts, carried, latest_rows(events, carried), "run")


def test_a_job_whose_results_do_not_add_up_breaks_the_balance() -> None:
    events = rows(row(1, "a", "planned"), row(2, "a", "ok"))
    carried = jobs(job(2, 0, "complete", rows=2, ok=1, failed=0, unprocessed=0))
    with pytest.raises(SinkError, match=r"job j0: rows must be ok \+ failed \+ unprocessed, got 2 != 1"):
        check_balance(count(events, carried), carried, latest_rows(events, carried), "run")


def test_published_is_what_the_sink_holds_after_the_run() -> None:
    events = rows(
        row(1, "ok", "ok", remote_id="r1"),
        row(1, "cleared", "ok", operation="clear"),
        row(1, "deleted", "ok", operation="delete", payload_hash=None),
        row(1, "kept", "skipped", payload_hash=None),
        row(1, "failed", "dead"),
        row(1, "new and failed", "dead", base_hash=None),
        row(1, "not deleted", "dead", operation="delete", payload_hash=None),
        row(1, "in flight", "planned", base_hash=None),
        row(1, "forgotten", "failed", code=JOB_GONE, base_hash=None),
    )
    holds = published(latest_rows(events, jobs(job(1, 0, "created"))))
    assert dict(holds.select("external_id", "hash").iter_rows()) == {
        "ok": "new-ok",
        "cleared": "new-cleared",
        "kept": "old-kept",
        "failed": "old-failed",
        "not deleted": "old-not deleted",
        "in flight": UNKNOWN_HASH,
        "forgotten": UNKNOWN_HASH,
    }
    assert holds.filter(pl.col("external_id") == "ok")["remote_id"].to_list() == ["r1"]
