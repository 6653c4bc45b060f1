"""Comparing what was sent with what is stored: true differences are found, notations are not differences."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from simple_salesforce.format import quote_soql_value

from pipelines.sinks.salesforce.preflight import check_fields
from pipelines.sinks.salesforce.readback import differences, remote_ids


@pytest.fixture
def loaded(bench: Any) -> Any:
    bench.publish(bench.rows(6))
    return bench


def compared(bench: Any, rows: Any, removed: tuple[str, ...] = ()) -> list[str]:
    connection = bench.connection()
    described = check_fields(connection, bench.target)
    return differences(connection, bench.target, described, pl.DataFrame(rows), removed)


def test_what_arrived_has_no_differences(loaded: Any) -> None:
    assert compared(loaded, loaded.rows(6), ("NEVER",)) == []


@pytest.mark.parametrize(
    ("name", "value", "same"),
    [
        ("Score__c", 0.00004, True),  # stored at four decimals
        ("Score__c", 0.0002, False),
        ("Rank__c", 2, False),
        ("Rank__c", None, False),
        ("Reason_1__c", '  logins fell, "from" 41\r\nto 0 ', True),  # trimmed, line ends unified
        ("Reason_1__c", "logins rose", False),
        ("Reason_3__c", None, True),
        ("Reason_3__c", "third", False),
        ("As_Of__c", "2025-01-13", False),
        ("Account__r.Millrace_Account_Id__c", "ACC-00001", False),
        ("Account__r.Millrace_Account_Id__c", None, False),
    ],
)
def test_values_are_compared_as_salesforce_stores_them(
    loaded: Any, name: str, value: Any, same: bool
) -> None:
    rows = pl.DataFrame(loaded.rows(1)).with_columns(pl.lit(value).alias(name))
    found = compared(loaded, rows)
    assert (found == []) is same
    assert same or found[0].startswith(f"ACC-00000: {name} was sent as ")


def test_missing_and_undeleted_records_are_differences(loaded: Any) -> None:
    found = compared(loaded, loaded.rows(2, first=5), ("ACC-00000",))
    assert "External_Id__c ACC-00000 was deleted but is still there" in found
    assert "External_Id__c ACC-00006 was accepted but is not there" in found
    assert any("Rank__c was sent as 1, is 6" in text for text in found)


def test_ids_are_found_over_several_queries_and_quoted(loaded: Any) -> None:
    names = pl.Series([f"ACC-{i:05d}" for i in range(450)] + ["it's \\ odd\n"])
    found = remote_ids(loaded.connection(), loaded.target, names)
    assert found == {name: record["Id"] for name, record in loaded.held().items()}
    assert quote_soql_value("it's \\ odd\n") == r"'it\'s \\ odd\n'"
