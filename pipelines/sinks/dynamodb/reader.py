"""Reading what serves: the pointer first, then items of that version, never of two at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

from pipelines.errors import SinkError
from pipelines.settings import Settings
from pipelines.sinks.backoff import Backoff
from pipelines.sinks.dynamodb.connection import Connection
from pipelines.sinks.dynamodb.target import PARTITION_KEY, SORT_KEY, LoadOptions, configured
from pipelines.sinks.dynamodb.versions import Pointer, Version, Versions, VersionState, plain

#: Keys that the service takes per request.
_MAX_KEYS = 100


@dataclass(frozen=True)
class Items:
    """Items of one version."""

    #: The version they all belong to.
    pointer: Pointer
    #: Items by key, as their attributes; numbers are :class:`~decimal.Decimal`. Keys that the version does
    #: not have are not in it.
    found: dict[str, dict[str, Any]]


class Reader:
    """Reads the items of a use case; ``wait`` bounds how often keys that the service left out are asked for again."""

    def __init__(
        self, connection: Connection, table: str, namespace: str, *, wait: Backoff | None = None
    ) -> None:
        self._connection = connection
        self._table = table
        self._prefix = f"{namespace}#"
        self._wait = wait or Backoff(attempts=10, base_s=0.05, cap_s=5.0)
        self.versions = Versions(connection, table, namespace)

    @classmethod
    @contextmanager
    def open(cls, settings: Settings, namespace: str) -> Iterator[Self]:
        """Open a reader of this deployment's table, for instance ``Reader.open(settings, "shop")``."""
        where = configured(settings)
        with Connection(where, LoadOptions()) as connection:
            yield cls(connection, where.table, namespace)

    def current(self) -> Pointer:
        """Which version serves; before the first there is an error."""
        pointer = self.versions.pointer()
        if pointer is None:
            raise SinkError(f"nothing was published to {self.versions.object} yet")
        return pointer

    def get(self, key: str) -> dict[str, Any] | None:
        """One item of the version that serves; None if it has no such key."""
        return self.get_many([key]).found.get(key)

    def get_many(self, keys: Iterable[str]) -> Items:
        """Items of the version that serves, all of the same one.

        A version is replaced while its items are read: they stay where they are for days, so the answer is the
        version that served when reading began. If one is missing all the same, the version may have expired
        between the two reads: the pointer is read again, once, and if it moved, everything is read from the new
        version. Raises ``SinkError`` if nothing was published yet, or all items of the version that serves have
        expired.
        """
        wanted = list(dict.fromkeys(keys))
        pointer = self.current()
        found = self.read(pointer.version, wanted)
        if len(found) < len(wanted):
            now = self.current()
            if now.version != pointer.version:
                pointer, found = now, self.read(now.version, wanted)
        if wanted and not found and self.versions.version(pointer.version) is None:
            raise SinkError(
                f"version {pointer.version} of {self.versions.object} serves but has expired (it was kept "
                f"through {pointer.kept_through}): nothing newer was published since"
            )
        return Items(pointer, found)

    def read(self, version: str, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Items of a version by key, read consistently; absent keys are left out."""
        found: dict[str, dict[str, Any]] = {}
        for start in range(0, len(keys), _MAX_KEYS):
            asked = [
                {PARTITION_KEY: {"S": self._prefix + key}, SORT_KEY: {"S": version}}
                for key in keys[start : start + _MAX_KEYS]
            ]
            attempt = 0
            while asked:
                answer = self._connection.call(
                    "batch_get_item", RequestItems={self._table: {"Keys": asked, "ConsistentRead": True}}
                )
                for item in answer["Responses"].get(self._table, ()):
                    found[item[PARTITION_KEY]["S"].removeprefix(self._prefix)] = attributes(item)
                left = answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", [])
                attempt = 0 if len(left) < len(asked) else attempt + 1
                if left and attempt >= self._wait.attempts:
                    raise self._connection.unavailable(attempt, "keys handed back as unprocessed")
                if left:
                    self._wait.wait(attempt)
                asked = left
        return found

    def check_whole(self, name: str) -> Version:
        """Check that a version was completed and is still there, by the keys that it remembers."""
        version = self.versions.version(name)
        if version is None:
            raise SinkError(f"version {name} has expired, nothing of it can serve; publish its day again")
        if version.state is not VersionState.COMPLETE:
            raise SinkError(f"version {name} was never completed and must not serve; publish its day again")
        held = self.read(name, version.sample)
        gone = [key for key in version.sample if key not in held]
        if gone:
            raise SinkError(
                f"version {name} is no longer complete: {len(gone)} of {len(version.sample)} sampled items are gone, for "
                f"instance {gone[0]!r}; publish its day again"
            )
        return version


def attributes(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item as readers get it: its version, then its attributes."""
    values = plain(item)
    del values[PARTITION_KEY]
    return {"version": values.pop(SORT_KEY), **values}
