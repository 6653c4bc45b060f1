"""A publish that was cut short at each step of a chunk is taken up where it stopped."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from pipelines.errors import SinkError
from pipelines.io.lake import Lake
from pipelines.lab.emulator import Emulator, Fault
from pipelines.sinks.ledger import Ledger, RunLedger
from pipelines.sinks.ledger_tables import JobState, RunState
from pipelines.sinks.salesforce import carrier
from pipelines.sinks.salesforce.bulk2 import BulkIngest

ROWS = 30


class Crash(BaseException):
    """Stands for kill -9: nothing in the code may catch it."""


def dies_before(cls: type, method: str, at: int = 1) -> tuple[type, str, Callable[..., Any]]:
    return _dies(cls, method, at, after=False)


def dies_after(cls: type, method: str, at: int = 1) -> tuple[type, str, Callable[..., Any]]:
    return _dies(cls, method, at, after=True)


def _dies(cls: type, method: str, at: int, *, after: bool) -> tuple[type, str, Callable[..., Any]]:
    real, calls = getattr(cls, method), [0]

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        if calls[0] == at and not after:
            raise Crash
        result = real(*args, **kwargs)
        if calls[0] == at:
            raise Crash
        return result

    return cls, method, wrapped


def jobs_in_org(bench: Any) -> dict[str, int]:
    listed = bench.connection().get(bench.connection().bulk_url).json()["records"]
    states = [job["state"] for job in listed]
    return {state: states.count(state) for state in set(states)}


@pytest.mark.parametrize(
    ("crash", "jobs", "states"),
    [
        (dies_before(RunLedger, "record_rows"), 3, {"JobComplete": 3}),
        # The plan is written down, the run that it belongs to is not, or just so.
        (dies_before(Lake, "append", 2), 3, {"JobComplete": 3}),
        (dies_after(Lake, "append", 2), 3, {"JobComplete": 3}),
        # Created in Salesforce, unknown to us: found, aborted, made anew.
        (dies_after(BulkIngest, "create", 2), 3, {"JobComplete": 3, "Aborted": 1}),
        # Known to be created, not uploaded: aborted, made anew.
        (dies_before(BulkIngest, "upload", 2), 4, {"JobComplete": 3, "Aborted": 1}),
        (dies_after(BulkIngest, "upload", 2), 4, {"JobComplete": 3, "Aborted": 1}),
        # Closed: Salesforce processes it, we ask.
        (dies_after(BulkIngest, "close", 2), 3, {"JobComplete": 3}),
        (dies_before(BulkIngest, "results", 5), 3, {"JobComplete": 3}),
        # Results read, some or all of them written down.
        (dies_before(RunLedger, "record_rows", 3), 3, {"JobComplete": 3}),
        (dies_after(RunLedger, "record_rows", 3), 3, {"JobComplete": 3}),
        (dies_after(RunLedger, "record_jobs", 4), 3, {"JobComplete": 3}),
        (dies_before(RunLedger, "close"), 3, {"JobComplete": 3}),
    ],
)
def test_every_row_is_processed_exactly_once(
    bench: Any,
    monkeypatch: Any,
    crash: tuple[type, str, Callable[..., Any]],
    jobs: int,
    states: dict[str, int],
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(*crash)
        with pytest.raises(Crash):
            bench.publish(bench.rows(ROWS), max_chunk_rows=10)
    report = bench.publish(bench.rows(ROWS), max_chunk_rows=10)
    assert (report.ok, report.jobs, report.complete) == (ROWS, jobs, True)
    assert [row.ok for row in bench.org.audit(bench.target.object)] == [1] * ROWS
    assert jobs_in_org(bench) == states
    assert bench.ledger.runs()["state"].to_list() == ["finished"]


def test_a_chunk_size_changed_between_tries_does_no_harm(bench: Any, monkeypatch: Any) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(*dies_after(BulkIngest, "upload", 2))
        with pytest.raises(Crash):
            bench.publish(bench.rows(ROWS), max_chunk_rows=10)
    assert bench.publish(bench.rows(ROWS), max_chunk_rows=7).ok == ROWS
    assert [row.ok for row in bench.org.audit(bench.target.object)] == [1] * ROWS


def test_other_rows_supersede_a_run_after_its_jobs_are_settled(bench: Any, monkeypatch: Any) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(*dies_after(BulkIngest, "close", 2))
        with pytest.raises(Crash):
            bench.publish(bench.rows(ROWS), max_chunk_rows=10)
    later = bench.day + timedelta(days=7)
    report = bench.publish(bench.rows(ROWS, later), as_of=later, max_chunk_rows=10)
    assert (report.ok, report.resumed) == (ROWS, True)
    runs = bench.ledger.runs()
    assert runs.select("state", "sent", "ok", "skipped").rows() == [
        ("superseded", 20, 20, 10),
        ("finished", 30, 30, 0),
    ]
    assert {r["As_Of__c"] for r in bench.held().values()} == {later.isoformat()}
    # The first rows again: their run was superseded, so this is a publish and not a no-op.
    back = bench.publish(bench.rows(ROWS), force=True)
    assert (back.planned, back.noop) == (ROWS, False)


def test_a_run_superseded_by_one_that_never_began_is_not_taken_for_finished(
    bench: Any, monkeypatch: Any
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(*dies_after(BulkIngest, "close", 2))
        with pytest.raises(Crash):
            bench.publish(bench.rows(ROWS), max_chunk_rows=10)
    with monkeypatch.context() as patch:
        patch.setattr(*dies_before(Ledger, "start"))
        with pytest.raises(Crash):
            bench.publish(bench.rows(ROWS, shift=0.01), max_chunk_rows=10)
    assert bench.ledger.newest().state is RunState.SUPERSEDED
    report = bench.publish(bench.rows(ROWS), max_chunk_rows=10)
    assert (report.planned, report.skipped, report.noop, len(bench.held())) == (10, 20, False, ROWS)


def test_a_stray_of_a_superseded_run_is_found_by_the_next_one(bench: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(carrier, "_CLOCK_SKEW", timedelta(0))
    with monkeypatch.context() as patch:
        patch.setattr(*dies_after(BulkIngest, "create"))
        with pytest.raises(Crash):
            bench.publish(bench.rows(ROWS))
    later = bench.day + timedelta(days=7)
    bench.publish(bench.rows(ROWS, later), as_of=later)
    assert jobs_in_org(bench) == {"Aborted": 1, "JobComplete": 1}


def test_strays_of_others_are_left_alone(bench: Any, monkeypatch: Any) -> None:
    foreign = BulkIngest(bench.connection(), "Account", "Millrace_Account_Id__c").create("upsert")["id"]
    with monkeypatch.context() as patch:
        patch.setattr(*dies_after(BulkIngest, "create", 1))
        with pytest.raises(Crash):
            bench.publish(bench.rows(ROWS))
    bench.publish(bench.rows(ROWS))
    bulk = BulkIngest(bench.connection(), "Account", "Millrace_Account_Id__c")
    assert bulk.info(foreign)["state"] == "Open"
    assert jobs_in_org(bench) == {"Open": 1, "Aborted": 1, "JobComplete": 1}
    # By user, by age and by the ledger, one after the other.
    own = BulkIngest(bench.connection(), bench.target.object, bench.target.external_id_field)
    job = own.create("upsert")
    marks = {"created_by": job["createdById"], "created_after": "2020-01-01T00:00:00", "known": set()}
    assert list(own.strays(**marks)) == [job["id"]]
    assert list(own.strays(**marks | {"created_by": "0055f0000000099AAA"})) == []
    assert list(own.strays(**marks | {"created_after": "2999-01-01T00:00:00"})) == []
    assert list(own.strays(**marks | {"known": {job["id"]}})) == []


def test_a_job_that_outlasts_our_patience_is_unknown_and_asked_again(bench: Any) -> None:
    with Emulator(job_latency_seconds=0.8) as slow:
        slow.seed_accounts({"Millrace_Account_Id__c": f"ACC-{i:05d}", "Name": "A"} for i in range(ROWS))
        bench.use(slow)
        report = bench.publish(bench.rows(ROWS), max_chunk_rows=20, poll_timeout_s=0.0)
        assert (report.sent, report.unknown, report.failed, report.complete) == (20, 20, 0, False)
        assert report.balanced
        later = bench.day + timedelta(days=7)
        with pytest.raises(SinkError, match="still running in Salesforce; nothing was sent"):
            bench.publish(bench.rows(ROWS, later), as_of=later, poll_timeout_s=0.0)
        report = bench.publish(bench.rows(ROWS), max_chunk_rows=20)
        assert (report.ok, report.unknown, report.jobs, report.complete) == (ROWS, 0, 2, True)
        assert [row.ok for row in slow.audit(bench.target.object)] == [1] * ROWS


def test_rows_of_a_job_that_salesforce_forgot_are_sent_again(bench: Any, monkeypatch: Any) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(*dies_before(RunLedger, "record_rows", 2))
        with pytest.raises(Crash):
            bench.publish(bench.rows(ROWS))
    (job,) = bench.ledger.job_ids()
    bench.connection().send("DELETE", f"{bench.connection().bulk_url}/{job}", repeatable=True)
    report = bench.publish(bench.rows(ROWS))
    assert (report.ok, report.jobs, report.dead) == (ROWS, 2, 0)
    # The one case in which a row may be processed twice: nobody can say what the lost job did.
    assert [row.ok for row in bench.org.audit(bench.target.object)] == [2] * ROWS
    assert bench.ledger.newest().jobs()["state"].to_list() == [JobState.GONE, JobState.COMPLETE]


def test_an_outage_leaves_a_run_that_the_next_call_ends(bench: Any) -> None:
    bench.org.faults = [Fault("unavailable", "bulk.info")]
    with pytest.raises(SinkError, match=r"did not complete GET .* in 10 tries"):
        bench.publish(bench.rows(ROWS))
    run = bench.ledger.newest()
    assert run.state is RunState.OPEN
    assert (run.counts().sent, run.counts().unknown) == (ROWS, ROWS)
    bench.org.faults = []
    assert bench.publish(bench.rows(ROWS)).ok == ROWS
    assert [row.ok for row in bench.org.audit(bench.target.object)] == [1] * ROWS


def test_uploads_that_always_break_are_given_up_and_resumed(bench: Any) -> None:
    bench.org.faults = [Fault("drop_after", "bulk.upload")]
    with pytest.raises(SinkError, match="could not be handed to Salesforce in 3 jobs"):
        bench.publish(bench.rows(ROWS), max_jobs_per_chunk=3)
    bench.org.faults = []
    report = bench.publish(bench.rows(ROWS))
    assert (report.ok, report.jobs) == (ROWS, 4)
    assert jobs_in_org(bench) == {"Aborted": 3, "JobComplete": 1}


def test_results_that_do_not_name_every_row_fail_loudly(bench: Any, monkeypatch: Any) -> None:
    real = BulkIngest.results

    def loses_one(self: BulkIngest, job_id: str, kind: str, columns: dict[str, str]) -> Any:
        found = real(self, job_id, kind, columns)
        return found.head(ROWS - 1)

    with monkeypatch.context() as patch:
        patch.setattr(BulkIngest, "results", loses_one)
        with pytest.raises(
            SinkError, match="does not account for its rows: 30 rows were sent and 29 results"
        ):
            bench.publish(bench.rows(ROWS))
    assert bench.ledger.newest().counts().unknown == ROWS
    assert bench.publish(bench.rows(ROWS)).ok == ROWS
    assert [row.ok for row in bench.org.audit(bench.target.object)] == [1] * ROWS
