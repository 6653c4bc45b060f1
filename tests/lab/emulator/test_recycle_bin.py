"""What is deleted stays in the recycle bin until it is emptied; then nothing of it is left."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from pipelines.lab.emulator import Emulator
from pipelines.settings import SalesforceSettings
from pipelines.sinks.backoff import Backoff
from pipelines.sinks.errors import RemoteError, SinkUnavailableError
from pipelines.sinks.salesforce.connection import Connection
from pipelines.sinks.salesforce.erasure import drop_jobs, jobs_kept, purge, records
from pipelines.sinks.salesforce.target import PublishOptions

OBJECT, KEY = "Churn_Score__c", "External_Id__c"


def connection(org: Emulator) -> Connection:
    login = SalesforceSettings(
        username=org.credentials.username,
        password=SecretStr(org.credentials.password),
        security_token=SecretStr(org.credentials.security_token),
        instance=org.instance,
        ca_bundle=org.ca_bundle,
    )
    return Connection(login, PublishOptions(http=Backoff(attempts=3, base_s=0.001, cap_s=0.01)))


def upsert(client: Connection, key: str) -> str:
    url = f"sobjects/{OBJECT}/{KEY}/{key}"
    answer = client.send("PATCH", url, repeatable=True, json={"Score__c": 0.5})
    return str(answer.json()["id"])


def test_a_record_is_purged_with_its_earlier_lives(tmp_path: Path) -> None:
    with Emulator(tmp_path) as org:
        client = connection(org)
        first = upsert(client, "A1")
        client.send("DELETE", f"sobjects/{OBJECT}/{first}", repeatable=True)
        second, other = upsert(client, "A1"), upsert(client, "A2")
        assert records(client, OBJECT, KEY, "A1") == {first: True, second: False}
        purge(client, OBJECT, KEY, "A1")
        assert records(client, OBJECT, KEY, "A1") == {}
        assert [record["Id"] for record in org.records(OBJECT)] == [other]
        assert {row.key for row in org.audit(OBJECT)} == {"A2"}
        purge(client, OBJECT, KEY, "A1")  # again does nothing
    assert b"A1" not in (tmp_path / "org.sqlite").read_bytes(), "not in free pages either"


def test_a_record_that_lives_cannot_be_emptied() -> None:
    with Emulator() as org:
        client = connection(org)
        living = upsert(client, "A1")
        client.empty_recycle_bin([living])  # Salesforce says that it is not in the bin
        assert [record["Id"] for record in org.records(OBJECT)] == [living]


def test_emptying_needs_a_session() -> None:
    with Emulator() as org:
        client = connection(org)
        client.client.session_id = "made up"
        with pytest.raises(SinkUnavailableError, match="INVALID_SESSION_ID"):
            client.empty_recycle_bin(["a00000000000001AAA"])


def test_jobs_go_with_their_files() -> None:
    with Emulator() as org:
        client = connection(org)
        job = client.send(
            "POST", client.bulk_url, repeatable=False,
            json={"object": OBJECT, "operation": "upsert", "externalIdFieldName": KEY, "lineEnding": "CRLF"},
        ).json()["id"]  # fmt: skip
        client.send("PATCH", f"{client.bulk_url}/{job}", repeatable=True, json={"state": "Aborted"})
        assert jobs_kept(client, [job, "750000000000009AAA"]) == [job]
        drop_jobs(client, [job])
        assert jobs_kept(client, [job]) == []
        with pytest.raises(RemoteError):
            client.get(f"{client.bulk_url}/{job}")
