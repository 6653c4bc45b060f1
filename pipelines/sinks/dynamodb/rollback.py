"""Going back to versions that served before: one conditional write each, if they are still whole."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from pipelines.errors import SinkError
from pipelines.io.lake import Lake
from pipelines.settings import Settings
from pipelines.sinks.dynamodb.connection import Connection
from pipelines.sinks.dynamodb.reader import Reader
from pipelines.sinks.dynamodb.target import LoadOptions, configured
from pipelines.sinks.dynamodb.versions import Pointer, Version, record_flip


def rollback(
    namespaces: Sequence[str],
    settings: Settings,
    lake: Lake,
    *,
    why: str,
    who: str,
    to: str | None = None,
    on: date | None = None,
    options: LoadOptions | None = None,
) -> dict[str, Pointer]:
    """Let earlier versions serve again: in every namespace, or in none if one of them cannot go back.

    A second rollback goes one version further back, and does not undo the first. ``why`` and ``who`` are
    written to ``ops/publish_flips``. ``to`` is the version to go back to, which only the namespace that it
    served in does; by default the one that served before. A version that is not kept through the day ``on`` is
    refused; by default that is the day that serves now, which in regular operation is today. Returns what
    serves now, by namespace.

    Raises ``SinkError`` if there is no such version, it has expired or is incomplete, or somebody else moved
    the pointer meanwhile. What served still serves.
    """
    where = configured(settings)
    with Connection(where, options or LoadOptions()) as connection:
        readers = {name: Reader(connection, where.table, name) for name in namespaces}
        seen = {name: reader.current() for name, reader in readers.items()}
        chosen = [name for name in namespaces if to in (None, *seen[name].served)] or namespaces
        earlier = {name: _earlier(readers[name], seen[name], to, on) for name in chosen}
        back: dict[str, Pointer] = {}
        for name, version in earlier.items():
            versions, before = readers[name].versions, seen[name]
            served = before.served[: before.served.index(version.name)]
            try:
                back[name] = versions.flip(version, seen=before, served=served)
            except SinkError as error:
                if not back:
                    raise
                left = [each.name for place, each in earlier.items() if place not in back]
                raise SinkError(
                    f"{error}. {list(back)} went back already: name the others' {left}"
                ) from error
            record_flip(
                lake, versions.object, back[name], kind="rollback", before=before.version, why=why, who=who
            )
    return back


def _earlier(reader: Reader, seen: Pointer, to: str | None, on: date | None) -> Version:
    """Version that a namespace goes back to, or the error that says why it cannot."""
    place = reader.versions.object
    if not seen.served:
        raise SinkError(f"{place}: nothing served before {seen.version}, so there is nothing to go back to")
    name = to or seen.served[-1]
    if name not in seen.served:
        raise SinkError(f"{place}: {name!r} never served before; these did: {list(seen.served[-10:])}")
    version, day = reader.check_whole(name), on or seen.as_of
    if version.kept_through < day:
        raise SinkError(
            f"version {name} is kept through {version.kept_through} only, {day} is later: DynamoDB may remove it "
            "at any moment. Publish the day again instead"
        )
    return version
