from __future__ import annotations

from typing import Any

import pytest
from simple_salesforce import Salesforce, format_soql
from simple_salesforce.exceptions import SalesforceMalformedRequest

from pipelines.lab.emulator import Emulator


@pytest.fixture
def people(org: Emulator) -> None:
    """Five accounts with employees, industry and a parent-less score."""
    org.seed_accounts(
        {
            "Name": name,
            "Millrace_Account_Id__c": key,
            "NumberOfEmployees": staff,
            "Industry": industry,
        }
        for key, name, staff, industry in [
            ("a", "O'Brien\\Co", 10, "Energy"),
            ("b", "beta", 20, "Energy"),
            ("c", "Gamma 100%", 30, None),
            ("d", "delta_x", None, "Retail"),
            ("A", "Alpha", 40, "retail"),
        ]
    )


def keys(sf: Salesforce, tail: str) -> list[str]:
    found: dict[str, Any] = sf.query(f"SELECT Millrace_Account_Id__c FROM Account {tail}")
    return [record["Millrace_Account_Id__c"] for record in found["records"]]


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        ("WHERE Industry = 'Energy' ORDER BY Name", ["b", "a"]),
        ("WHERE Industry = 'RETAIL' ORDER BY NumberOfEmployees", ["d", "A"]),
        ("WHERE Millrace_Account_Id__c = 'a'", ["a"]),
        ("WHERE Millrace_Account_Id__c IN ('a','c', 'zz') ORDER BY NumberOfEmployees DESC", ["c", "a"]),
        ("WHERE Millrace_Account_Id__c NOT IN ('a','b','c') AND Name != 'Alpha'", ["d"]),
        ("WHERE NumberOfEmployees >= 20 AND (Industry = null OR Name = 'BETA') ORDER BY Name", ["b", "c"]),
        ("WHERE NumberOfEmployees = NULL", ["d"]),
        ("WHERE NOT NumberOfEmployees < 40 ORDER BY Name", ["A"]),
        ("WHERE Industry <> 'Energy' ORDER BY NumberOfEmployees NULLS LAST", ["c", "A", "d"]),
        ("WHERE Name LIKE 'g%'", ["c"]),
        ("WHERE Name LIKE '%100\\%'", ["c"]),
        ("WHERE Name LIKE '_____\\_x'", ["d"]),
        ("WHERE Name LIKE '%\\\\co'", ["a"]),
        ("WHERE Name LIKE 'o\\'b%'", ["a"]),
        ("ORDER BY NumberOfEmployees ASC LIMIT 2", ["d", "a"]),
        ("ORDER BY NumberOfEmployees LIMIT 2 OFFSET 3", ["c", "A"]),
        ("where account.Name = 'beta'", ["b"]),
    ],
)
def test_conditions_orders_and_bounds(people, sf: Salesforce, tail: str, expected: list[str]) -> None:
    """SOQL and SOSL Reference: WHERE, IN, LIKE, ORDER BY (nulls first), LIMIT, OFFSET; text ignores case."""
    assert keys(sf, tail) == expected


def test_strings_are_escaped_as_the_client_escapes_them(people, sf: Salesforce) -> None:
    query = format_soql("SELECT Name FROM Account WHERE Name = {}", "O'Brien\\Co")
    assert sf.query(query)["totalSize"] == 1


def test_counts(people, sf: Salesforce) -> None:
    """SOQL and SOSL Reference, "COUNT()": the number is totalSize, there are no records."""
    counted = sf.query("SELECT COUNT() FROM Account WHERE Industry = 'Energy'")
    assert (counted["totalSize"], counted["done"], counted["records"]) == (2, True, [])
    assert sf.query("SELECT count() FROM Account LIMIT 3")["totalSize"] == 3


def test_records_carry_attributes_types_and_parents(people, org: Emulator, sf: Salesforce) -> None:
    """REST API Developer Guide, "Query": attributes with type and url; a parent is a nested object."""
    org.control.seed(
        "Churn_Score__c",
        [
            {"External_Id__c": "1", "Account__r.Millrace_Account_Id__c": "b", "As_Of__c": "2026-11-16"},
            {"External_Id__c": "2"},
        ],
        "External_Id__c",
    )
    soql = (
        "SELECT Id, Account__r.Name, Account__r.NumberOfEmployees, As_Of__c, IsDeleted, Is_My_Account__c"
        " FROM Churn_Score__c WHERE Account__r.Industry = 'Energy' AND As_Of__c >= 2026-11-01"
    )
    (record,) = sf.query(soql)["records"]
    assert record["attributes"]["url"].endswith(f"/sobjects/Churn_Score__c/{record['Id']}")
    assert record["Account__r"] == {"Name": "beta", "NumberOfEmployees": 20}
    assert (record["As_Of__c"], record["IsDeleted"], record["Is_My_Account__c"]) == (
        "2026-11-16",
        False,
        False,
    )


def test_long_results_come_in_pages(org: Emulator, sf: Salesforce) -> None:
    """REST API Developer Guide, "Query": 2,000 records, done false, nextRecordsUrl, then queryMore."""
    org.seed_accounts({"Name": "x", "Millrace_Account_Id__c": f"{i:05d}"} for i in range(4500))
    first = sf.query("SELECT Millrace_Account_Id__c FROM Account ORDER BY Millrace_Account_Id__c")
    assert (len(first["records"]), first["done"], first["totalSize"]) == (2000, False, 4500)
    assert first["nextRecordsUrl"].endswith("-2000")
    second = sf.query_more(first["nextRecordsUrl"], identifier_is_url=True)
    assert second["records"][0]["Millrace_Account_Id__c"] == "02000"
    everything = sf.query_all("SELECT Millrace_Account_Id__c FROM Account")["records"]
    assert len({record["Millrace_Account_Id__c"] for record in everything}) == 4500
    small = sf.query("SELECT Id FROM Account", headers={"Sforce-Query-Options": "batchSize=250"})
    assert len(small["records"]) == 250
    with pytest.raises(SalesforceMalformedRequest, match="INVALID_QUERY_LOCATOR"):
        sf.query_more("01gNOTTHERE-2000")


def test_deleted_records_appear_in_query_all_only(people, sf: Salesforce) -> None:
    """REST API Developer Guide, "QueryAll": includes deleted records."""
    (record,) = sf.query("SELECT Id FROM Account WHERE Name = 'beta'")["records"]
    sf.Account.delete(record["Id"])
    assert sf.query("SELECT COUNT() FROM Account")["totalSize"] == 4
    assert sf.query("SELECT COUNT() FROM Account", include_deleted=True)["totalSize"] == 5


@pytest.mark.parametrize(
    ("soql", "code", "message"),
    [
        ("SELECT Nope__c FROM Account", "INVALID_FIELD", "No such column 'Nope__c' on entity 'Account'"),
        ("SELECT Id FROM Nope__c", "INVALID_TYPE", "sObject type 'Nope__c' is not supported."),
        ("SELECT Nope__r.Id FROM Account", "INVALID_FIELD", "Didn't understand relationship 'Nope__r'"),
        ("SELECT Id FROM Account WHERE", "MALFORMED_QUERY", "unexpected token: '<EOF>'"),
        ("SELECT Id FROM Account WHERE Name ~ 'x'", "MALFORMED_QUERY", "unexpected token"),
        ("SELECT Id FROM Account; DROP TABLE Account", "MALFORMED_QUERY", "unexpected token"),
        ("SELECT Id FROM Account LIMIT x", "MALFORMED_QUERY", "unexpected token: 'x'"),
        ("SELECT Id FROM Account WHERE Name = beta", "MALFORMED_QUERY", "unexpected token: 'beta'"),
        ("UPDATE Account", "MALFORMED_QUERY", "unexpected token: 'UPDATE'"),
        ("", "MALFORMED_QUERY", "unexpected token: '<EOF>'"),
    ],
)
def test_errors_are_the_documented_ones(sf: Salesforce, soql: str, code: str, message: str) -> None:
    """REST API Developer Guide, "Status Codes and Error Responses"; 400 with errorCode."""
    with pytest.raises(SalesforceMalformedRequest) as caught:
        sf.query(soql)
    (error,) = caught.value.content
    assert error["errorCode"] == code
    assert message in error["message"]
