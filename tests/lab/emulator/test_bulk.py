from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import SalesforceMalformedRequest, SalesforceResourceNotFound

from pipelines.lab.emulator import Emulator

HEADER = "External_Id__c,Account__r.Millrace_Account_Id__c,Score__c,Risk_Level__c,Reason_1__c\n"


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def stored(org: Emulator) -> dict[str, dict[str, Any]]:
    return {record["External_Id__c"]: record for record in org.records("Churn_Score__c")}


def test_a_job_is_created_with_the_documented_properties(sf: Salesforce, new_job) -> None:
    """Bulk API 2.0 Developer Guide, "Create a Job" (api_asynch/create_job.htm), response body."""
    job = new_job(sf)
    info = job.client.get_job(job.id, False)
    assert job.id.startswith("750")
    assert len(job.id) == 18
    assert info["contentUrl"] == f"services/data/v59.0/jobs/ingest/{job.id}/batches"
    assert {k: info[k] for k in ("operation", "object", "state", "concurrencyMode", "contentType")} == {
        "operation": "upsert",
        "object": "Churn_Score__c",
        "state": "Open",
        "concurrencyMode": "Parallel",
        "contentType": "CSV",
    }
    assert (info["lineEnding"], info["columnDelimiter"], info["apiVersion"]) == ("LF", "COMMA", 59.0)
    assert info["externalIdFieldName"] == "External_Id__c"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"object": "Nothing__c", "operation": "insert"}, "Unable to find object: Nothing__c"),
        ({"object": "Account", "operation": "replace"}, "operation must be one of"),
        ({"object": "Account", "operation": "upsert"}, "does not match an External ID"),
        (
            {"object": "Account", "operation": "upsert", "externalIdFieldName": "Name"},
            "does not match an External ID",
        ),
        (
            {"object": "Account", "operation": "insert", "externalIdFieldName": "Millrace_Account_Id__c"},
            "not allowed for insert",
        ),
        ({"object": "Account", "operation": "insert", "lineEnding": "CR"}, "lineEnding must be one of"),
        ({"object": "Account", "operation": "insert", "contentType": "XML"}, "contentType must be one of"),
        ({"object": "Account", "operation": "insert", "columnDelimiter": ","}, "columnDelimiter must be one"),
    ],
)
def test_a_job_that_makes_no_sense_is_refused(sf: Salesforce, body: dict[str, str], message: str) -> None:
    with pytest.raises(SalesforceMalformedRequest) as caught:
        sf._call_salesforce("POST", f"{sf.bulk2_url}ingest", json=body)
    (error,) = caught.value.content
    assert error["errorCode"] == "INVALIDJOB"
    assert message in error["message"]


def test_the_documented_insert_walkthrough(org: Emulator, sf: Salesforce, new_job) -> None:
    """Bulk API 2.0 Developer Guide, "Bulk Insert" (api_asynch/walkthrough_upload_data.htm).

    The walkthrough's accounts, its counters of job info, and its successfulResults header.
    """
    job = new_job(sf, "Account", operation="insert", external_id_field=None)
    info = job.run(
        "Name,ShippingCity,NumberOfEmployees,AnnualRevenue,Website,Description\n"
        'Lorem Ipsum,Milano,2676,912260031,https://ft.com/lacus/at.jsp,"Lorem ipsum dolor sit amet"\n'
        "Posuere Inc,Bodø,141603,896852810,http://webs.com/in.json,consectetur adipiscing elit\n"
    )
    assert (info["state"], info["numberRecordsProcessed"], info["numberRecordsFailed"]) == (
        "JobComplete",
        2,
        0,
    )
    assert (info["jobType"], info["retries"], info["apexProcessingTime"]) == ("V2Ingest", 0, 0)
    text = job.results("successfulResults")
    assert text.startswith('"sf__Id","sf__Created",Name,ShippingCity,NumberOfEmployees')
    first, second = rows(text)
    assert (first["sf__Created"], first["Name"], second["ShippingCity"]) == ("true", "Lorem Ipsum", "Bodø")
    assert first["sf__Id"].startswith("001")
    assert {record["Id"] for record in org.records("Account")} == {first["sf__Id"], second["sf__Id"]}


def test_upsert_creates_then_updates_by_external_id(org: Emulator, sf: Salesforce, accounts, new_job) -> None:
    """Bulk API 2.0 Developer Guide, "Walkthrough for Bulk Upsert": sf__Created tells the two apart."""
    created, updated = new_job(sf), new_job(sf)
    created.run(HEADER + "S1,A1,0.5,high,fell\nS2,A2,0.2,low,rose\n")
    updated.run(HEADER + "S1,A1,0.75,critical,fell more\n")
    assert [row["sf__Created"] for row in rows(created.results("successfulResults"))] == ["true", "true"]
    assert [row["sf__Created"] for row in rows(updated.results("successfulResults"))] == ["false"]
    by_account = {record["Millrace_Account_Id__c"]: record["Id"] for record in org.records("Account")}
    assert stored(org)["S1"]["Score__c"] == 0.75
    assert stored(org)["S1"]["Account__c"] == by_account["A1"]
    assert stored(org)["S2"]["Risk_Level__c"] == "low"
    assert {record["Name"] for record in stored(org).values()} == {"CS-00000001", "CS-00000002"}


def test_empty_keeps_and_na_clears(org: Emulator, sf: Salesforce, accounts, new_job) -> None:
    """Bulk API 2.0 Developer Guide, "Valid CSV Record Rows" (datafiles_csv_valid_record_rows.htm).

    "Empty field values are ignored when you update records. To set a field value to null, use a field
    value of #N/A."
    """
    new_job(sf).run(HEADER + "S1,A1,0.5,high,fell\n")
    new_job(sf).run(HEADER + "S1,,,#N/A,#N/A\n")
    record = stored(org)["S1"]
    assert (record["Score__c"], record["Risk_Level__c"], record["Reason_1__c"]) == (0.5, None, None)
    assert record["Account__c"] is not None


def test_rfc_4180_cells_survive(org: Emulator, sf: Salesforce, new_job) -> None:
    """Bulk API 2.0 Developer Guide, "Valid CSV Record Rows": quotes doubled, commas and breaks quoted."""
    reason = 'He said "no", then\nleft; =SUM(A1) \u00e9\U0001f600'
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([["External_Id__c", "Reason_1__c"], ["S1", reason]])
    job = new_job(sf)
    assert job.run(out.getvalue())["state"] == "JobComplete"
    assert stored(org)["S1"]["Reason_1__c"] == reason
    assert rows(job.results("successfulResults"))[0]["Reason_1__c"] == reason


@pytest.mark.parametrize(("delimiter", "ending"), [("TAB", "CRLF"), ("PIPE", "LF"), ("SEMICOLON", "CRLF")])
def test_declared_delimiters_and_line_endings(org, sf, new_job, delimiter: str, ending: str) -> None:
    """Bulk API 2.0 Developer Guide, "Prepare CSV Files" (api_asynch/datafiles_prepare_csv.htm)."""
    mark, end = {"TAB": "\t", "PIPE": "|", "SEMICOLON": ";"}[delimiter], {"LF": "\n", "CRLF": "\r\n"}[ending]
    job = new_job(sf, column_delimiter=delimiter, line_ending=ending)
    text = end.join([mark.join(["External_Id__c", "Reason_1__c"]), mark.join(["S1", "a, b"]), ""])
    assert job.run(text)["numberRecordsProcessed"] == 1
    assert stored(org)["S1"]["Reason_1__c"] == "a, b"
    assert job.results("successfulResults").endswith(f'"a, b"{end}')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "External_Id__c,Score__c\r\nS1,0.5\r\n",
            "ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is LF",
        ),
        ("External_Id__c,Nope__c\nS1,0.5\n", "InvalidBatch : Field name not found : Nope__c"),
        ("Score__c\n0.5\n", "InvalidBatch : Field name not found : External_Id__c"),
        ("External_Id__c,Is_My_Account__c\nS1,1\n", "InvalidBatch : Field name not found : Is_My_Account__c"),
        ("External_Id__c,Score__c,score__C\nS1,1,1\n", "InvalidBatch : Field name duplicated : score__C"),
        ("External_Id__c,Account__r.Name\nS1,x\n", "InvalidBatch : Field name not found : Account__r.Name"),
        ('External_Id__c,Reason_1__c\nS1,"a"b"\n', "InvalidBatch : Failed to parse CSV record"),
        ("External_Id__c,Reason_1__c\nS1,a,b\n", "InvalidBatch : Failed to parse CSV record 2"),
    ],
)
def test_a_file_that_cannot_be_read_fails_the_job_and_writes_nothing(
    org: Emulator, sf: Salesforce, new_job, text: str, message: str
) -> None:
    """Bulk API 2.0 Developer Guide, "Get Information About an Ingest Job": errorMessage of a failed job."""
    job = new_job(sf)
    info = job.run(text)
    assert (info["state"], info["numberRecordsProcessed"]) == ("Failed", 0)
    assert info["errorMessage"].startswith(message)
    assert org.records("Churn_Score__c") == []
    assert job.results("unprocessedRecords").encode() == text.encode()
    assert job.results("successfulResults") == ""


@pytest.mark.parametrize(
    ("row", "error"),
    [
        (
            "S1,A9,0.5,high,x",
            "INVALID_FIELD:Foreign key external ID: A9 not found for field Millrace_Account_Id__c in entity"
            " Account:--",
        ),
        (
            "S1,A1,lots,high,x",
            "INVALID_TYPE_ON_FIELD_IN_RECORD:Churn Probability: value not of required type: lots:Score__c --",
        ),
        (
            "S1,A1,10,high,x",
            "NUMBER_OUTSIDE_VALID_RANGE:Churn Probability: value outside of valid range on numeric field:"
            " 10:Score__c --",
        ),
        (
            "S1,A1,0.5,extreme,x",
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST:Risk Level: bad value for restricted picklist field:"
            " extreme:Risk_Level__c --",
        ),
        (
            f"S1,A1,0.5,high,{'x' * 256}",
            f"STRING_TOO_LONG:Reason 1: data value too large: {'x' * 256} (max length=255):Reason_1__c --",
        ),
        (
            ",A1,0.5,high,x",
            "MISSING_ARGUMENT:External_Id__c not specified in an upsert call:External_Id__c --",
        ),
    ],
    ids=["parent", "type", "range", "picklist", "length", "no-key"],
)
def test_a_bad_row_fails_alone_with_the_documented_code(
    org, sf, accounts, new_job, row: str, error: str
) -> None:
    """Bulk API 2.0 Developer Guide, "Get Job Failed Record Results": sf__Id, sf__Error, original columns.

    Codes: SOAP API Developer Guide, "Core Data Types Used in API Calls", StatusCode.
    """
    job = new_job(sf)
    info = job.run(HEADER + f"S0,A1,0.5,high,fine\n{row}\n")
    assert (info["state"], info["numberRecordsProcessed"], info["numberRecordsFailed"]) == (
        "JobComplete",
        2,
        1,
    )
    text = job.results("failedResults")
    assert text.startswith('"sf__Id","sf__Error",External_Id__c,')
    (failed,) = rows(text)
    assert failed["sf__Error"] == error
    assert ",".join(list(failed.values())[2:]) == row
    assert set(stored(org)) == {"S0"}


def test_a_key_that_occurs_twice_in_a_batch_fails_every_time(org, sf, accounts, new_job) -> None:
    """SOAP API Developer Guide, "upsert()": a key matched several times is neither created nor updated."""
    job = new_job(sf)
    job.run(HEADER + "S1,A1,0.1,low,x\nS2,A2,0.2,low,x\nS1,A1,0.3,low,x\n")
    errors = [row["sf__Error"] for row in rows(job.results("failedResults"))]
    assert errors == ["DUPLICATE_EXTERNAL_ID:Duplicate external id specified: S1:External_Id__c --"] * 2
    assert set(stored(org)) == {"S2"}


def test_fields_of_customer_success_are_refused_to_the_integration_user(org, sf, new_job) -> None:
    job = new_job(sf)
    job.run("External_Id__c,Feedback__c\nS1,agree\nS2,\n")
    (failed,) = rows(job.results("failedResults"))
    assert failed["sf__Error"].startswith(
        "INVALID_FIELD_FOR_INSERT_UPDATE:Unable to create/update fields: Feedback__c. Please check the security"
    )
    assert set(stored(org)) == {"S2"}


def test_unique_fields_and_required_fields_of_inserts(org, sf, accounts, new_job) -> None:
    """StatusCodes DUPLICATE_VALUE and REQUIRED_FIELD_MISSING."""
    job = new_job(sf, "Account", operation="insert", external_id_field=None)
    job.run("Name,Millrace_Account_Id__c\nTaken,A1\nNew,A4\nAgain,A4\n,A5\n")
    errors = {row["Name"]: row["sf__Error"] for row in rows(job.results("failedResults"))}
    assert set(errors) == {"Taken", "Again", ""}
    taken = next(r["Id"] for r in org.records("Account") if r["Millrace_Account_Id__c"] == "A1")
    assert errors["Taken"] == (
        "DUPLICATE_VALUE:duplicate value found: Millrace_Account_Id__c duplicates value on record with id:"
        f" {taken}:--"
    )
    assert errors["Again"].startswith("DUPLICATE_VALUE:")
    assert errors[""] == "REQUIRED_FIELD_MISSING:Required fields are missing: [Name]:Name --"


def test_update_and_delete_by_id(org, sf, accounts, new_job) -> None:
    new_job(sf).run(HEADER + "S1,A1,0.1,low,x\nS2,A2,0.2,low,x\n")
    ids = {key: record["Id"] for key, record in stored(org).items()}
    gone = "a005f0zzzzzzzzzAAA"
    update = new_job(sf, operation="update", external_id_field=None)
    update.run(f"Id,Score__c\n{ids['S1'][:15]},0.9\n{gone},0.9\nS1,0.9\n")
    assert stored(org)["S1"]["Score__c"] == 0.9
    assert [row["sf__Error"].partition(":")[0] for row in rows(update.results("failedResults"))] == [
        "INVALID_CROSS_REFERENCE_KEY",
        "MALFORMED_ID",
    ]
    delete = new_job(sf, operation="delete", external_id_field=None)
    delete.run(f"Id\n{ids['S1']}\n")
    again = new_job(sf, operation="delete", external_id_field=None)
    again.run(f"Id\n{ids['S1']}\n")
    assert set(stored(org)) == {"S2"}
    assert rows(again.results("failedResults"))[0]["sf__Error"] == "ENTITY_IS_DELETED:entity is deleted:--"
    new_job(sf).run(HEADER + "S1,A1,0.3,low,x\n")
    assert stored(org)["S1"]["Id"] != ids["S1"]


def test_data_is_uploaded_once_and_only_while_the_job_is_open(sf, new_job) -> None:
    """Bulk API 2.0 Developer Guide, "Upload Job Data"; the second PUT answers as the service does."""
    job = new_job(sf)
    job.client.upload_job_data(job.id, "External_Id__c\nS1\n")
    with pytest.raises(SalesforceMalformedRequest, match="Found multiple contents for job"):
        job.client.upload_job_data(job.id, "External_Id__c\nS2\n")
    job.client.close_job(job.id)
    with pytest.raises(SalesforceMalformedRequest, match="INVALIDJOBSTATE"):
        job.client.upload_job_data(job.id, "External_Id__c\nS3\n")
    assert job.wait()["numberRecordsProcessed"] == 1


def test_the_limit_counts_base64(connect, new_job) -> None:
    """ "Upload Job Data": no more than 150 MB of base64 encoded content."""
    with Emulator(max_upload_bytes=400) as emulator:
        sf = connect(emulator)
        fits, exceeds = new_job(sf), new_job(sf)
        fits.client.upload_job_data(fits.id, "External_Id__c\n" + "S" * 285)
        with pytest.raises(Exception, match="CLIENTINPUTERROR") as caught:
            exceeds.client.upload_job_data(exceeds.id, "External_Id__c\n" + "S" * 286)
        assert caught.value.status == 413


def test_states_change_one_way_only(sf, new_job) -> None:
    """ "Upload Complete" and "Abort a Job": PATCH state UploadComplete or Aborted."""
    done, aborted = new_job(sf), new_job(sf)
    done.run("External_Id__c\nS1\n")
    with pytest.raises(SalesforceMalformedRequest, match="Closing already Completed Job not allowed"):
        done.client.close_job(done.id)
    with pytest.raises(SalesforceMalformedRequest, match="Aborting already Completed Job not allowed"):
        done.client.abort_job(done.id, False)
    assert aborted.client.abort_job(aborted.id, False)["state"] == "Aborted"
    with pytest.raises(SalesforceMalformedRequest, match="Closing already Aborted Job not allowed"):
        aborted.client.close_job(aborted.id)
    with pytest.raises(SalesforceMalformedRequest, match="state must be UploadComplete or Aborted"):
        aborted.client._set_job_state(aborted.id, False, "JobComplete")


def test_aborting_in_the_middle_leaves_unprocessed_records(connect, new_job) -> None:
    """ "Get Job Unprocessed Record Results": the rows that an aborted job did not reach."""
    with Emulator(batch_rows=2, job_latency_seconds=0.2) as emulator:
        sf = connect(emulator)
        job = new_job(sf)
        job.client.upload_job_data(job.id, "External_Id__c\n" + "".join(f"S{i}\n" for i in range(40)))
        job.client.close_job(job.id)
        while job.client.get_job(job.id, False)["numberRecordsProcessed"] == 0:
            pass
        job.client.abort_job(job.id, False)
        new_job(sf).run("External_Id__c\n")  # jobs run one after the other: the aborted one is over
        info = job.wait()
        done = rows(job.results("successfulResults"))
        left = rows(job.results("unprocessedRecords"))
        assert info["state"] == "Aborted"
        assert 0 < len(done) == info["numberRecordsProcessed"] == len(emulator.records("Churn_Score__c")) < 40
        assert [row["External_Id__c"] for row in done + left] == [f"S{i}" for i in range(40)]


def test_results_wait_for_the_end_and_a_deleted_job_is_gone(sf, new_job) -> None:
    """ "Delete a Job": 204; to be deleted, a job must be UploadComplete, JobComplete, Aborted or Failed."""
    job = new_job(sf)
    with pytest.raises(SalesforceMalformedRequest, match="INVALIDJOBSTATE"):
        job.results("successfulResults")
    url = f"{sf.bulk2_url}ingest/{job.id}"
    with pytest.raises(SalesforceMalformedRequest, match="INVALIDJOBSTATE"):
        sf._call_salesforce("DELETE", url)
    job.run("External_Id__c\nS1\n")
    assert sf._call_salesforce("DELETE", url).status_code == 204
    with pytest.raises(SalesforceResourceNotFound):
        job.client.get_job(job.id, False)


def test_all_jobs_can_be_listed(sf, new_job) -> None:
    """ "Get Information About All Ingest Jobs": done, records, nextRecordsUrl, jobType filter."""
    jobs = [new_job(sf) for _ in range(3)]
    url = f"{sf.bulk2_url}ingest"
    body = sf._call_salesforce(
        "GET", url, params={"jobType": "V2Ingest", "isPkChunkingEnabled": "false"}
    ).json()
    assert (body["done"], body["nextRecordsUrl"]) == (True, None)
    assert {record["id"] for record in body["records"]} == {job.id for job in jobs}
    assert all(record["jobType"] == "V2Ingest" for record in body["records"])
    assert sf._call_salesforce("GET", url, params={"jobType": "Classic"}).json()["records"] == []


def test_the_list_has_pages_of_a_thousand(org, sf, new_job) -> None:
    for _ in range(1001):
        org._store.reserve("_jobs", 1)
    first = new_job(sf)
    with org._store.transaction() as connection:
        connection.executemany(
            'INSERT INTO "_jobs" (id, object, operation, line_ending, delimiter, api_version, state, created,'
            " modified) SELECT ?, object, operation, line_ending, delimiter, api_version, state, created,"
            ' modified FROM "_jobs" WHERE id = ?',
            [(f"750{n:015d}", first.id) for n in range(1000)],
        )
    page = sf._call_salesforce("GET", f"{sf.bulk2_url}ingest").json()
    assert (page["done"], len(page["records"])) == (False, 1000)
    rest = sf._call_salesforce("GET", f"https://{sf.sf_instance}{page['nextRecordsUrl']}").json()
    assert (rest["done"], len(rest["records"])) == (True, 1)
    assert len({record["id"] for record in page["records"] + rest["records"]}) == 1001


def test_the_high_level_client_works_end_to_end(org, sf, accounts) -> None:
    records = [
        {"External_Id__c": f"S{i}", "Account__r.Millrace_Account_Id__c": "A1", "Score__c": "0.5"}
        for i in range(50)
    ]
    (outcome,) = sf.bulk2.Churn_Score__c.upsert(
        records=records, external_id_field="External_Id__c", wait=0.05
    )
    assert (outcome["numberRecordsProcessed"], outcome["numberRecordsFailed"]) == (50, 0)
    everything = sf.bulk2.Churn_Score__c.get_all_ingest_records(outcome["job_id"])
    assert [len(everything[k]) for k in ("successfulRecords", "failedRecords", "unprocessedRecords")] == [
        50,
        0,
        0,
    ]


def test_the_audit_counts_each_payload(org, sf, new_job) -> None:
    for text in (
        "External_Id__c,Score__c\nS1,0.5\nS2,0.5\n",
        "Score__c,External_Id__c\n0.5,S1\n",  # the same payload in another order
        "External_Id__c,Score__c\nS1,0.6\nS2,bad\n",
    ):
        new_job(sf).run(text)
    counts = sorted((row.key, row.ok, row.failed) for row in org.audit("Churn_Score__c"))
    assert counts == [("S1", 1, 0), ("S1", 2, 0), ("S2", 0, 1), ("S2", 1, 0)]
    assert org.requests()["bulk.upload"] == 3
