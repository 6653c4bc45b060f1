"""The table: its shape and time to live are checked, and it is created where that is allowed."""

from __future__ import annotations

import logging
from typing import Any

from pipelines.errors import ConfigError
from pipelines.sinks.backoff import Backoff
from pipelines.sinks.dynamodb.connection import Connection
from pipelines.sinks.dynamodb.target import EXPIRES_AT, PARTITION_KEY, SORT_KEY
from pipelines.sinks.errors import SinkUnavailableError

_LOG = logging.getLogger(__name__)

#: Key attributes, all texts, and their roles.
_KEYS = [(PARTITION_KEY, "HASH"), (SORT_KEY, "RANGE")]
#: Making a table takes some ten seconds.
_CREATION = Backoff(attempts=40, base_s=0.5, cap_s=5.0)


def require_table(connection: Connection, table: str, *, create: bool) -> None:
    """Check the table, and create it if it is missing and may be created.

    Created tables are billed on demand, drop expired items, and are protected from deletion.
    """
    if not find_table(connection, table, create=create):
        _create(connection, table)
    _check_shape(_ready(connection, table), table)
    _require_expiry(connection, table, create=create)


def find_table(connection: Connection, table: str, *, create: bool) -> bool:
    """Whether the table is there; its absence is an error unless it may be made."""
    if _describe(connection, table) is not None:
        return True
    if create:
        return False
    raise ConfigError(
        f"DynamoDB at {connection.where} has no table {table!r}: check MILLRACE_DYNAMODB__TABLE and __REGION, "
        "or have it created with MILLRACE_DYNAMODB__CREATE_TABLE=true"
    )


def _describe(connection: Connection, table: str) -> dict[str, Any] | None:
    answer = connection.call("describe_table", unless="ResourceNotFoundException", TableName=table)
    return answer.get("Table")


def _create(connection: Connection, table: str) -> None:
    _LOG.info("making the DynamoDB table %s", table)
    connection.call(
        "create_table",
        unless="ResourceInUseException",  # another process made it, or our own try whose answer was lost
        TableName=table,
        KeySchema=[{"AttributeName": name, "KeyType": role} for name, role in _KEYS],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in _KEYS],
        BillingMode="PAY_PER_REQUEST",
        DeletionProtectionEnabled=True,
    )


def _ready(connection: Connection, table: str) -> dict[str, Any]:
    for _ in _CREATION.tries():
        found = _describe(connection, table)
        if found is not None and found["TableStatus"] in ("ACTIVE", "UPDATING"):
            return found
    raise SinkUnavailableError(f"the DynamoDB table {table} is not ready yet; run the publish again later")


def _check_shape(described: dict[str, Any], table: str) -> None:
    types = {entry["AttributeName"]: entry["AttributeType"] for entry in described["AttributeDefinitions"]}
    keys = [(entry["AttributeName"], entry["KeyType"]) for entry in described["KeySchema"]]
    if keys != _KEYS or any(types[name] != "S" for name, _ in keys):
        raise ConfigError(
            f"the DynamoDB table {table} must have the partition key {PARTITION_KEY!r} and the sort key {SORT_KEY!r}, "
            f"both texts; it has {keys} of the types {types}: name another table in MILLRACE_DYNAMODB__TABLE"
        )


def _require_expiry(connection: Connection, table: str, *, create: bool) -> None:
    """Check that old versions are removed; otherwise they stay and cost storage forever."""
    answer = connection.call("describe_time_to_live", TableName=table)["TimeToLiveDescription"]
    if answer["TimeToLiveStatus"] in ("ENABLED", "ENABLING"):
        name = answer.get("AttributeName")
        if name != EXPIRES_AT:
            raise ConfigError(
                f"the DynamoDB table {table} expires items by {name!r}, the sink writes {EXPIRES_AT!r}: old "
                f"versions would stay forever. Set the table's time to live to {EXPIRES_AT!r}"
            )
        return
    if not create:
        raise ConfigError(
            f"the DynamoDB table {table} has no time to live: old versions would stay forever. Set it to the attribute "
            f"{EXPIRES_AT!r}, or have it set with MILLRACE_DYNAMODB__CREATE_TABLE=true"
        )
    connection.call(
        "update_time_to_live",
        unless="ValidationException",  # on already: our own try whose answer was lost
        TableName=table,
        TimeToLiveSpecification={"Enabled": True, "AttributeName": EXPIRES_AT},
    )
