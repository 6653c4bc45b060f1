from __future__ import annotations

import re
import time

import pytest
import requests
from simple_salesforce.exceptions import SalesforceError, SalesforceExpiredSession

from pipelines.lab.emulator import Emulator, Fault
from pipelines.lab.emulator.errors import ApiError
from pipelines.lab.emulator.http import Request
from pipelines.lab.faults import Injector, schedule


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("unavailable", 503, "SERVER_UNAVAILABLE"),
        ("server_error", 500, "UNKNOWN_EXCEPTION"),
        ("request_limit", 403, "REQUEST_LIMIT_EXCEEDED"),
        ("expire_session", 401, "INVALID_SESSION_ID"),
    ],
)
def test_refusals_answer_as_documented_and_process_nothing(
    org, sf, fault: str, status: int, code: str
) -> None:
    """REST API Developer Guide, "Status Codes and Error Responses": 401, 403, 500, 503."""
    org.faults = [Fault(fault, "record.create")]
    with pytest.raises(SalesforceError) as caught:
        sf.Account.create({"Name": "x"})
    assert (caught.value.status, caught.value.content[0]["errorCode"]) == (status, code)
    assert org.records("Account") == []
    assert org.injected == {fault: 1}


def test_an_expired_session_stays_expired(org, sf, connect) -> None:
    org.faults = [Fault("expire_session", calls=(1,))]
    with pytest.raises(SalesforceExpiredSession):
        sf.limits()
    with pytest.raises(SalesforceExpiredSession):
        sf.limits()
    assert connect(org).limits()["DailyApiRequests"]


@pytest.mark.parametrize(("fault", "processed"), [("drop_before", 0), ("drop_after", 1)])
def test_a_dropped_connection_has_no_answer(org, sf, fault: str, processed: int) -> None:
    org.faults = [Fault(fault, "record.create")]
    with pytest.raises(requests.exceptions.ConnectionError):
        sf.Account.create({"Name": "x"})
    assert len(org.records("Account")) == processed


def test_a_truncated_answer_was_processed(org, sf) -> None:
    org.faults = [Fault("truncate", "record.create")]
    with pytest.raises(requests.exceptions.RequestException) as caught:
        sf.Account.create({"Name": "x"})
    assert isinstance(
        caught.value, requests.exceptions.ChunkedEncodingError | requests.exceptions.ConnectionError
    )
    assert len(org.records("Account")) == 1


def test_silence_times_out_at_the_client_and_the_request_is_processed_all_the_same(org, sf) -> None:
    """A client time-out says nothing about what the service did."""
    org.faults = [Fault("silence", "record.create")]
    with pytest.raises(requests.exceptions.ReadTimeout):
        sf.session.post(
            f"{sf.base_url}sobjects/Account", json={"Name": "x"}, headers=sf.headers, timeout=(5, 0.2)
        )
    deadline = time.monotonic() + 20
    while not org.records("Account") and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(org.records("Account")) == 1
    assert org.injected == {"silence": 1}


def test_rows_meet_locks(org, sf, new_job) -> None:
    """StatusCode UNABLE_TO_LOCK_ROW; the other rows of the job are written."""
    org.faults = [Fault("lock_row", "job", (1,), rows=tuple(range(0, 200, 3)))]
    job = new_job(sf)
    info = job.run("External_Id__c\n" + "".join(f"S{i}\n" for i in range(200)))
    locked = job.results("failedResults").count(
        "UNABLE_TO_LOCK_ROW:unable to obtain exclusive access to this record or 1 records:--"
    )
    assert info["numberRecordsFailed"] == locked == 67
    kept = {record["External_Id__c"] for record in org.records("Churn_Score__c")}
    assert kept == {f"S{i}" for i in range(200) if i % 3}


def test_a_job_fails_in_the_middle_and_keeps_what_it_did(org, sf, new_job) -> None:
    """ "Job data that was successfully processed isn't rolled back"."""
    org.faults = [Fault("fail_job", "job", (1,), rows=(42,))]
    job = new_job(sf)
    info = job.run("External_Id__c\n" + "".join(f"S{i}\n" for i in range(100)))
    done, left = job.results("successfulResults"), job.results("unprocessedRecords")
    assert info["state"] == "Failed"
    assert info["errorMessage"]
    assert info["numberRecordsProcessed"] == len(org.records("Churn_Score__c")) == 42
    assert (done.count("\n"), left.count("\n")) == (42 + 1, 58 + 1)


def test_a_fault_meets_the_calls_of_its_kind_that_the_schedule_names() -> None:
    injector = Injector(
        ("unavailable", "truncate"),
        [
            Fault("unavailable", "bulk.upload", (1, 3)),
            Fault("truncate", calls=(1, 3)),
            Fault("truncate", "query"),
        ],
    )
    kinds = ("limits", "bulk.upload", "bulk.upload", "query", "bulk.upload", "bulk.upload")
    met = [injector.next("request", kind) for kind in kinds]
    assert [fault and fault.name for fault in met] == [
        "truncate", "unavailable", "truncate", "truncate", "unavailable", None,
    ]  # fmt: skip
    assert injector.injected == {"truncate": 3, "unavailable": 2}
    assert injector.outstanding == []


def test_what_did_not_happen_is_named() -> None:
    faults = [Fault("truncate", "query", (1, 2)), Fault("truncate", "limits"), Fault("lock_row", "job", (1,))]
    injector = Injector(("truncate", "lock_row"), faults)
    injector.next("request", "query")
    assert injector.outstanding == ["lock_row at job 1", "truncate at limits", "truncate at query 2"]
    injector.replace(faults[:1])
    assert injector.outstanding == ["truncate at query 1", "truncate at query 2"]


def test_faults_are_set_over_http_and_refused_if_they_make_no_sense(org: Emulator, sf) -> None:
    url = f"{org.url}/_emulator/faults"
    wanted = (Fault("unavailable", "query", (1, 4)), Fault("lock_row", "job", rows=(0,)))
    assert sf.session.put(url, json=[vars(fault) for fault in wanted]).status_code == 200
    assert org.faults == wanted
    assert schedule(sf.session.get(url).content) == wanted
    for refused, why in (
        ({"name": "truncate"}, "faults must be a list"),
        ([{"kind": "query"}], "faults must be a list of objects with a name"),
        (
            [{"name": "truncate", "share": 0.5}],
            r"a fault has \['calls', 'kind', 'name', 'rows'\], got \['share'\]",
        ),
        ([{"name": "truncate", "calls": [0]}], "calls of truncate must be integers from 1"),
        ([{"name": "lock_row", "rows": 3}], "rows of lock_row must be integers from 0"),
        ([{"name": "gremlins"}], "faults must be among"),
    ):
        answer = sf.session.put(url, json=refused)
        assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, "INVALID_FAULTS")
        assert re.search(why, answer.json()[0]["message"])
    assert org.faults == wanted


def test_control_requests_meet_no_faults_and_need_no_session(org: Emulator, sf) -> None:
    org.faults = [Fault("drop_before")]
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(org.ca_bundle)
        assert session.get(f"{org.url}/_emulator/health").json() == {"status": "ok"}
        seeded = session.post(
            f"{org.url}/_emulator/records/Account?key=Millrace_Account_Id__c",
            json=[{"Name": "x", "Millrace_Account_Id__c": "A1"}],
        )
        assert seeded.json() == {"seeded": 1}
        (record,) = session.get(f"{org.url}/_emulator/records/Account").json()
        assert record["Millrace_Account_Id__c"] == "A1"
        refused = session.post(f"{org.url}/_emulator/records/Account?key=Id", json=[{"Id": "x"}])
        assert refused.status_code == 400
        audit = session.get(f"{org.url}/_emulator/audit").json()
        assert audit == {"requests": {"login": 1}, "injected": {}, "processed": []}
        assert session.post(f"{org.url}/_emulator/reset").status_code == 204
        assert org.records("Account") == []
        assert org.faults == ()
        assert session.get(f"{org.url}/_emulator/nothing").status_code == 404


def test_other_machines_do_not_control_the_emulator() -> None:
    request = Request("GET", "/_emulator/health", {}, {}, b"", local=False)
    with Emulator() as closed, Emulator(remote_control=True) as opened:
        with pytest.raises(ApiError, match="404 NOT_FOUND"):
            closed.control.answer(request)
        assert opened.control.answer(request).status == 200
