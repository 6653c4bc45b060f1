"""Tombstones, by which an ingest recognises rows of people who were forgotten, and the proof of erasures.

A tombstone is a keyed hash of a pseudonym, under a purpose of its own: without the key it identifies nobody,
and it cannot be joined with old copies of feature tables, which hold the pseudonym itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from features.pseudonyms import pseudonym
from features.schemas import Column, DType, Table
from pipelines.io.lake import Lake, having


class ErasureState(StrEnum):
    """How far an erasure got."""

    #: It began; ingests refuse the person from here on. Running the command again resumes it.
    OPEN = "open"
    #: Every store was emptied of the person and looked at once more.
    COMPLETE = "complete"


ERASURES = Table(
    name="ops/erasures",
    description=(
        "Proof of erasures, without personal data: append only, a random id per request. "
        "One row per request and state."
    ),
    columns=(
        Column("erasure_id", DType.STRING, "Random id of the request; quote it to the person."),
        Column("state", DType.STRING, "How far it got.", allowed=tuple(ErasureState)),
        Column(
            "found_json",
            DType.STRING,
            "Rows, records, items and places in files that were found, by store, as JSON; all removed once complete.",
        ),
        Column("found", DType.INTEGER, "Their sum.", minimum=0),
        Column("recorded_at", DType.TIMESTAMP, "When it was written down (UTC).", unit="UTC"),
        Column("who", DType.STRING, "User of the machine who ran the command."),
    ),
    key=("erasure_id", "state"),
)

TOMBSTONES = Table(
    name="ops/tombstones",
    description=(
        "Keyed hashes by which ingests refuse rows of people who were forgotten, however old the file. "
        "One row per erasure, kind of id and hash."
    ),
    columns=(
        Column("erasure_id", DType.STRING, "Erasure that laid it."),
        Column(
            "kind",
            DType.STRING,
            "What was hashed: `subject`, or `<usecase>_<table>.<column>` for a reference that leads to the person.",
        ),
        Column("tombstone", DType.STRING, "Hash; see `pipelines/io/tombstones.py`."),
        Column("recorded_at", DType.TIMESTAMP, "When it was laid (UTC).", unit="UTC"),
    ),
    key=("erasure_id", "kind", "tombstone"),
)

SUBJECT = "subject"


def tombstone(natural_id: str, *, kind: str, key: bytes) -> str:
    """Hash that recognises an id after everything else about it is gone."""
    return _of_pseudonym(pseudonym(natural_id, key=key), key, kind)


class Graveyard:
    """Tombstones of a lake, by kind, laid with the key of the pseudonyms; empty until somebody was forgotten."""

    def __init__(self, lake: Lake, key: bytes) -> None:
        rows = lake.read(TOMBSTONES, columns=["kind", "tombstone"], missing_ok=True).to_pylist()
        self._key = key
        self._by_kind: dict[str, set[str]] = {}
        for row in rows:
            self._by_kind.setdefault(row["kind"], set()).add(row["tombstone"])

    def has(self, kind: str) -> bool:
        """Whether any tombstone is of this kind."""
        return kind in self._by_kind

    def among(self, kind: str, ids: Iterable[str]) -> list[str]:
        """Natural ids among the given ones that were forgotten."""
        known = self._by_kind.get(kind, set())
        return [each for each in ids if known and tombstone(each, kind=kind, key=self._key) in known]

    def pseudonyms(self, pseudonyms: Iterable[str]) -> list[str]:
        """Pseudonyms among the given ones whose person was forgotten."""
        known = self._by_kind.get(SUBJECT, set())
        return [each for each in pseudonyms if known and _of_pseudonym(each, self._key) in known]


def _of_pseudonym(each: str, key: bytes, kind: str = SUBJECT) -> str:
    return pseudonym(f"tombstone:{kind}:{each}", key=key)


def erasures_of(lake: Lake, natural_id: str, *, key: bytes) -> list[str]:
    """Ids of the erasures that a person was the subject of, whatever their state."""
    mine = having(tombstone=tombstone(natural_id, kind=SUBJECT, key=key))
    rows = lake.read(TOMBSTONES, columns=["erasure_id", "recorded_at"], where=mine, missing_ok=True)
    ordered = rows.sort_by("recorded_at")
    return list(dict.fromkeys(ordered["erasure_id"].to_pylist()))


def tombstones_of(lake: Lake, erasure_id: str) -> set[tuple[str, str]]:
    """Kind and hash of the tombstones that an erasure has recorded so far."""
    mine = having(erasure_id=erasure_id)
    rows = lake.read(TOMBSTONES, columns=["kind", "tombstone"], where=mine, missing_ok=True).to_pylist()
    return {(row["kind"], row["tombstone"]) for row in rows}


def states_of(lake: Lake, erasure_id: str) -> list[ErasureState]:
    """States that an erasure went through."""
    rows = lake.read(ERASURES, columns=["state"], where=having(erasure_id=erasure_id), missing_ok=True)
    return [ErasureState(state) for state in rows["state"].to_pylist()]


def found_at_first(lake: Lake, erasure_id: str) -> dict[str, dict[str, int]]:
    """What was found when an erasure began, by store and place."""
    mine = having(erasure_id=erasure_id, state=ErasureState.OPEN.value)
    rows = lake.read(ERASURES, columns=["found_json"], where=mine, missing_ok=True)["found_json"].to_pylist()
    return dict(json.loads(rows[0])) if rows else {}


def newest_erasure(lake: Lake) -> datetime | None:
    """When the newest tombstone was recorded; None if nobody was forgotten."""
    laid = lake.read(TOMBSTONES, columns=["recorded_at"], missing_ok=True)["recorded_at"]
    return max(laid.to_pylist(), default=None)
