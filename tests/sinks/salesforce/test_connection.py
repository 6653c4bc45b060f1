"""Login, trust and retries: what passes is tried again within bounds, what does not fails at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import requests
from pydantic import SecretStr

from pipelines.errors import ConfigError
from pipelines.lab.emulator import Fault
from pipelines.sinks.errors import (
    AmbiguousRequestError,
    RemoteError,
    SinkAuthenticationError,
    SinkUnavailableError,
)
from pipelines.sinks.salesforce.bulk2 import BulkIngest
from pipelines.sinks.salesforce.connection import Connection, new_session


def logins(bench: Any) -> int:
    return int(bench.org.requests().get("login", 0))


def test_wrong_password_fails_at_once_and_is_never_shown(bench: Any) -> None:
    login = bench.settings.salesforce.model_copy(update={"password": SecretStr("hunter2")})
    with pytest.raises(SinkAuthenticationError, match=r"refused the login of .*INVALID_LOGIN") as caught:
        Connection(login, bench.options)
    assert "hunter2" not in str(caught.value)
    assert logins(bench) == 1


@pytest.mark.parametrize("fault", ["unavailable", "server_error", "request_limit", "drop_before", "truncate"])
def test_login_outage_is_retried_and_then_named(bench: Any, fault: str) -> None:
    bench.org.faults = [Fault(fault, "login", (1, 2, 3))]
    assert bench.connection().client.session_id
    assert logins(bench) == 4
    bench.org.faults = [Fault("drop_before")]
    with pytest.raises(SinkUnavailableError, match="did not answer the login in 10 tries"):
        bench.connection()


def test_unknown_certificate_is_not_trusted(bench: Any) -> None:
    login = bench.settings.salesforce.model_copy(update={"ca_bundle": None})
    options = replace(bench.options, http=replace(bench.options.http, attempts=1))
    with pytest.raises(SinkUnavailableError, match="SSLError"):
        Connection(login, options)


def test_configured_authority_beats_the_environment(bench: Any, monkeypatch: Any, tmp_path: Any) -> None:
    other = tmp_path / "other.pem"
    other.write_text("")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))
    session = new_session(bench.settings.salesforce, bench.options)
    session.trust_env = True  # as for an instance that is not on this machine
    assert session.get(f"{bench.org.url}/services/data/").status_code == 200


def test_missing_authority_file_is_a_configuration_error(bench: Any, tmp_path: Any) -> None:
    login = bench.settings.salesforce.model_copy(update={"ca_bundle": tmp_path / "no.pem"})
    with pytest.raises(ConfigError, match=r"CA_BUNDLE must be a PEM file, got .*no\.pem"):
        Connection(login, bench.options)


def test_silence_is_ended_by_the_time_out(bench: Any) -> None:
    # A busy machine may let the second answer come too late as well: then there is a third request.
    connection = Connection(bench.settings.salesforce, replace(bench.options, read_timeout_s=0.5))
    bench.org.faults = [Fault("silence", "limits", (1,))]
    assert connection.get("limits/").ok
    assert bench.org.requests()["limits"] >= 2


def test_expired_session_is_renewed_and_the_request_repeated(bench: Any) -> None:
    connection = bench.connection()
    bench.org.faults = [Fault("expire_session", calls=(1,))]
    job = BulkIngest(connection, bench.target.object, bench.target.external_id_field).create("upsert")
    assert job["state"] == "Open"  # even a request that is not repeatable: nothing had been done
    assert logins(bench) == 2


def test_session_that_keeps_expiring_is_given_up(bench: Any) -> None:
    connection = bench.connection()
    bench.org.faults = [Fault("expire_session", "limits")]
    with pytest.raises(SinkUnavailableError, match="in 10 tries, last: HTTP 401"):
        connection.get("limits/")


@pytest.mark.parametrize("fault", ["unavailable", "server_error", "request_limit", "drop_before", "truncate"])
def test_reads_are_repeated_within_bounds(bench: Any, fault: str) -> None:
    connection = bench.connection()
    bench.org.faults = [Fault(fault, calls=tuple(range(1, 10)))]
    assert connection.get("limits/").json()["DailyApiRequests"]
    bench.org.faults = [Fault(fault, calls=tuple(range(1, 11)))]
    with pytest.raises(SinkUnavailableError, match="Run the publish again later"):
        connection.get("limits/")


@pytest.mark.parametrize("fault", ["drop_before", "drop_after", "server_error", "truncate"])
def test_what_must_not_happen_twice_is_not_repeated(bench: Any, fault: str) -> None:
    bulk = BulkIngest(bench.connection(), bench.target.object, bench.target.external_id_field)
    bench.org.faults = [Fault(fault)]
    with pytest.raises(AmbiguousRequestError, match=r"POST .*jobs/ingest"):
        bulk.create("upsert")
    assert bench.org.requests()["bulk.create"] == 1


@pytest.mark.parametrize("fault", ["request_limit", "unavailable"])
def test_refusals_that_did_nothing_are_repeated_even_then(bench: Any, fault: str) -> None:
    bulk = BulkIngest(bench.connection(), bench.target.object, bench.target.external_id_field)
    bench.org.faults = [Fault(fault, calls=(1, 2))]
    assert bulk.create("upsert")["state"] == "Open"
    assert bench.org.requests()["bulk.create"] == 3


def test_other_refusals_fail_at_once_with_salesforces_words(bench: Any) -> None:
    connection = bench.connection()
    with pytest.raises(RemoteError, match="No_Such_Field__c") as caught:
        connection.query("SELECT No_Such_Field__c FROM Account")
    assert (caught.value.status, caught.value.code) == (400, "INVALID_FIELD")
    assert bench.org.requests()["query"] == 1


def test_query_reads_all_pages(bench: Any) -> None:
    records = bench.connection().query("SELECT Id FROM Account")
    assert len({record["Id"] for record in records}) == 400
    bench.org.seed_accounts({"Millrace_Account_Id__c": f"MORE-{i:05d}", "Name": "M"} for i in range(4000))
    assert len({r["Id"] for r in bench.connection().query("SELECT Id FROM Account")}) == 4400


def test_an_answer_lost_after_a_change_of_state_is_found_out(bench: Any) -> None:
    bulk = BulkIngest(bench.connection(), bench.target.object, bench.target.external_id_field)
    job_id = bulk.create("upsert")["id"]
    bench.org.faults = [Fault("drop_after", "bulk.state", (1,))]
    assert bulk.abort(job_id) == "Aborted"
    assert bulk.info(job_id)["state"] == "Aborted"
    assert bulk.info("7505f0000000999AAA") is None


def test_loopback_needs_no_proxy(bench: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert isinstance(bench.connection().get("limits/"), requests.Response)
