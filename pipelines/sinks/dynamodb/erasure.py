"""Removing one key from every version of a namespace, for people who are forgotten."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pipelines.sinks.dynamodb.connection import Connection
from pipelines.sinks.dynamodb.target import PARTITION_KEY, SORT_KEY
from pipelines.sinks.dynamodb.versions import Versions, version_names


def items(connection: Connection, table: str, namespace: str, key: str) -> list[dict[str, Any]]:
    """Keys of a key's items, one per version that is kept."""
    return connection.query_keys(table, f"{namespace}#{key}")


def purge(connection: Connection, table: str, namespace: str, key: str) -> None:
    """Delete a key's items, the serving version's included, and forget it as a sample of versions.

    Readers then find no such key. The counts that versions and the pointer carry stay: how many items were written
    is a fact about the publication.
    """
    for item in items(connection, table, namespace, key):
        names = {PARTITION_KEY: item[PARTITION_KEY], SORT_KEY: item[SORT_KEY]}
        connection.call("delete_item", TableName=table, Key=names)
    versions = Versions(connection, table, namespace)
    for name in version_names(connection, table, namespace):
        version = versions.version(name)
        if version is not None and key in version.sample:
            versions.write(replace(version, sample=tuple(each for each in version.sample if each != key)))
