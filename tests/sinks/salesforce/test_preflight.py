"""What Salesforce would refuse row by row is found before the first row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from pipelines.errors import ConfigError, DataContractError
from pipelines.sinks.errors import SinkUnavailableError
from pipelines.sinks.salesforce.preflight import check_case, check_fields, check_limits
from pipelines.sinks.salesforce.target import MAX_UPLOAD_BYTES, Null, PublishOptions, SalesforceTarget


def target(
    *fields: str, external_id: str = "External_Id__c", object_: str = "Churn_Score__c"
) -> SalesforceTarget:
    return SalesforceTarget(object_, external_id, dict.fromkeys(fields, Null.CLEAR), external_id)


def test_the_fields_of_the_package_are_accepted(bench: Any) -> None:
    described = check_fields(bench.connection(), bench.target)
    assert set(described) == set(bench.target.columns)
    assert described["Score__c"]["scale"] == 4


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (target("Scor__c"), r"Scor__c does not exist: deploy it"),
        (target("Is_My_Account__c"), r"Is_My_Account__c is a formula or roll-up: remove it"),
        (target("CreatedDate"), r"CreatedDate is read-only for the integration user: remove it"),
        (target("Score__c", external_id="Sector__c"), r"Sector__c is not an External ID: tick External ID"),
        (target("Score__c", external_id="Nope__c"), r"Nope__c does not exist: create it as an External ID"),
        (target("Client__r.Millrace_Account_Id__c"), r"no lookup is called Client__r"),
        (target("Account__r.Name"), r"Account\.Name must be an External ID to find the parent by"),
        (target("Score__c", object_="No_Object__c"), r"no object No_Object__c .* deploy the package"),
        (target("Scor__c", "CreatedDate"), r"Scor__c does not exist.*; CreatedDate is read-only"),
    ],
)
def test_every_offending_field_is_named_with_its_remedy(
    bench: Any, wrong: SalesforceTarget, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        check_fields(bench.connection(), wrong)


def test_publish_stops_before_sending(bench: Any) -> None:
    fields = {**bench.target.fields, "CreatedDate": Null.CLEAR}
    bench.target = replace(bench.target, fields=fields)
    rows = bench.rows(3)
    with pytest.raises(ConfigError, match="CreatedDate is read-only"):
        bench.publish(rows.append_column("CreatedDate", rows["As_Of__c"]))
    assert "bulk.create" not in bench.org.requests()
    assert bench.ledger.newest() is None


def test_allowances_are_checked_and_named(bench: Any) -> None:
    assert check_limits(bench.connection(), rows=150_000, jobs=2)["DailyBulkApiBatches"] == 15_000
    with pytest.raises(SinkUnavailableError, match="DailyBulkApiBatches: 15001 needed, 15000 of 15000 left"):
        check_limits(bench.connection(), rows=150_000_001, jobs=1)
    with pytest.raises(SinkUnavailableError, match="DailyApiRequests: 200000 needed"):
        check_limits(bench.connection(), rows=10_000, jobs=10_000)


def test_ids_that_differ_in_case_only_are_refused_where_case_is_ignored() -> None:
    ids = pl.Series(["acc-1", "ACC-1", "acc-2"])
    check_case({"name": "E__c", "caseSensitive": True}, ids)
    check_case({"name": "E__c", "caseSensitive": False}, ids[1:])
    with pytest.raises(DataContractError, match=r"E__c ignores case.*\['ACC-1', 'acc-1'\]"):
        check_case({"name": "E__c", "caseSensitive": False}, ids)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (("Score__c", "external_id__C"), "External_Id__c is the external id and must not be mapped"),
        (("Score__c", "ID"), "Id must not be mapped"),
        (("Score__c", "score__c"), "differ only in case"),
    ],
)
def test_targets_that_cannot_work_cannot_be_made(fields: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        target(*fields)


def test_sort_key_must_be_outbound() -> None:
    with pytest.raises(ConfigError, match="sort_by must be an outbound field, got 'Owner__c'"):
        SalesforceTarget("O__c", "E__c", {"A__c": Null.CLEAR}, "Owner__c")


def test_chunks_cannot_be_made_larger_than_salesforce_takes() -> None:
    with pytest.raises(ConfigError, match=f"max_chunk_bytes must be in .1, {MAX_UPLOAD_BYTES}."):
        PublishOptions(max_chunk_bytes=MAX_UPLOAD_BYTES + 1)
    with pytest.raises(ConfigError, match="must be >= 1"):
        PublishOptions(max_attempts=0)
