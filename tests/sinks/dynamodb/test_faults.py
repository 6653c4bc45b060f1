"""A bad day: throttling, items handed back, lost answers. Nothing is lost, nothing is counted twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import polars as pl
import pytest

from pipelines.errors import SinkError
from pipelines.lab.faults import Fault
from pipelines.sinks.backoff import Backoff
from pipelines.sinks.errors import SinkUnavailableError
from pipelines.sinks.ledger import RunLedger
from pipelines.sinks.ledger_tables import RowState

DAY = date(2026, 1, 5)
#: 24 of the first 36 writes fail. Without faults 16 do the work, so whichever thread is served first, all 36 come.
BAD = (
    Fault("throttle", "BatchWriteItem", tuple(range(1, 34, 3))),
    Fault("drop_after", "BatchWriteItem", (2, 11, 20, 29)),
    Fault("partial", "BatchWriteItem", (5, 14, 23, 32, 36)),
    Fault("drop_before", "BatchWriteItem", (8, 26)),
    Fault("server_error", "BatchWriteItem", (17, 35)),
    Fault("drop_after", "PutItem", (1, 4)),  # of the version, of the pointer
    Fault("server_error", "GetItem", (1,)),
    Fault("partial", "BatchGetItem", (1,)),
    Fault("throttle", "BatchGetItem", (2,)),
)
PATIENT = Backoff(attempts=40, base_s=0.0005, cap_s=0.004)


@pytest.mark.chaos
def test_faults_lose_nothing_and_count_nothing_twice(bench: Any) -> None:
    bench.options = replace(bench.options, http=PATIENT, retry_wait=PATIENT)
    bench.publish(bench.rows(20))
    bench.proxy.use(*BAD)
    rows = bench.rows(400, shift=0.25)
    report = bench.publish(rows, chunk_rows=150)
    assert bench.proxy.injector.outstanding == []
    bench.proxy.use()
    assert (report.planned, report.sent, report.ok) == (400, 400, 400)
    assert (report.failed, report.unknown, report.dead, report.complete) == (0, 0, 0, True)
    assert (report.facts["requests"], report.facts["repeated_requests"]) == (16 + 24, 24)
    assert bench.keys(report.run_id) == sorted(rows["item_key"].to_pylist())
    found = bench.reader.get_many(rows["item_key"].to_pylist())
    assert found.pointer.version == report.run_id
    assert {key: float(item["units"]) for key, item in found.found.items()} == dict(
        zip(rows["item_key"].to_pylist(), rows["units"].to_pylist(), strict=True)
    )
    run = bench.ledger.newest()
    fates = run.rows()
    assert fates["external_id"].n_unique() == fates.height == 400
    assert set(fates["state"]) == {RowState.OK}
    jobs = run.jobs()
    assert jobs.select("rows", "ok", "failed").rows() == [(150, 150, 0), (150, 150, 0), (100, 100, 0)]


@pytest.mark.chaos
def test_a_service_that_stays_away_leaves_unknown_items_which_the_next_call_settles(bench: Any) -> None:
    first = bench.publish(bench.rows(50))
    batches = 0

    def hook(operation: str, _: dict[str, Any]) -> Any:
        nonlocal batches
        batches += operation == "BatchWriteItem"
        if operation == "BatchWriteItem" and batches > 3:
            return 400, {"__type": "x#ThrottlingException", "message": "too much"}
        return None

    bench.proxy.hook = hook
    impatient = replace(bench.options.http, attempts=2)
    with pytest.raises(
        SinkUnavailableError, match=r"in 2 tries, last: .*ThrottlingException too much.*resumes"
    ):
        bench.publish(bench.rows(200, shift=1), chunk_rows=50, threads=1, http=impatient)
    run = bench.ledger.newest()
    counts = run.counts()
    assert (counts.planned, counts.sent, counts.ok, counts.unknown) == (200, 100, 50, 50)
    assert counts.balanced
    assert bench.reader.current().version == first.run_id
    assert len(bench.keys(run.run_id)) == 75, "a batch of the unknown ones arrived"
    bench.proxy.hook = None
    before = bench.proxy.requests["BatchWriteItem"]
    report = bench.publish(bench.rows(200, shift=1), chunk_rows=50)
    assert (report.run_id, report.resumed, report.ok, report.unknown) == (run.run_id, True, 200, 0)
    assert bench.proxy.requests["BatchWriteItem"] - before == 6, "the confirmed chunk is not sent again"
    assert len(bench.keys(run.run_id)) == 200
    planned = bench.ledger.newest().rows().filter(pl.col("attempt") > 1)
    assert planned.height == 0, "a chunk that is carried again is the same try"


@pytest.mark.chaos
def test_a_crash_between_the_fates_of_a_chunk_and_its_end_sends_nothing_again(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(self: RunLedger, jobs: pl.DataFrame) -> None:
        if "complete" in jobs["state"]:
            raise KeyboardInterrupt
        record(self, jobs)

    record = RunLedger.record_jobs
    with monkeypatch.context() as patch:
        patch.setattr(RunLedger, "record_jobs", die)
        with pytest.raises(KeyboardInterrupt):
            bench.publish(bench.rows(60), chunk_rows=30)
    assert bench.ledger.newest().counts().ok == 30
    before = bench.proxy.requests["BatchWriteItem"]
    report = bench.publish(bench.rows(60), chunk_rows=30)
    assert bench.proxy.requests["BatchWriteItem"] - before == 2, "the second chunk only"
    assert (report.resumed, report.sent, report.ok, report.balanced) == (True, 60, 60, True)
    jobs = bench.ledger.newest().jobs()
    assert jobs.select("state", "rows", "ok").rows() == [("complete", 30, 30), ("complete", 30, 30)]


@pytest.mark.chaos
def test_a_batch_that_fails_stops_the_others(bench: Any) -> None:
    def hook(operation: str, body: dict[str, Any]) -> Any:
        if operation == "BatchWriteItem":
            return 400, {"__type": "x#ResourceNotFoundException", "message": "the table is gone"}
        return None

    bench.proxy.hook = hook
    with pytest.raises(SinkError, match="ResourceNotFoundException the table is gone"):
        bench.publish(bench.rows(500), threads=2)
    assert bench.proxy.requests["BatchWriteItem"] <= 2, "one of each thread, and not all twenty"


def test_an_item_handed_back_that_was_never_sent_stops_the_publish(bench: Any) -> None:
    def hook(operation: str, body: dict[str, Any]) -> Any:
        if operation == "BatchWriteItem":
            ((table, puts),) = body["RequestItems"].items()
            stranger = {
                "PutRequest": {"Item": {**puts[0]["PutRequest"]["Item"], "pk": {"S": "demand#stranger"}}}
            }
            return 200, {"UnprocessedItems": {table: [stranger]}}
        return None

    bench.proxy.hook = hook
    with pytest.raises(SinkError, match="handed 1 items back of a batch of 5, of which 0 are in the batch"):
        bench.publish(bench.rows(5))
    assert bench.ledger.newest().counts().unknown == 5


def test_items_stored_otherwise_than_confirmed_keep_the_version_from_serving(bench: Any) -> None:
    first = bench.publish(bench.rows(5))

    def hook(operation: str, _: dict[str, Any]) -> Any:
        if operation == "BatchWriteItem":  # confirmed, but not there
            return 200, {"UnprocessedItems": {}}
        return None

    bench.proxy.hook = hook
    with pytest.raises(
        SinkError, match=r"holds 5 of 5 sampled items of version .* that differ from what it confirmed"
    ):
        bench.publish(bench.rows(5, shift=3))
    assert bench.reader.current().version == first.run_id
