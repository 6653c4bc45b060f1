"""What survives the end of the emulator, and how it is run as a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import SalesforceExpiredSession
from simple_salesforce.login import SalesforceLogin

from pipelines.lab.emulator import Credentials, Emulator

Run = Callable[..., tuple[subprocess.Popen[str], str]]


def test_records_and_jobs_survive_a_restart_and_sessions_do_not(tmp_path: Path, connect, new_job) -> None:
    with Emulator(tmp_path) as first:
        first.seed_accounts([{"Name": "x", "Millrace_Account_Id__c": "A1"}])
        job = new_job(connect(first))
        job.run("External_Id__c,Account__r.Millrace_Account_Id__c\nS1,A1\n")
        authority, records = first.ca_bundle.read_bytes(), first.records("Churn_Score__c")
        before = job.results("successfulResults")
        open_job = new_job(connect(first))
        port = first.port
    with Emulator(tmp_path, port=port) as second:
        assert second.ca_bundle.read_bytes() == authority
        assert second.records("Churn_Score__c") == records
        with pytest.raises(SalesforceExpiredSession):
            job.results("successfulResults")
        sf = connect(second)
        job.client = new_job(sf).client
        assert job.results("successfulResults") == before
        open_job.client = job.client
        assert open_job.run("External_Id__c\nS2\n")["state"] == "JobComplete"
        ids = [record["Id"] for record in second.records("Churn_Score__c")]
        assert len(ids) == len(set(ids)) == 2


def test_a_job_that_the_end_interrupted_is_finished_after_the_restart(tmp_path, connect, new_job) -> None:
    with Emulator(tmp_path, job_latency_seconds=60) as first:
        job = new_job(connect(first))
        job.client.upload_job_data(job.id, "External_Id__c\nS1\n")
        job.client.close_job(job.id)
        assert first.records("Churn_Score__c") == []
    with Emulator(tmp_path) as second:
        job.client = new_job(connect(second)).client
        assert job.wait()["state"] == "JobComplete"
        assert [row.ok for row in second.audit()] == [1]


def test_a_new_host_name_makes_a_new_certificate(tmp_path: Path) -> None:
    authorities = []
    for hosts in ((), ("salesforce",), ("salesforce",)):
        emulator = Emulator(tmp_path, hosts=hosts)
        with emulator:
            authorities.append(emulator.ca_bundle.read_bytes())
    assert authorities[0] != authorities[1] == authorities[2]
    assert (tmp_path / "server.pem").stat().st_mode & 0o077 == 0


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Start the emulator as a process; gives the process and its address."""
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **environment: str) -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "pipelines.lab.emulator",
                "--port",
                "0",
                "--state",
                str(tmp_path),
                *arguments,
            ],
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        processes.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("Salesforce emulator at https://127.0.0.1:"), line
        return process, line.split()[3].rstrip(",")

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def login(url: str, tmp_path: Path, who: Credentials) -> Salesforce:
    session = requests.Session()
    session.trust_env = False
    session.verify = str(tmp_path / "ca.pem")
    session_id, instance = SalesforceLogin(
        username=who.username,
        password=who.password,
        security_token=who.security_token,
        scratch_url=url,
        session=session,
    )
    return Salesforce(session_id=session_id, instance=instance, session=session)


def test_the_process_takes_its_credentials_from_the_settings_and_prints_none(
    run: Run, tmp_path: Path
) -> None:
    process, url = run(
        MILLRACE_SALESFORCE__USERNAME="u@example.com",
        MILLRACE_SALESFORCE__PASSWORD="hunter2",
        MILLRACE_SALESFORCE__SECURITY_TOKEN="tok3n",
    )
    sf = login(url, tmp_path, Credentials("u@example.com", "hunter2", "tok3n"))
    assert sf.limits()
    sf.session.close()
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "hunter2" not in output
    assert "tok3n" not in output


def test_a_port_that_is_taken_is_said(run: Run, tmp_path: Path) -> None:
    with Emulator() as other:
        ended = subprocess.run(
            [
                sys.executable,
                "-m",
                "pipelines.lab.emulator",
                "--state",
                tmp_path,
                "--port",
                str(other.port),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    assert ended.returncode == 2
    assert f"cannot listen on port {other.port}" in ended.stderr


@pytest.mark.chaos
def test_kill_9_in_the_middle_of_a_job_processes_each_row_once(run: Run, tmp_path: Path, new_job) -> None:
    process, url = run("--latency", "0.4")
    sf = login(url, tmp_path, Credentials())
    job = new_job(sf)
    job.client.upload_job_data(job.id, "External_Id__c\n" + "".join(f"S{i}\n" for i in range(40_000)))
    job.client.close_job(job.id)
    while job.client.get_job(job.id, False)["numberRecordsProcessed"] == 0:
        pass
    process.kill()
    process.wait()
    sf.session.close()
    _, url = run()
    sf = login(url, tmp_path, Credentials())
    job.client = new_job(sf).client
    info = job.wait()
    audit: dict[str, Any] = sf.session.get(f"{url}/_emulator/audit").json()["processed"][0]
    assert (info["state"], info["numberRecordsProcessed"]) == ("JobComplete", 40_000)
    assert (audit["keys"], audit["ok"], audit["most_ok_of_one_payload"]) == (40_000, 40_000, 1)
    assert sf.query("SELECT COUNT() FROM Churn_Score__c")["totalSize"] == 40_000
    sf.session.close()
