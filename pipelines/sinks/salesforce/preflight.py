"""Checks before anything is sent: does the object accept what is about to be written, and is there quota."""

from __future__ import annotations

import logging
from typing import Any

import polars as pl

from pipelines.errors import ConfigError, DataContractError
from pipelines.sinks.errors import SinkUnavailableError
from pipelines.sinks.salesforce.connection import Connection
from pipelines.sinks.salesforce.target import SalesforceTarget

_LOG = logging.getLogger(__name__)

#: Rows that Salesforce processes as one internal batch, the unit of the daily allowance.
_ROWS_PER_BATCH = 10_000
#: Requests that one job takes: create, upload, close, some polls, three result files.
_REQUESTS_PER_JOB = 20


def describe(connection: Connection, object_: str) -> dict[str, dict[str, Any]]:
    """Fields of an object, by name in lower case; the object must exist and be visible."""
    answer = connection.find(f"sobjects/{object_}/describe")
    if answer is None:
        raise ConfigError(
            f"Salesforce has no object {object_} that the integration user may see: deploy the package under "
            "pipelines/sinks/salesforce/sfdx and assign its permission set"
        )
    return {str(field["name"]).lower(): field for field in answer["fields"]}


def check_fields(connection: Connection, target: SalesforceTarget) -> dict[str, dict[str, Any]]:
    """Check that every outbound field exists, is writable, and that the external id is one.

    Returns the describe entry of every outbound column; for a lookup by external id, that of the parent's
    external id field. Raises ``ConfigError``, which names every offending field and what to do about it.
    """
    fields = describe(connection, target.object)
    problems: list[str] = []
    found: dict[str, dict[str, Any]] = {}
    for name in target.columns:
        try:
            if name == target.external_id_field:
                found[name] = _external_id(name, fields.get(name.lower()))
            elif "." in name:
                found[name] = _lookup(connection, fields, name)
            else:
                found[name] = _writable(name, fields.get(name.lower()))
        except _UnfitError as problem:
            problems.append(str(problem))
    if problems:
        raise ConfigError(f"{target.object} does not accept what is to be published: {'; '.join(problems)}")
    return found


def check_case(described: dict[str, Any], external_ids: pl.Series) -> None:
    """Check that ids differ by more than case: without it, most fields would take two rows for one record."""
    if described.get("caseSensitive"):
        return
    twins = external_ids.filter(external_ids.str.to_lowercase().is_duplicated())
    if len(twins):
        raise DataContractError(
            f"{described['name']} ignores case, so these {len(twins)} external ids would overwrite each other: "
            f"{twins.sort().head(6).to_list()}. Make the field case-sensitive, or make the ids differ"
        )


def check_limits(connection: Connection, *, rows: int, jobs: int) -> dict[str, int]:
    """Check that the daily allowances suffice; returns what remains of each that Salesforce reports."""
    limits = connection.get("limits/").json()
    needs = {
        "DailyBulkApiBatches": max(jobs, -(-rows // _ROWS_PER_BATCH)),
        "DailyApiRequests": jobs * _REQUESTS_PER_JOB,
    }
    remaining = {name: int(limits[name]["Remaining"]) for name in needs if name in limits}
    short = [
        f"{name}: {needs[name]} needed, {left} of {limits[name]['Max']} left"
        for name, left in remaining.items()
        if left < needs[name]
    ]
    if short:
        raise SinkUnavailableError(
            f"the org's daily allowance does not suffice ({'; '.join(short)}). Nothing was sent; "
            "the allowance refills over 24 hours, run the publish again then"
        )
    return remaining


class _UnfitError(Exception):
    """A field cannot be what it is meant to be."""


def _external_id(name: str, entry: dict[str, Any] | None) -> dict[str, Any]:
    if entry is None:
        raise _UnfitError(f"{name} does not exist: create it as an External ID")
    if not entry.get("externalId"):
        raise _UnfitError(f"{name} is not an External ID: tick External ID and Unique")
    return entry


def _writable(name: str, entry: dict[str, Any] | None) -> dict[str, Any]:
    if entry is None:
        raise _UnfitError(f"{name} does not exist: deploy it, or grant the integration user access to it")
    if not entry.get("createable") or not entry.get("updateable"):
        why = "a formula or roll-up" if entry.get("calculated") else "read-only for the integration user"
        raise _UnfitError(
            f"{name} is {why}: remove it from the fields, or grant edit access by the permission set"
        )
    return entry


def _lookup(connection: Connection, fields: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
    """Check ``Parent__r.External_Id__c``: the lookup is writable, the parent's field is an External ID."""
    relation, _, parent_field = name.partition(".")
    lookups = [f for f in fields.values() if str(f.get("relationshipName") or "").lower() == relation.lower()]
    if not lookups:
        raise _UnfitError(f"{name}: no lookup is called {relation}")
    _writable(f"{name} (lookup {lookups[0]['name']})", lookups[0])
    parent = str(lookups[0]["referenceTo"][0])
    entry = describe(connection, parent).get(parent_field.lower())
    if entry is None or not entry.get("externalId"):
        raise _UnfitError(f"{name}: {parent}.{parent_field} must be an External ID to find the parent by")
    return entry
