"""Versions and the pointer: which version of a use case's items serves, and which ones could.

One item, ``<namespace>#@current``, names the version that readers use. It changes by one conditional
write that names the revision it was read at, so two publishers cannot both move it. Each version has
an item of its own under ``<namespace>#@versions``, complete once all its items are confirmed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, Literal

import polars as pl
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from pydantic import TypeAdapter

from pipelines.errors import SinkError
from pipelines.io.lake import Lake
from pipelines.sinks.dynamodb.connection import Connection
from pipelines.sinks.dynamodb.target import PARTITION_KEY, SINK, SORT_KEY
from pipelines.sinks.errors import RemoteError
from pipelines.sinks.ledger import clock, read_flips
from pipelines.sinks.ledger_tables import FLIPS

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
    """One version of a use case's items."""

    #: Sort key of its items; the run in the publish ledger is called the same.
    name: str
    #: Day its items are about.
    as_of: date
    #: Only a complete version may serve.
    state: VersionState
    #: How many there are.
    items: int
    #: Hash of what is in it: equal for equal rows of the same day.
    content: str
    #: When it may be removed, seconds since 1970 (UTC).
    expires_at: int
    #: Keys of some items, evenly spaced, by which to see whether it is still there.
    sample: tuple[str, ...]

    @property
    def kept_through(self) -> date:
        """Last day on which its items are sure to be there."""
        return datetime.fromtimestamp(self.expires_at - 1, UTC).date()


@dataclass(frozen=True)
class Pointer:
    """Which version serves."""

    #: The version that readers use.
    version: str
    as_of: date
    items: int
    #: Last day on which its items are sure to be there, if no newer version comes.
    kept_through: date
    #: How often the pointer moved; each move names the revision that it saw.
    revision: int
    #: Versions that served before, oldest first; a rollback takes the last one off.
    served: tuple[str, ...]


_VERSION, _POINTER = TypeAdapter(Version), TypeAdapter(Pointer)


@dataclass(frozen=True)
class Versions:
    """Pointer and versions of one namespace of a table; every request, also a write, may be repeated."""

    connection: Connection
    table: str
    namespace: str

    @property
    def object(self) -> str:
        """What the ledger calls the namespace."""
        return f"{self.table}/{self.namespace}"

    def pointer(self) -> Pointer | None:
        """Where the pointer stands, read consistently; None before the first version serves."""
        found = self._read(_CURRENT, _CURRENT)
        return _POINTER.validate_python(found) if found else None

    def version(self, name: str) -> Version | None:
        """Facts about a version, read consistently; None if it never was or has expired."""
        found = self._read(_VERSIONS, name)
        return _VERSION.validate_python({"name": name, **found}) if found else None

    def names(self) -> list[str]:
        """Names of all versions that are still on record, oldest first."""
        return sorted(key[SORT_KEY]["S"] for key in self.items(_VERSIONS))

    def write(self, version: Version) -> None:
        """Record the facts about a version; the record expires with its items."""
        self._put(_VERSIONS, version.name, _VERSION.dump_python(version, mode="json", exclude={"name"}))

    def flip(self, to: Version, *, seen: Pointer | None, served: Sequence[str]) -> Pointer:
        """Let a complete version serve, if the pointer still stands where it was ``seen``; returns where it stands now.

        ``seen`` is None if there was no pointer; ``served`` are the versions that served before ``to``, oldest
        first. Raises ``SinkError`` if the version is not complete, or somebody else moved the pointer
        meanwhile.
        """
        if to.state is not VersionState.COMPLETE:
            raise SinkError(f"version {to.name} is {to.state} and must be complete before it may serve")
        revision = seen.revision + 1 if seen else 1
        served = tuple(served)[-_REMEMBERED:]
        pointer = Pointer(to.name, to.as_of, to.items, to.kept_through, revision, served)
        condition: dict[str, Any] = {"ConditionExpression": f"attribute_not_exists({PARTITION_KEY})"}
        if seen:
            condition = {
                "ConditionExpression": "revision = :seen",
                "ExpressionAttributeValues": {":seen": {"N": str(seen.revision)}},
            }
        try:
            # Without a time to live: the pointer never expires.
            self._put(_CURRENT, _CURRENT, _POINTER.dump_python(pointer, mode="json"), **condition)
        except RemoteError as error:
            if error.code != _LOST:
                raise
            now = self.pointer()
            if now == pointer:  # an earlier try of this process, whose answer was lost
                return pointer
            raise SinkError(
                f"{self.object}: somebody else moved the pointer meanwhile, from "
                f"{seen.version if seen else 'nothing'} to {now.version if now else 'nothing'}; {to.name} does not "
                "serve. Make sure that only one process publishes at a time, then run it again"
            ) from None
        return pointer

    def items(self, key: str) -> list[dict[str, Any]]:
        """Partition and sort key of a key's items, one per version that is kept."""
        return self.connection.query_keys(self.table, f"{self.namespace}#{key}")

    def forget(self, key: str) -> None:
        """Delete a key's items, the serving version's included, and forget it as a sample of versions.

        Readers then find no such key. The counts that versions and the pointer carry stay: how many items were
        written is a fact about the publication.
        """
        for item in self.items(key):
            self.connection.call("delete_item", TableName=self.table, Key=item)
        for version in map(self.version, self.names()):
            if version is not None and key in version.sample:
                self.write(replace(version, sample=tuple(each for each in version.sample if each != key)))

    def _read(self, kind: str, sort_key: str) -> dict[str, Any] | None:
        answer = self.connection.call(
            "get_item", TableName=self.table, Key=self._key(kind, sort_key), ConsistentRead=True
        )
        return plain(answer["Item"]) if "Item" in answer else None

    def _put(self, kind: str, sort_key: str, values: Mapping[str, Any], **condition: Any) -> None:
        written = {name: _SERIALIZER.serialize(value) for name, value in values.items()}
        item = self._key(kind, sort_key) | written
        self.connection.call("put_item", TableName=self.table, Item=item, **condition)

    def _key(self, kind: str, sort_key: str) -> dict[str, Any]:
        return {PARTITION_KEY: {"S": f"{self.namespace}#{kind}"}, SORT_KEY: {"S": sort_key}}


def record_flip(
    lake: Lake,
    object_: str,
    to: Pointer,
    *,
    kind: Literal["publish", "rollback"],
    before: str | None,
    why: str,
    who: str,
) -> None:
    """Record a move of the pointer, unless it is recorded already.

    The pointer moves first. A crash in between is fixed by the next call, since the pointer carries
    the revision.
    """
    known = read_flips(lake, SINK, object_)
    if known.filter((pl.col("revision") == to.revision) & (pl.col("version") == to.version)).height:
        return
    row = {
        "sink": SINK,
        "object": object_,
        "revision": to.revision,
        "kind": kind,
        "as_of": to.as_of,
        "version": to.version,
        "before": before,
        "why": why,
        "who": who,
        "recorded_at": clock(),
    }
    lake.append(FLIPS, [row])


def plain(item: Mapping[str, Any]) -> dict[str, Any]:
    """Values of an item as Python has them; numbers as exact decimals."""
    return {name: _DESERIALIZER.deserialize(value) for name, value in item.items()}
