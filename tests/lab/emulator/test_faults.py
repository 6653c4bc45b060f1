from __future__ import annotations

import time

import pytest
import requests
from simple_salesforce.exceptions import SalesforceError, SalesforceExpiredSession

from pipelines.lab.emulator import Emulator, Faults
from pipelines.lab.emulator.errors import ApiError
from pipelines.lab.emulator.faults import REQUEST_FAULTS, Injector
from pipelines.lab.emulator.http import Request


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
    org.faults = Faults(**{fault: 1.0}, kinds=("record.create",))
    with pytest.raises(SalesforceError) as caught:
        sf.Account.create({"Name": "x"})
    assert (caught.value.status, caught.value.content[0]["errorCode"]) == (status, code)
    assert org.records("Account") == []
    assert org.injected == {fault: 1}


def test_an_expired_session_stays_expired(org, sf, connect) -> None:
    org.faults = Faults(expire_session=1.0, at_most=1)
    with pytest.raises(SalesforceExpiredSession):
        sf.limits()
    with pytest.raises(SalesforceExpiredSession):
        sf.limits()
    assert connect(org).limits()["DailyApiRequests"]


@pytest.mark.parametrize(("fault", "processed"), [("drop_before", 0), ("drop_after", 1)])
def test_a_dropped_connection_has_no_answer(org, sf, fault: str, processed: int) -> None:
    org.faults = Faults(**{fault: 1.0}, kinds=("record.create",))
    with pytest.raises(requests.exceptions.ConnectionError):
        sf.Account.create({"Name": "x"})
    assert len(org.records("Account")) == processed


def test_a_truncated_answer_was_processed(org, sf) -> None:
    org.faults = Faults(truncate=1.0, kinds=("record.create",))
    with pytest.raises(requests.exceptions.RequestException) as caught:
        sf.Account.create({"Name": "x"})
    assert isinstance(
        caught.value, requests.exceptions.ChunkedEncodingError | requests.exceptions.ConnectionError
    )
    assert len(org.records("Account")) == 1


def test_a_slow_answer_times_out_at_the_client_and_is_processed_all_the_same(org, sf) -> None:
    """A client time-out says nothing about what the service did."""
    org.faults = Faults(slow=1.0, slow_seconds=1.0, kinds=("record.create",))
    with pytest.raises(requests.exceptions.ReadTimeout):
        sf.session.post(
            f"{sf.base_url}sobjects/Account", json={"Name": "x"}, headers=sf.headers, timeout=(5, 0.2)
        )
    deadline = time.monotonic() + 20
    while not org.records("Account") and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(org.records("Account")) == 1
    assert org.injected == {"slow": 1}


def test_rows_meet_locks(org, sf, new_job) -> None:
    """StatusCode UNABLE_TO_LOCK_ROW; the other rows of the job are written."""
    org.faults = Faults(seed=7, lock_row=0.3)
    job = new_job(sf)
    info = job.run("External_Id__c\n" + "".join(f"S{i}\n" for i in range(200)))
    locked = job.results("failedResults").count(
        "UNABLE_TO_LOCK_ROW:unable to obtain exclusive access to this record or 1 records:--"
    )
    assert 30 < locked < 90
    assert info["numberRecordsFailed"] == locked == org.injected["lock_row"]
    assert len(org.records("Churn_Score__c")) == 200 - locked


def test_a_job_fails_in_the_middle_and_keeps_what_it_did(org, sf, new_job) -> None:
    """ "Job data that was successfully processed isn't rolled back"."""
    org.faults = Faults(seed=3, fail_job=1.0)
    job = new_job(sf)
    info = job.run("External_Id__c\n" + "".join(f"S{i}\n" for i in range(100)))
    done, left = job.results("successfulResults"), job.results("unprocessedRecords")
    assert info["state"] == "Failed"
    assert info["errorMessage"]
    assert 0 < info["numberRecordsProcessed"] == len(org.records("Churn_Score__c")) < 100
    assert done.count("\n") + left.count("\n") == 100 + 2


def test_the_draws_depend_on_the_seed_and_the_order_only() -> None:
    def outcomes(faults: Faults) -> list[str | None]:
        injector = Injector(faults)
        return [injector.request("bulk.info")[0] for _ in range(300)]

    mixed = dict.fromkeys(REQUEST_FAULTS, 0.05)
    first = outcomes(Faults(seed=1, **mixed))
    assert first == outcomes(Faults(seed=1, **mixed))
    assert first != outcomes(Faults(seed=2, **mixed))
    assert set(first) == {None, *REQUEST_FAULTS}
    # Another fault's probability does not move this one's draws.
    alone = outcomes(Faults(seed=1, drop_before=0.05))
    assert [i for i, fault in enumerate(alone) if fault] == [
        i for i, fault in enumerate(first) if fault == "drop_before"
    ]
    job = Injector(Faults(seed=1, lock_row=0.1, fail_job=0.5))
    assert job.job(4, 1000) == Injector(job.faults).job(4, 1000) != job.job(5, 1000)


def test_faults_hit_the_kinds_asked_for_and_no_more_often_than_asked() -> None:
    injector = Injector(Faults(unavailable=1.0, kinds=("bulk.upload",), at_most=2))
    hits = [injector.request(kind)[0] for kind in ("query", "bulk.upload", "bulk.upload", "bulk.upload")]
    assert hits == [None, "unavailable", "unavailable", None]


def test_faults_are_set_over_http_and_refused_if_they_make_no_sense(org: Emulator, sf) -> None:
    url = f"{org.url}/_emulator/faults"
    wanted = Faults(seed=5, unavailable=0.5, kinds=("query",), at_most=3)
    assert sf.session.put(url, json=wanted.to_json()).status_code == 200
    assert org.faults == wanted
    assert Faults.from_json(sf.session.get(url).json()) == wanted
    refused = sf.session.put(url, json={"unavailable": 2})
    assert (refused.status_code, refused.json()[0]["errorCode"]) == (400, "INVALID_FAULTS")
    assert "faults must be among" in sf.session.put(url, json={"gremlins": 1}).json()[0]["message"]


def test_control_requests_meet_no_faults_and_need_no_session(org: Emulator, sf) -> None:
    org.faults = Faults(drop_before=1.0)
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
        assert org.faults == Faults()
        assert session.get(f"{org.url}/_emulator/nothing").status_code == 404


def test_other_machines_do_not_control_the_emulator() -> None:
    request = Request("GET", "/_emulator/health", {}, {}, b"", local=False)
    with Emulator() as closed, Emulator(remote_control=True) as opened:
        with pytest.raises(ApiError, match="404 NOT_FOUND"):
            closed.control.answer(request)
        assert opened.control.answer(request).status == 200
