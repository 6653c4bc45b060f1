"""An embedded org, a lake and rows to publish: real client, real HTTP, small data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import SecretStr

from pipelines.io.lake import Lake
from pipelines.lab.emulator import Emulator
from pipelines.settings import SalesforceSettings, Settings
from pipelines.sinks.backoff import Backoff
from pipelines.sinks.ledger import Ledger
from pipelines.sinks.report import PublishReport
from pipelines.sinks.salesforce.connection import Connection
from pipelines.sinks.salesforce.publisher import publish
from pipelines.sinks.salesforce.target import Null, PublishOptions, SalesforceTarget

DAY = date(2025, 1, 6)
TARGET = SalesforceTarget(
    object="Churn_Score__c",
    external_id_field="External_Id__c",
    fields={
        "Account__r.Millrace_Account_Id__c": Null.CLEAR,
        "Score__c": Null.CLEAR,
        "Rank__c": Null.CLEAR,
        "Risk_Level__c": Null.CLEAR,
        "Reason_1__c": Null.CLEAR,
        "Reason_2__c": Null.CLEAR,
        "Reason_3__c": Null.KEEP,
        "Action__c": Null.CLEAR,
        "MRR_EUR__c": Null.CLEAR,
        "Days_To_Renewal__c": Null.CLEAR,
        "Plan_Tier__c": Null.CLEAR,
        "As_Of__c": Null.CLEAR,
        "Model_Version__c": Null.CLEAR,
    },
    sort_by="Account__r.Millrace_Account_Id__c",
)
QUICK = Backoff(attempts=10, base_s=0.001, cap_s=0.01)
FAST = PublishOptions(retry_wait=QUICK, http=QUICK, poll=QUICK, read_timeout_s=60.0, connect_timeout_s=60.0)


def score_rows(count: int, day: date = DAY, shift: float = 0.0, first: int = 0) -> pa.Table:
    ids = [f"ACC-{i:05d}" for i in range(first, first + count)]
    return pa.table(
        {
            "External_Id__c": ids,
            "Account__r.Millrace_Account_Id__c": ids,
            "Score__c": pa.array([round((i * 37 % 100) / 100 * 0.9 + shift, 4) for i in range(count)]),
            "Rank__c": pa.array(range(1, count + 1), pa.int64()),
            "Risk_Level__c": ["high"] * count,
            "Reason_1__c": [f'logins fell, "from" 41\nto {i}' for i in range(count)],
            "Reason_2__c": ["=1+1 \u2013 caf\u00e9"] * count,
            "Reason_3__c": pa.array([None] * count, pa.string()),
            "Action__c": ["call"] * count,
            "MRR_EUR__c": pa.array([199.5] * count),
            "Days_To_Renewal__c": pa.array([12] * count, pa.int64()),
            "Plan_Tier__c": ["growth"] * count,
            "As_Of__c": pa.array([day] * count, pa.date32()),
            "Model_Version__c": ["churn/3"] * count,
        }
    )


def login_of(org: Emulator) -> SalesforceSettings:
    return SalesforceSettings(
        username=org.credentials.username,
        password=SecretStr(org.credentials.password),
        security_token=SecretStr(org.credentials.security_token),
        instance=org.instance,
        ca_bundle=org.ca_bundle,
    )


@dataclass
class Bench:
    """Everything a test needs to publish and to look at both sides."""

    org: Emulator
    lake: Lake
    settings: Settings
    options: PublishOptions = field(default_factory=lambda: FAST)
    target: SalesforceTarget = TARGET
    day: date = DAY

    def rows(self, count: int, day: date = DAY, shift: float = 0.0, first: int = 0) -> pa.Table:
        return score_rows(count, day, shift, first)

    def publish(self, rows: pa.Table, as_of: date = DAY, **options: Any) -> PublishReport:
        return publish(
            rows,
            as_of=as_of,
            target=self.target,
            settings=self.settings,
            lake=self.lake,
            options=replace(self.options, **options),
        )

    def connection(self) -> Connection:
        return Connection(self.settings.salesforce, self.options)

    def use(self, org: Emulator) -> None:
        self.org = org
        self.settings = Settings(var=self.settings.var, salesforce=login_of(org))

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.lake, "salesforce", self.target.object)

    def held(self) -> dict[str, dict[str, Any]]:
        return {r["External_Id__c"]: r for r in self.org.records(self.target.object)}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Emulator() as org:
        org.seed_accounts(
            {"Millrace_Account_Id__c": f"ACC-{i:05d}", "Name": f"Account {i}"} for i in range(400)
        )
        settings = Settings(var=tmp_path / "var", salesforce=login_of(org))
        yield Bench(org, Lake.of(settings), settings)
