"""Publishing to the embedded org: what arrives, what is sent again, what is refused."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pipelines.errors import ConfigError, DataContractError, SinkError
from pipelines.lab.emulator import Fault
from pipelines.settings import Settings
from pipelines.sinks.diff import OnLeave
from pipelines.sinks.ledger import dead_letters
from pipelines.sinks.ledger_tables import RunState

WEEK = timedelta(days=7)


def replaced(rows: pa.Table, name: str, values: list[Any]) -> pa.Table:
    at = rows.column_names.index(name)
    return rows.set_column(at, name, pa.array(values, rows.schema.field(name).type))


def successes(bench: Any) -> int:
    return sum(row.ok for row in bench.org.audit(bench.target.object))


def test_every_row_arrives_as_it_was_meant(bench: Any) -> None:
    report = bench.publish(bench.rows(50), max_chunk_rows=20)
    assert (report.planned, report.sent, report.ok, report.jobs) == (50, 50, 50, 3)
    assert (report.complete, report.balanced, report.checked) == (True, True, 17)
    held = bench.held()
    assert len(held) == 50
    record = held["ACC-00003"]
    assert record["Reason_1__c"] == 'logins fell, "from" 41\nto 3'
    assert record["Reason_2__c"] == "=1+1 \u2013 caf\u00e9"
    assert (record["As_Of__c"], record["Rank__c"], record["MRR_EUR__c"]) == ("2025-01-06", 4, 199.5)
    accounts = {r["Id"]: r["Millrace_Account_Id__c"] for r in bench.org.records("Account")}
    assert accounts[record["Account__c"]] == "ACC-00003"


def test_the_same_publish_again_stays_off_the_network(bench: Any) -> None:
    first = bench.publish(bench.rows(30))
    requests = bench.org.requests()
    again = bench.publish(bench.rows(30).take(list(range(29, -1, -1))))
    assert again.noop
    assert (again.run_id, again.ok) == (first.run_id, 30)
    assert bench.org.requests() == requests


def test_only_changed_rows_are_sent(bench: Any) -> None:
    rows = bench.rows(30)
    bench.publish(rows)
    scores = rows["Score__c"].to_pylist()
    changed = replaced(rows, "Score__c", [0.5, *scores[1:]])
    report = bench.publish(changed)
    assert (report.planned, report.ok, report.skipped) == (1, 1, 29)
    assert bench.held()["ACC-00000"]["Score__c"] == 0.5
    back = bench.publish(rows)  # the first rows again are a publish of their own, not the first one's no-op
    assert (back.planned, back.noop) == (1, False)
    assert bench.held()["ACC-00000"]["Score__c"] == scores[0]


def test_null_clears_or_keeps_as_the_field_says(bench: Any) -> None:
    rows = replaced(bench.rows(3), "Reason_3__c", ["third"] * 3)
    bench.publish(rows)
    nulls = replaced(replaced(rows, "Reason_3__c", [None, "", None]), "Action__c", [None, "", "call"])
    report = bench.publish(nulls)
    assert report.dead == 0
    held = bench.held()
    assert [held[f"ACC-0000{i}"]["Reason_3__c"] for i in range(3)] == ["third", None, "third"]
    assert [held[f"ACC-0000{i}"]["Action__c"] for i in range(3)] == [None, None, "call"]


@pytest.mark.parametrize("on_leave", list(OnLeave))
def test_leavers_are_deleted_cleared_or_kept(bench: Any, on_leave: OnLeave) -> None:
    bench.publish(bench.rows(20), on_leave=on_leave)
    fewer = bench.rows(18, bench.day + WEEK, first=2)
    report = bench.publish(fewer, as_of=bench.day + WEEK, on_leave=on_leave)
    held = bench.held()
    assert report.deleted == (2 if on_leave is OnLeave.DELETE else 0)
    if on_leave is OnLeave.DELETE:
        assert "ACC-00000" not in held
        assert len(held) == 18
    elif on_leave is OnLeave.CLEAR:
        assert held["ACC-00000"]["Score__c"] is None
        assert held["ACC-00000"]["Account__c"] is not None
    else:
        assert held["ACC-00000"]["As_Of__c"] == "2025-01-06"
    # Next time they are no longer news, and a returning one is published again.
    later = bench.publish(
        bench.rows(19, bench.day + 2 * WEEK, first=1), as_of=bench.day + 2 * WEEK, on_leave=on_leave
    )
    assert (later.planned, later.deleted, later.dead) == (19, 0, 0)
    assert bench.held()["ACC-00001"]["As_Of__c"] == "2025-01-20"


def test_too_many_leavers_stop_the_publish_before_anything_is_sent(bench: Any) -> None:
    bench.publish(bench.rows(20))
    sent = successes(bench)
    with pytest.raises(SinkError, match="15 of 20 published records are no longer wanted"):
        bench.publish(bench.rows(5), as_of=bench.day + WEEK)
    assert (successes(bench), len(bench.held())) == (sent, 20)
    with pytest.raises(SinkError, match="20 of 20 published records"):
        bench.publish(bench.rows(0), as_of=bench.day + WEEK)
    assert bench.publish(bench.rows(5), as_of=bench.day + WEEK, force=True).deleted == 15
    assert bench.publish(bench.rows(0), as_of=bench.day + WEEK, force=True).deleted == 5
    assert bench.held() == {}


def test_a_delete_finds_ids_the_ledger_lacks_and_accepts_what_is_gone(bench: Any) -> None:
    bench.publish(bench.rows(20))
    requests = bench.org.requests()["query"]
    # A person deletes one record by hand; the ledger cannot know.
    identity = bench.held()["ACC-00000"]["Id"]
    connection = bench.connection()
    connection.send("DELETE", f"sobjects/{bench.target.object}/{identity}", repeatable=True)
    report = bench.publish(bench.rows(18, bench.day + WEEK, first=2), as_of=bench.day + WEEK)
    assert (report.deleted, report.dead) == (2, 0)
    assert set(bench.held()) == {f"ACC-{i:05d}" for i in range(2, 20)}
    assert bench.org.requests()["query"] == requests + 1  # the read-back only: the ids were in the ledger


def test_an_older_day_is_refused_unless_forced(bench: Any) -> None:
    bench.publish(bench.rows(5, bench.day + WEEK), as_of=bench.day + WEEK)
    with pytest.raises(
        SinkError, match="already shows 2025-01-13; publishing 2025-01-06 would overwrite newer"
    ):
        bench.publish(bench.rows(5))
    assert bench.held()["ACC-00000"]["As_Of__c"] == "2025-01-13"
    assert bench.publish(bench.rows(5), force=True).ok == 5
    assert bench.held()["ACC-00000"]["As_Of__c"] == "2025-01-06"
    assert bench.ledger.runs()["forced"].to_list() == [False, True]


def test_dry_run_tells_and_changes_nothing(bench: Any) -> None:
    report = bench.publish(bench.rows(20), dry_run=True)
    assert (report.planned, report.skipped, report.sent, report.complete) == (20, 0, 0, False)
    assert [row["External_Id__c"] for row in report.sample] == [f"ACC-0000{i}" for i in range(5)]
    assert report.sample[0]["As_Of__c"] == date(2025, 1, 6)
    assert bench.ledger.newest() is None
    bench.publish(bench.rows(20))
    fewer = bench.rows(18, first=2)
    report = bench.publish(fewer, dry_run=True)
    assert (report.planned, report.deleted, report.run_id) == (18 + 2, 2, None)
    assert len(bench.held()) == 20
    with pytest.raises(SinkError, match="no longer wanted"):
        bench.publish(bench.rows(5), dry_run=True)


def test_rows_that_fail_for_good_are_dead_letters_and_only_they_are_tried_again(bench: Any) -> None:
    rows = bench.rows(20)
    broken = replaced(rows, "Risk_Level__c", ["no such level", *rows["Risk_Level__c"].to_pylist()[1:]])
    report = bench.publish(broken)
    assert (report.ok, report.failed, report.dead, report.complete, report.jobs) == (19, 1, 1, True, 1)
    letters = dead_letters(bench.lake, "salesforce", bench.target.object)
    assert letters.select("external_id", "code").rows() == [
        ("ACC-00000", "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST")
    ]
    assert "no such level" in letters["message"][0]
    assert bench.publish(broken).noop
    again = bench.publish(broken, retry_dead=True)
    assert (again.planned, again.dead, again.skipped) == (1, 1, 19)
    fixed = bench.publish(rows)
    assert (fixed.planned, fixed.ok, fixed.dead) == (1, 1, 0)
    assert dead_letters(bench.lake, "salesforce", bench.target.object).height == 0


def test_locked_rows_are_retried_in_later_jobs(bench: Any) -> None:
    # Two jobs carry 40 and 20 rows, the third those that met locks, the fourth the one that met another.
    bench.org.faults = [
        Fault("lock_row", "job", (1, 2), rows=tuple(range(0, 40, 3))),
        Fault("lock_row", "job", (3,), rows=(7,)),
    ]
    report = bench.publish(bench.rows(60), max_chunk_rows=40)
    assert (report.ok, report.dead, report.jobs, len(bench.held())) == (60, 0, 4, 60)
    assert max(row.ok for row in bench.org.audit(bench.target.object)) == 1
    assert bench.org.outstanding == []
    run = bench.ledger.newest()
    assert run.rows()["attempt"].max() == run.jobs()["attempt"].max() == 3


def test_rows_that_stay_locked_are_dead_after_the_last_attempt(bench: Any) -> None:
    bench.org.faults = [Fault("lock_row", "job")]
    report = bench.publish(bench.rows(10), max_attempts=3)
    assert (report.sent, report.failed, report.dead, report.jobs, report.complete) == (10, 10, 10, 3, True)
    letters = dead_letters(bench.lake, "salesforce", bench.target.object)
    assert set(letters["code"]) == {"UNABLE_TO_LOCK_ROW"}
    assert set(letters["attempt"]) == {3}


def test_rows_of_a_failed_job_are_sent_again_but_not_those_it_did(bench: Any) -> None:
    bench.org.faults = [
        Fault("fail_job", "job", (2,), rows=(13,)),
        Fault("fail_job", "job", (4,), rows=(0,)),
    ]
    report = bench.publish(bench.rows(80), max_chunk_rows=20)
    assert (report.ok, report.dead) == (80, 0)
    assert bench.org.outstanding == []
    assert max(row.ok for row in bench.org.audit(bench.target.object)) == 1
    assert bench.ledger.newest().jobs()["unprocessed"].sum() == 7 + 20


def test_session_that_expires_in_the_middle_is_renewed(bench: Any) -> None:
    kinds = (
        "describe",
        "limits",
        "bulk.create",
        "bulk.upload",
        "bulk.state",
        "bulk.info",
        "bulk.results",
        "query",
    )
    bench.org.faults = [Fault("expire_session", kind, (1,)) for kind in kinds]
    report = bench.publish(bench.rows(40), max_chunk_rows=10)
    assert (report.ok, report.jobs) == (40, 4)
    assert bench.org.outstanding == []
    assert bench.org.requests()["login"] == 1 + len(kinds)


def test_requests_that_break_are_repeated_where_that_is_safe(bench: Any) -> None:
    kinds = (
        "login",
        "describe",
        "limits",
        "bulk.create",
        "bulk.upload",
        "bulk.state",
        "bulk.info",
        "bulk.results",
    )
    names = ("drop_before", "drop_after", "truncate", "server_error", "request_limit")
    bench.org.faults = [Fault(name, kind, (call,)) for kind in kinds for call, name in enumerate(names, 1)]
    report = bench.publish(bench.rows(60), max_chunk_rows=20, max_jobs_per_chunk=20)
    assert (report.ok, report.dead, len(bench.held())) == (60, 0, 60)
    assert max(row.ok for row in bench.org.audit(bench.target.object)) == 1
    assert bench.org.outstanding == []


def test_resend_repairs_what_someone_edited(bench: Any) -> None:
    bench.publish(bench.rows(10))
    identity = bench.held()["ACC-00004"]["Id"]
    body = {"json": {"Action__c": "edited by hand"}}
    bench.connection().send("PATCH", f"sobjects/{bench.target.object}/{identity}", repeatable=True, **body)
    assert bench.publish(bench.rows(10)).noop
    report = bench.publish(bench.rows(10), resend=True)
    assert (report.planned, report.ok) == (10, 10)
    assert bench.held()["ACC-00004"]["Action__c"] == "call"


def test_read_back_notices_what_was_accepted_but_not_stored(bench: Any, monkeypatch: Any) -> None:
    from pipelines.sinks.salesforce import publisher

    def meddled(connection: Any, target: Any, *rest: Any) -> list[str]:
        identity = bench.held()["ACC-00000"]["Id"]
        body = {"json": {"Action__c": "a flow was here"}}
        connection.send("PATCH", f"sobjects/{target.object}/{identity}", repeatable=True, **body)
        return real(connection, target, *rest)

    real = publisher.differences
    monkeypatch.setattr(publisher, "differences", meddled)
    with pytest.raises(SinkError, match="ACC-00000: Action__c was sent as 'call', is 'a flow was here'"):
        bench.publish(bench.rows(10))
    assert bench.ledger.newest().state is RunState.OPEN
    report = bench.publish(bench.rows(10), force=True)  # resumes: nothing is sent again
    assert (report.complete, report.resumed, report.jobs) == (True, True, 1)
    assert "a flow was here" in report.warnings[0]


def test_rows_that_do_not_fit_the_target_are_refused_before_the_network(bench: Any) -> None:
    with pytest.raises(DataContractError, match="missing"):
        bench.publish(bench.rows(3).drop_columns("Action__c"))
    assert bench.org.requests().get("login", 0) == 0


def test_missing_settings_are_named(bench: Any) -> None:
    bench.settings = Settings(var=bench.settings.var)
    with pytest.raises(ConfigError, match="MILLRACE_SALESFORCE__USERNAME"):
        bench.publish(bench.rows(3))


def test_report_is_a_json_able_record(bench: Any) -> None:
    record = bench.publish(bench.rows(5)).record()
    assert record["as_of"] == "2025-01-06"
    assert {record[name] for name in ("planned", "sent", "ok")} == {5}
    assert "sample" not in record


def test_ledger_rows_say_everything_about_a_row(bench: Any) -> None:
    bench.publish(bench.rows(2))
    held = bench.held()
    rows = bench.ledger.newest().rows()
    assert rows["remote_id"].to_list() == [held[f"ACC-0000{i}"]["Id"] for i in range(2)]
    assert pc.unique(rows["state"].to_arrow()).to_pylist() == ["ok"]
    assert rows["job_id"].n_unique() == 1


def test_nothing_wanted_and_nothing_published_is_a_run_too(bench: Any) -> None:
    report = bench.publish(bench.rows(0))
    assert (report.planned, report.skipped, report.jobs, report.complete) == (0, 0, 0, True)
    assert bench.publish(bench.rows(0)).noop
    assert bench.publish(bench.rows(3)).ok == 3
