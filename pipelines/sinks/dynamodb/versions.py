"""Versions and the pointer: which version of a use case's items serves, and which ones could.

One item, ``<namespace>#@current``, names the version that readers use. It changes by one conditional
write that names the revision it was read at, so two publishers cannot both move it. Each version has
an item of its own under ``<namespace>#@versions``, complete once all its items are confirmed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from pipelines.errors import SinkError
from pipelines.sinks.dynamodb.connection import Connection
from pipelines.sinks.dynamodb.target import EXPIRES_AT, PARTITION_KEY, SORT_KEY
from pipelines.sinks.errors import RemoteError

_CURRENT, _VERSIONS = "@current", "@versions"
_LOST = "ConditionalCheckFailedException"

#: Versions that the pointer remembers, for rollbacks; more than ever live at a time.
_REMEMBERED = 60

_SERIALIZER = TypeSerializer()
_DESERIALIZER = TypeDeserializer()


class VersionState(StrEnum):
    """How far a version got."""

    #: Its items are being written; it must not serve.
    LOADING = "loading"
    #: All its items were confirmed.
    COMPLETE = "complete"


@dataclass(frozen=True)
class Version:
    """One version of a use case's items.

    Attributes
    ----------
    name
        Sort key of its items; the run in the publish ledger is called the same.
    as_of
        Day its items are about.
    state
        Only a complete version may serve.
    items
        How many there are.
    content
        Hash of what is in it: equal for equal rows of the same day.
    expires_at
        When it may be removed, seconds since 1970 (UTC).
    sample
        Keys of some items, evenly spaced, by which to see whether it is still there.
    """

    name: str
    as_of: date
    state: VersionState
    items: int
    content: str
    expires_at: int
    sample: tuple[str, ...]

    @property
    def kept_through(self) -> date:
        """Last day on which its items are sure to be there."""
        return datetime.fromtimestamp(self.expires_at - 1, UTC).date()


@dataclass(frozen=True)
class Pointer:
    """Which version serves.

    Attributes
    ----------
    version, as_of, items
        The version that readers use.
    kept_through
        Last day on which its items are sure to be there, if no newer version comes.
    revision
        How often the pointer moved; each move names the revision that it saw.
    served
        Versions that served before, oldest first; a rollback takes the last one off.
    """

    version: str
    as_of: date
    items: int
    kept_through: date
    revision: int
    served: tuple[str, ...]


class Versions:
    """Pointer and versions of one namespace of a table.

    Parameters
    ----------
    connection
        Requests are repeated as it sees fit; every write here may be.
    table, namespace
        Where they are.
    """

    def __init__(self, connection: Connection, table: str, namespace: str) -> None:
        self._connection = connection
        self._table = table
        self._namespace = namespace

    def pointer(self) -> Pointer | None:
        """Where the pointer stands, read consistently; None before the first version serves."""
        found = self._read(_CURRENT, _CURRENT)
        if found is None:
            return None
        return Pointer(
            version=found["version"],
            as_of=date.fromisoformat(found["as_of"]),
            items=int(found["items"]),
            kept_through=date.fromisoformat(found["kept_through"]),
            revision=int(found["revision"]),
            served=tuple(found["served"]),
        )

    def version(self, name: str) -> Version | None:
        """Facts about a version, read consistently; None if it never was or has expired."""
        found = self._read(_VERSIONS, name)
        if found is None:
            return None
        return Version(
            name=name,
            as_of=date.fromisoformat(found["as_of"]),
            state=VersionState(found["state"]),
            items=int(found["items"]),
            content=found["content"],
            expires_at=int(found[EXPIRES_AT]),
            sample=tuple(found["sample"]),
        )

    def write(self, version: Version) -> None:
        """Record the facts about a version; the record expires with its items."""
        self._put(
            _VERSIONS,
            version.name,
            {
                "as_of": version.as_of.isoformat(),
                "state": version.state.value,
                "items": version.items,
                "content": version.content,
                EXPIRES_AT: version.expires_at,
                "sample": list(version.sample),
            },
        )

    def flip(self, to: Version, *, seen: Pointer | None, served: Sequence[str]) -> Pointer:
        """Let a version serve, if the pointer still stands where it was seen.

        Parameters
        ----------
        to
            A complete version.
        seen
            The pointer as it was read; None if there was none.
        served
            Versions that served before ``to``, oldest first.

        Returns
        -------
        Pointer
            Where it stands now.

        Raises
        ------
        SinkError
            The version is not complete, or somebody else moved the pointer meanwhile.
        """
        if to.state is not VersionState.COMPLETE:
            raise SinkError(f"version {to.name} is {to.state} and must be complete before it may serve")
        pointer = Pointer(
            version=to.name,
            as_of=to.as_of,
            items=to.items,
            kept_through=to.kept_through,
            revision=seen.revision + 1 if seen else 1,
            served=tuple(served)[-_REMEMBERED:],
        )
        condition: dict[str, Any] = {"ConditionExpression": f"attribute_not_exists({PARTITION_KEY})"}
        if seen:
            condition = {
                "ConditionExpression": "revision = :seen",
                "ExpressionAttributeValues": {":seen": {"N": str(seen.revision)}},
            }
        try:
            # Without a time to live: the pointer never expires.
            self._put(
                _CURRENT,
                _CURRENT,
                {
                    "version": pointer.version,
                    "as_of": pointer.as_of.isoformat(),
                    "items": pointer.items,
                    "kept_through": pointer.kept_through.isoformat(),
                    "revision": pointer.revision,
                    "served": list(pointer.served),
                },
                **condition,
            )
        except RemoteError as error:
            if error.code != _LOST:
                raise
            now = self.pointer()
            if now == pointer:  # an earlier try of this process, whose answer was lost
                return pointer
            raise SinkError(
                f"{self._table}/{self._namespace}: somebody else moved the pointer meanwhile, from "
                f"{seen.version if seen else 'nothing'} to {now.version if now else 'nothing'}; {to.name} does not "
                "serve. Make sure that only one process publishes at a time, then run it again"
            ) from None
        return pointer

    def _read(self, kind: str, sort_key: str) -> dict[str, Any] | None:
        answer = self._connection.call(
            "get_item", TableName=self._table, Key=self._key(kind, sort_key), ConsistentRead=True
        )
        return plain(answer["Item"]) if "Item" in answer else None

    def _put(self, kind: str, sort_key: str, values: Mapping[str, Any], **condition: Any) -> None:
        written = {name: _SERIALIZER.serialize(value) for name, value in values.items()}
        item = self._key(kind, sort_key) | written
        self._connection.call("put_item", TableName=self._table, Item=item, **condition)

    def _key(self, kind: str, sort_key: str) -> dict[str, Any]:
        return {PARTITION_KEY: {"S": f"{self._namespace}#{kind}"}, SORT_KEY: {"S": sort_key}}


def version_names(connection: Connection, table: str, namespace: str) -> list[str]:
    """Names of all versions that are still on record, oldest first."""
    keys = connection.query_keys(table, f"{namespace}#{_VERSIONS}")
    return sorted(key[SORT_KEY]["S"] for key in keys)


def plain(item: Mapping[str, Any]) -> dict[str, Any]:
    """Values of an item as Python has them; numbers as exact decimals."""
    return {name: _DESERIALIZER.deserialize(value) for name, value in item.items()}
