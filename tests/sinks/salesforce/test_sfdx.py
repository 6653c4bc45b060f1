"""The SFDX package is consistent: what one file names, another declares."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.discovery import every
from pipelines.lab.emulator.objects import SFDX_SOURCE, load_schema
from pipelines.sinks.target import SalesforceObject
from pipelines.usecases.churn.schemas import RISK_LEVELS

PACKAGE = SFDX_SOURCE.parents[2]
ROOT = Path(__file__).resolve().parents[3]
NS = "{http://soap.sforce.com/2006/04/metadata}"
OBJECT, NEXT_ORDER = "Churn_Score__c", "Next_Order__c"
#: What the use cases publish to, by object: the model below marts/exports whose rows are sent.
EXPORTS = {
    target.object: target.export
    for usecase in every()
    for target in usecase.targets
    if isinstance(target, SalesforceObject)
}
OBJECTS = tuple(EXPORTS)
FILES = sorted(PACKAGE.rglob("*.xml"))
FEEDBACK = {"Feedback__c", "Feedback_Comment__c"}


def texts(path: Path | str, *tags: str) -> list[str]:
    """Texts of the elements with one of these tags, in document order."""
    root = ET.parse(SFDX_SOURCE / path).getroot()
    return [e.text or "" for e in root.iter() if e.tag.removeprefix(NS) in tags]


def declared(sobject: str = OBJECT) -> set[str]:
    return {path.name.partition(".")[0] for path in SFDX_SOURCE.glob(f"objects/{sobject}/fields/*.xml")}


def manifest(path: str) -> dict[str, set[str]]:
    root = ET.parse(PACKAGE / "manifest" / path).getroot()
    return {
        types.findtext(f"{NS}name", ""): {member.text or "" for member in types.findall(f"{NS}members")}
        for types in root.findall(f"{NS}types")
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_is_metadata(path: Path) -> None:
    assert ET.parse(path).getroot().tag.startswith(NS)


def test_the_project_points_at_the_source() -> None:
    project = json.loads((PACKAGE / "sfdx-project.json").read_text())
    assert [entry["path"] for entry in project["packageDirectories"]] == ["force-app"]
    (version,) = texts(PACKAGE / "manifest" / "package.xml", "version")
    assert version == project["sourceApiVersion"]


def test_the_manifest_lists_exactly_the_files() -> None:
    """A component that is not in the manifest is not deployed, and nobody notices."""

    def names(pattern: str) -> set[str]:
        return {re.sub(r"\.[\w]+-meta\.xml$", "", path.name) for path in SFDX_SOURCE.glob(pattern)}

    def parts(kind: str) -> set[str]:
        return {f"{each}.{name}" for each in OBJECTS for name in names(f"objects/{each}/{kind}/*")}

    expected = {
        "CompactLayout": parts("compactLayouts"),
        "CustomField": parts("fields") | {"Account.Millrace_Account_Id__c"},
        "CustomObject": set(OBJECTS),
        "CustomTab": names("tabs/*"),
        "Dashboard": {"Churn"} | {f"Churn/{name}" for name in names("dashboards/Churn/*")},
        "Layout": names("layouts/*"),
        "ListView": parts("listViews"),
        "PermissionSet": names("permissionsets/*"),
        "Report": {"Churn"} | {f"Churn/{name}" for name in names("reports/Churn/*")},
        "ReportType": names("reportTypes/*"),
    }
    assert manifest("package.xml") == expected
    assert (len(declared()), len(declared(NEXT_ORDER))) == (19, 12)


def test_everything_that_is_deployed_can_be_removed() -> None:
    """Parts of the object go with it."""
    parts_of_the_object = {"CompactLayout", "ListView"}
    deployed = manifest("package.xml")
    removed = manifest("destroy/destructiveChanges.xml")
    assert set(deployed) - set(removed) == parts_of_the_object
    assert removed["CustomField"] == {"Account.Millrace_Account_Id__c"}
    for kind in set(removed) - {"CustomField", "Layout"}:
        assert removed[kind] == deployed[kind]
    of_the_objects = {name for name in deployed["Layout"] if name.partition("-")[0] in OBJECTS}
    assert deployed["Layout"] - removed["Layout"] == of_the_objects


def test_views_reports_and_layouts_name_fields_that_exist() -> None:
    known = declared() | {"Name", "NAME"}
    used = {
        "list views": [
            name
            for path in SFDX_SOURCE.glob(f"objects/{OBJECT}/listViews/*")
            for name in texts(path, "columns", "field")
        ],
        "compact layout": texts(
            f"objects/{OBJECT}/compactLayouts/Churn_Score_Compact.compactLayout-meta.xml", "fields"
        )[1:],
        "report type": texts("reportTypes/Churn_Scores.reportType-meta.xml", "field"),
        "reports": [
            name.removeprefix(f"{OBJECT}$")
            for path in SFDX_SOURCE.glob("reports/Churn/*")
            for name in texts(path, "field", "column", "sortColumn", "dateColumn")
        ],
        "dashboard": [
            name.removeprefix(f"{OBJECT}$")
            for name in texts(
                "dashboards/Churn/Churn_Overview.dashboard-meta.xml", "column", "groupingColumn"
            )
            if name != "RowCount"
        ],
        "layout": texts(f"layouts/{OBJECT}-Churn Score Layout.layout-meta.xml", "field"),
        "related list": texts("layouts/Account-Churn Account Layout.layout-meta.xml", "fields")[:5],
        "search": texts(f"objects/{OBJECT}/{OBJECT}.object-meta.xml", "customTabListAdditionalFields"),
    }
    for where, names in used.items():
        assert names, where
        assert set(names) <= known, f"{where}: {sorted(set(names) - known)}"


def test_views_and_layout_of_the_next_order_name_fields_that_exist() -> None:
    known = declared(NEXT_ORDER) | {"Name", "NAME"}
    folder = f"objects/{NEXT_ORDER}"
    used = {
        "list views": [
            name
            for path in SFDX_SOURCE.glob(f"{folder}/listViews/*")
            for name in texts(path, "columns", "field")
        ],
        "compact layout": texts(
            f"{folder}/compactLayouts/Next_Order_Compact.compactLayout-meta.xml", "fields"
        )[1:],
        "layout": texts(f"layouts/{NEXT_ORDER}-Next Order Layout.layout-meta.xml", "field"),
        "search": texts(f"{folder}/{NEXT_ORDER}.object-meta.xml", "customTabListAdditionalFields"),
    }
    for where, names in used.items():
        assert names, where
        assert set(names) <= known, f"{where}: {sorted(set(names) - known)}"
    assert known - {"NAME", "Is_My_Account__c"} <= set(used["layout"]), "a field nobody shows"


def test_filters_use_values_of_the_picklists() -> None:
    for path in (*SFDX_SOURCE.glob(f"objects/{OBJECT}/listViews/*"), *SFDX_SOURCE.glob("reports/Churn/*")):
        names = [name.removeprefix(f"{OBJECT}$") for name in texts(path, "field", "column")]
        values = [value for text in texts(path, "value") for value in text.split(",")]
        assert set(values) <= {*RISK_LEVELS, "THIS_WEEK", "1", ""}, path.name
        if {"high", "critical"} & set(values):
            assert "Risk_Level__c" in names


def test_the_dashboard_shows_reports_of_the_package_and_they_its_report_type() -> None:
    shown = set(texts("dashboards/Churn/Churn_Overview.dashboard-meta.xml", "report"))
    assert shown == manifest("package.xml")["Report"] - {"Churn"}
    for path in SFDX_SOURCE.glob("reports/Churn/*"):
        assert texts(path, "reportType") == ["Churn_Scores__c"]


def access(name: str) -> tuple[dict[str, bool], dict[str, set[str]]]:
    """Editable by field, and granted rights by object, of a permission set."""
    root = ET.parse(SFDX_SOURCE / "permissionsets" / f"{name}.permissionset-meta.xml").getroot()
    fields = {
        grant.findtext(f"{NS}field", ""): grant.findtext(f"{NS}editable") == "true"
        for grant in root.findall(f"{NS}fieldPermissions")
    }
    objects = {
        grant.findtext(f"{NS}object", ""): {
            child.tag.removeprefix(NS) for child in grant if child.text == "true"
        }
        for grant in root.findall(f"{NS}objectPermissions")
    }
    return fields, objects


@pytest.mark.parametrize("role", ["Integration", "Reader"])
@pytest.mark.parametrize("name", OBJECTS)
def test_permission_sets_cover_every_field_they_can_and_no_other(name: str, role: str) -> None:
    """Salesforce refuses to deploy a field permission on a required field."""
    sobject = load_schema()[name.lower()]
    grantable = {f"{name}.{f.name}" for f in sobject.fields if f.name.endswith("__c") and not f.required}
    fields, _ = access(f"{name.removesuffix('__c')}_{role}")
    assert set(fields) == grantable | {"Account.Millrace_Account_Id__c"}
    assert fields["Account.Millrace_Account_Id__c"] is False
    assert fields[f"{name}.Is_My_Account__c"] is False


def test_marketing_reads_predicted_orders_and_writes_nothing() -> None:
    fields, objects = access("Next_Order_Reader")
    assert not any(fields.values())
    assert objects == {"Account": {"allowRead"}, NEXT_ORDER: {"allowRead", "viewAllRecords"}}


def test_customer_success_edits_feedback_only() -> None:
    fields, objects = access("Churn_Score_Reader")
    assert {field for field, editable in fields.items() if editable} == {f"{OBJECT}.{f}" for f in FEEDBACK}
    assert objects == {"Account": {"allowRead"}, OBJECT: {"allowRead", "allowEdit", "viewAllRecords"}}


@pytest.mark.parametrize("name", OBJECTS)
def test_the_integration_user_has_no_more_than_it_needs(name: str) -> None:
    integration = f"{name.removesuffix('__c')}_Integration"
    fields, objects = access(integration)
    assert not {f"{OBJECT}.{field}" for field in FEEDBACK} & {f for f, editable in fields.items() if editable}
    assert objects == {
        "Account": {"allowRead", "viewAllRecords"},
        name: {"allowCreate", "allowDelete", "allowEdit", "allowRead", "viewAllRecords"},
    }
    path = f"permissionsets/{integration}.permissionset-meta.xml"
    root = ET.parse(SFDX_SOURCE / path).getroot()
    assert [g.findtext(f"{NS}name") for g in root.findall(f"{NS}userPermissions")] == ["ApiEnabled"]


def exported(sobject: str = OBJECT) -> dict[str, dict[str, Any]]:
    """Columns of the outbound contract, by name."""
    files = (ROOT / "dbt_project" / "models" / "marts" / "exports").glob("*.yml")
    models = [model for path in files for model in yaml.safe_load(path.read_text()).get("models", [])]
    (model,) = [model for model in models if model["name"] == EXPORTS[sobject]]
    return {column["name"]: column for column in model["columns"]}


@pytest.mark.parametrize("written", OBJECTS)
def test_what_is_exported_is_exactly_what_the_integration_user_may_write(written: str) -> None:
    """A column without a field fails the job; a field without a column shows nothing, for ever."""
    sobject = load_schema()[written.lower()]
    fields = set()
    for name in exported(written):
        relationship, dot, key = name.partition(".")
        field = sobject.by_relationship[relationship.lower()] if dot else sobject.get(name)
        assert field is not None, name
        assert not dot or (field.reference_to, key) == ("Account", "Millrace_Account_Id__c")
        fields.add(field.name)
    assert fields == {f.name for f in sobject.fields if f.name.endswith("__c") and f.updateable}


@pytest.mark.parametrize("written", OBJECTS)
def test_the_fields_hold_what_the_contract_lets_through(written: str) -> None:
    sobject = load_schema()[written.lower()]
    types = {
        "varchar": {"string", "textarea", "picklist"},
        "double": {"double"},
        "bigint": {"double"},
        "date": {"date"},
    }
    compared = 0
    for name, column in exported(written).items():
        field = sobject.get(name)
        if field is None:  # the parent's id
            continue
        meta = column["config"]["meta"]
        assert field.type in types[column["data_type"]], name
        assert field.length == meta.get("max_length", field.length), name
        assert column["data_type"] != "bigint" or field.scale == 0, name
        assert meta.get("maximum", 0) < 10 ** (field.precision - field.scale), name
        compared += 1
    assert compared == len(exported(written)) - 1


def test_risk_levels_are_the_picklists() -> None:
    levels = load_schema()[OBJECT.lower()].get("Risk_Level__c")
    assert levels is not None
    assert levels.restricted
    (test,) = exported()["Risk_Level__c"]["data_tests"]
    assert [value for value, _ in levels.picklist] == list(RISK_LEVELS)
    assert set(test["accepted_values"]["arguments"]["values"]) == set(RISK_LEVELS)
