"""An emulator per test, and the real client pointed at it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from simple_salesforce import Salesforce
from simple_salesforce.login import SalesforceLogin

from pipelines.lab.emulator import Emulator

Connect = Callable[[Emulator], Salesforce]


@pytest.fixture
def org() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Log the real client in to an emulator."""
    sessions: list[requests.Session] = []

    def login(emulator: Emulator) -> Salesforce:
        session = requests.Session()
        session.trust_env = False  # REQUESTS_CA_BUNDLE would outrank the emulator's authority
        session.verify = str(emulator.ca_bundle)
        sessions.append(session)
        who = emulator.credentials
        session_id, instance = SalesforceLogin(
            username=who.username,
            password=who.password,
            security_token=who.security_token,
            scratch_url=emulator.url,
            session=session,
        )
        return Salesforce(session_id=session_id, instance=instance, session=session)

    yield login
    for session in sessions:
        session.close()


@pytest.fixture
def sf(org: Emulator, connect: Connect) -> Salesforce:
    """The real client, logged in."""
    return connect(org)


@pytest.fixture
def accounts(org: Emulator) -> list[str]:
    """Three accounts in the org."""
    ids = ["A1", "A2", "A3"]
    org.seed_accounts({"Name": f"Company {i}", "Millrace_Account_Id__c": i} for i in ids)
    return ids


class Job:
    """One ingest job of the real client's low-level methods, step by step."""

    def __init__(self, sf: Salesforce, object_name: str = "Churn_Score__c", **create: Any) -> None:
        self.client = getattr(sf.bulk2, object_name)._client
        create = {"operation": "upsert", "external_id_field": "External_Id__c"} | create
        self.id: str = self.client.create_job(**create)["id"]

    def run(self, csv: str) -> dict[str, Any]:
        """Upload, close, wait; the final job info."""
        self.client.upload_job_data(self.id, csv)
        self.client.close_job(self.id)
        return self.wait()

    def wait(self, *states: str) -> dict[str, Any]:
        """Poll until the job is in one of the states (an end state if none is named)."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            info: dict[str, Any] = self.client.get_job(self.id, False)
            if info["state"] in (states or ("JobComplete", "Failed", "Aborted")):
                return info
            time.sleep(0.01)
        raise AssertionError(f"job {self.id} did not end: {info}")

    def results(self, which: str) -> str:
        """A result file."""
        text: str = self.client.get_ingest_results(self.id, which)
        return text


@pytest.fixture
def new_job() -> type[Job]:
    return Job
