"""Going back to a version that served before: one conditional write, if that version is still whole."""

from __future__ import annotations

import getpass
from datetime import date
from typing import Any

from pipelines.errors import SinkError
from pipelines.io.lake import Lake
from pipelines.settings import Settings
from pipelines.sinks.dynamodb.connection import Connection
from pipelines.sinks.dynamodb.outbound import SINK
from pipelines.sinks.dynamodb.reader import Reader
from pipelines.sinks.dynamodb.target import LoadOptions, configured
from pipelines.sinks.dynamodb.versions import Pointer, Version, Versions, VersionState
from pipelines.sinks.flips import FlipKind, record_flip


def rollback(
    *,
    namespace: str,
    settings: Settings,
    lake: Lake,
    why: str,
    who: str,
    to: str | None = None,
    on: date | None = None,
    options: LoadOptions | None = None,
) -> Pointer:
    """Let an earlier version serve again.

    A second rollback goes one version further back, and does not undo the first.

    Parameters
    ----------
    namespace
        Use case, see :class:`~pipelines.sinks.dynamodb.target.DynamoTarget`.
    why, who
        Written to ``ops/publish_flips``.
    to
        Version to go back to; by default the one that served before.
    on
        Day of the rollback: a version that is not kept through it is refused. By default the day that
        serves now, which in regular operation is today.
    options
        Waits and time-outs.

    Returns
    -------
    Pointer
        What serves now.

    Raises
    ------
    SinkError
        There is no such version, it has expired or is incomplete, or somebody else moved the pointer
        meanwhile. What served still serves.
    """
    where = configured(settings)
    table = where.table
    with Connection(where, options or LoadOptions()) as connection:
        versions, reader = Versions(connection, table, namespace), Reader(connection, table, namespace)
        seen = reader.current()
        place = f"{table}/{namespace}"
        if not seen.served:
            raise SinkError(
                f"{place}: nothing served before {seen.version}, so there is nothing to go back to"
            )
        name = to or seen.served[-1]
        if name not in seen.served:
            raise SinkError(f"{place}: {name!r} never served before; these did: {list(seen.served[-10:])}")
        version = check_whole(versions, reader, name)
        day = on or seen.as_of
        if version.kept_through < day:
            raise SinkError(
                f"version {name} is kept through {version.kept_through} only, {day} is later: DynamoDB may remove it "
                "at any moment. Publish the day again instead"
            )
        pointer = versions.flip(version, seen=seen, served=seen.served[: seen.served.index(name)])
        record_flip(
            lake,
            SINK,
            place,
            revision=pointer.revision,
            kind=FlipKind.ROLLBACK,
            as_of=pointer.as_of,
            version=pointer.version,
            before=seen.version,
            why=why,
            who=who,
        )
    return pointer


def check_whole(versions: Versions, reader: Reader, name: str) -> Version:
    """Check that a version was completed and is still there.

    Raises
    ------
    SinkError
        It is not; the message says what is missing.
    """
    version = versions.version(name)
    if version is None:
        raise SinkError(f"version {name} has expired, nothing of it can serve; publish its day again")
    if version.state is not VersionState.COMPLETE:
        raise SinkError(f"version {name} was never completed and must not serve; publish its day again")
    held = reader.read(name, version.sample)
    gone = [key for key in version.sample if key not in held]
    if gone:
        raise SinkError(
            f"version {name} is no longer complete: {len(gone)} of {len(version.sample)} sampled items are gone, for "
            f"instance {gone[0]!r}; publish its day again"
        )
    return version


def serve_earlier(
    namespace: str, settings: Settings, *, why: str, to: str | None = None, on: date | None = None
) -> dict[str, Any]:
    """Roll back as the user of this machine; returns what serves now, as commands show it."""
    pointer = rollback(
        namespace=namespace,
        settings=settings,
        lake=Lake.of(settings),
        why=why,
        who=getpass.getuser(),
        to=to,
        on=on,
    )
    return {
        "serves": pointer.version,
        "as_of": pointer.as_of.isoformat(),
        "kept_through": pointer.kept_through.isoformat(),
        "revision": pointer.revision,
        "why": why,
    }
