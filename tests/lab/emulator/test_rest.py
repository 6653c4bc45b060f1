from __future__ import annotations

import pytest
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import SalesforceMalformedRequest, SalesforceResourceNotFound

from pipelines.discovery import every
from pipelines.lab.emulator import Emulator
from pipelines.sinks.target import SalesforceObject


def test_versions_need_no_session(org: Emulator, sf: Salesforce) -> None:
    """REST API Developer Guide, "Versions": label, url, version."""
    response = sf.session.get(f"{org.url}/services/data")
    assert {"label": "v59.0", "url": "/services/data/v59.0", "version": "59.0"} in response.json()


def test_describe_gives_what_the_sfdx_package_declares(sf: Salesforce) -> None:
    """REST API Developer Guide, "sObject Describe"; the values are those of the field's metadata XML."""
    described = sf.Churn_Score__c.describe()
    fields = {field["name"]: field for field in described["fields"]}
    assert (described["label"], described["keyPrefix"], described["custom"]) == ("Churn Score", "a00", True)
    key = fields["External_Id__c"]
    assert (key["type"], key["length"], key["externalId"], key["unique"], key["caseSensitive"]) == (
        "string",
        64,
        True,
        True,
        True,
    )
    assert (key["nillable"], key["idLookup"]) == (False, True)
    assert (fields["Score__c"]["type"], fields["Score__c"]["precision"], fields["Score__c"]["scale"]) == (
        "double",
        5,
        4,
    )
    assert (fields["Account__c"]["referenceTo"], fields["Account__c"]["relationshipName"]) == (
        ["Account"],
        "Account__r",
    )
    assert [value["value"] for value in fields["Risk_Level__c"]["picklistValues"]] == [
        "low",
        "medium",
        "high",
        "critical",
    ]
    assert fields["Risk_Level__c"]["restrictedPicklist"] is True
    assert (fields["Feedback__c"]["updateable"], fields["Score__c"]["updateable"]) == (False, True)
    assert fields["Is_My_Account__c"]["calculated"] is True


def test_objects_of_the_org(sf: Salesforce) -> None:
    """REST API Developer Guide, "Describe Global" and "sObject Basic Information"."""
    targets = [target for usecase in every() for target in usecase.targets]
    own = {target.object for target in targets if isinstance(target, SalesforceObject)}
    assert {o["name"] for o in sf.describe()["sobjects"]} == {"Account", "Organization", *own}
    assert sf.Account.metadata()["objectDescribe"]["keyPrefix"] == "001"
    with pytest.raises(SalesforceResourceNotFound):
        sf.Lead.describe()


def test_limits_count_down(sf: Salesforce) -> None:
    """REST API Developer Guide, "Limits": DailyApiRequests with Max and Remaining."""
    first, second = sf.limits()["DailyApiRequests"], sf.limits()["DailyApiRequests"]
    assert first["Max"] == second["Max"]
    assert first["Remaining"] - second["Remaining"] == 1


def test_the_org_is_a_sandbox(sf: Salesforce) -> None:
    assert sf.is_sandbox() is True


def test_a_record_is_created_read_changed_and_deleted(org: Emulator, sf: Salesforce) -> None:
    """REST API Developer Guide, "sObject Rows": 201 with id and success, 204, 404 NOT_FOUND."""
    created = sf.Account.create({"Name": "Express Logistics", "NumberOfEmployees": 12})
    assert (created["success"], created["errors"]) == (True, [])
    record_id = created["id"]
    account = sf.Account.get(record_id)
    assert account["attributes"]["url"] == f"/services/data/v59.0/sobjects/Account/{record_id}"
    assert (account["Name"], account["NumberOfEmployees"], account["Industry"]) == (
        "Express Logistics",
        12,
        None,
    )
    assert sf.Account.update(record_id, {"Name": "Changed", "NumberOfEmployees": None}) == 204
    changed = sf.Account.get(record_id)
    assert (changed["Name"], changed["NumberOfEmployees"]) == ("Changed", None)
    assert sf.Account.delete(record_id) == 204
    with pytest.raises(SalesforceResourceNotFound, match="NOT_FOUND"):
        sf.Account.get(record_id)
    with pytest.raises(SalesforceResourceNotFound, match="ENTITY_IS_DELETED"):
        sf.Account.delete(record_id)
    assert org.records("Account") == []


def test_a_record_is_upserted_by_external_id(sf: Salesforce) -> None:
    """REST API Developer Guide, "sObject Rows by External ID": 201 created, 200 updated."""
    assert sf.Account.upsert("Millrace_Account_Id__c/A%2F1", {"Name": "New"}) == 201
    assert sf.Account.upsert("Millrace_Account_Id__c/A%2F1", {"Name": "Renamed"}) == 200
    account = sf.Account.get_by_custom_id("Millrace_Account_Id__c", "A/1")
    assert (account["Name"], account["Millrace_Account_Id__c"]) == ("Renamed", "A/1")
    with pytest.raises(SalesforceMalformedRequest, match="should not be specified in the sobject data"):
        sf.Account.upsert("Millrace_Account_Id__c/A2", {"Name": "x", "Millrace_Account_Id__c": "A2"})
    assert (
        sf.Churn_Score__c.upsert(
            "External_Id__c/S1", {"Score__c": 0.5, "Account__r": {"Millrace_Account_Id__c": "A/1"}}
        )
        == 201
    )
    score = sf.query("SELECT Account__r.Name, Score__c FROM Churn_Score__c")["records"][0]
    assert (score["Account__r"]["Name"], score["Score__c"]) == ("Renamed", 0.5)


@pytest.mark.parametrize(
    ("values", "code", "fields"),
    [
        ({"Nope__c": 1}, "INVALID_FIELD", None),
        ({}, "REQUIRED_FIELD_MISSING", ["Name"]),
        ({"Name": "x" * 256}, "STRING_TOO_LONG", ["Name"]),
        (
            {"Name": "x", "NumberOfEmployees": "many"},
            "INVALID_TYPE_ON_FIELD_IN_RECORD",
            ["NumberOfEmployees"],
        ),
    ],
)
def test_refused_records_name_the_code_and_the_fields(sf: Salesforce, values, code: str, fields) -> None:
    """REST API Developer Guide, "Status Codes and Error Responses": message, errorCode, fields."""
    with pytest.raises(SalesforceMalformedRequest) as caught:
        sf.Account.create({"Phone": "1", **values})
    (error,) = caught.value.content
    assert (error["errorCode"], error.get("fields")) == (code, fields)


def test_feedback_cannot_be_written_with_the_integration_user(org: Emulator, sf: Salesforce) -> None:
    with pytest.raises(SalesforceMalformedRequest, match="INVALID_FIELD_FOR_INSERT_UPDATE"):
        sf.Churn_Score__c.upsert("External_Id__c/S1", {"Feedback__c": "agree"})
    org.control.seed("Churn_Score__c", [{"External_Id__c": "S1", "Feedback__c": "agree"}], "External_Id__c")
    assert sf.query("SELECT Feedback__c FROM Churn_Score__c")["records"][0]["Feedback__c"] == "agree"


def test_malformed_bodies_and_unknown_resources(org: Emulator, sf: Salesforce) -> None:
    with pytest.raises(SalesforceMalformedRequest, match="JSON_PARSER_ERROR"):
        sf._call_salesforce("POST", f"{sf.base_url}sobjects/Account", data="{")
    with pytest.raises(SalesforceResourceNotFound):
        sf._call_salesforce("GET", f"{sf.base_url}tooling")
    with pytest.raises(Exception, match="METHOD_NOT_ALLOWED"):
        sf._call_salesforce("POST", f"{sf.base_url}limits")


def test_chunked_bodies_are_read(sf: Salesforce) -> None:
    parts = iter([b'{"Name": ', b'"In parts"}'])
    sf._call_salesforce("POST", f"{sf.base_url}sobjects/Account", data=parts)
    assert sf.query("SELECT Name FROM Account")["records"][0]["Name"] == "In parts"


def test_a_query_that_is_too_long_for_a_uri_is_refused(sf: Salesforce) -> None:
    """Salesforce Developer Limits: URI and headers together hold 16,384 bytes."""
    names = ", ".join(f"'{i:05d}'" for i in range(1000))
    assert sf.query(f"SELECT Id FROM Account WHERE Name IN ({names})")["totalSize"] == 0
    more = ", ".join(f"'{i:05d}'" for i in range(2000))
    with pytest.raises(Exception, match="URI Too Long") as caught:
        sf.query(f"SELECT Id FROM Account WHERE Name IN ({more})")
    assert caught.value.status == 414
    assert sf.limits()
