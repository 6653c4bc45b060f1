"""``millrace forget``: a person leaves every store, cannot return with an old file, and this can be proved.

Order matters. Tombstones come first, so that no ingest brings rows back meanwhile; then the systems outside,
as long as the ledger still knows what they hold; then the lake with its older versions; then files. After a crash the
same command resumes. Only when a second look finds nothing is the erasure complete.
"""

from __future__ import annotations

import getpass
import json
import logging
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

from pipelines.errors import ConfigError, DataContractError, MillraceError
from pipelines.io import tombstones
from pipelines.io.lake import Lake, having
from pipelines.io.runs import STEP_RUNS
from pipelines.io.tombstones import ERASURES, SUBJECT, TOMBSTONES, ErasureState, tombstone
from pipelines.privacy.files import Deliveries, ReportPages, Scratch
from pipelines.privacy.person import Person
from pipelines.privacy.rows import LakeRows
from pipelines.privacy.sinks import DynamoItems, SalesforceRecords
from pipelines.settings import Settings
from pipelines.steps import Step, run_step
from pipelines.usecases import names

log = logging.getLogger(__name__)

#: Told the name of each store before it is worked on.
Tell = Callable[[str], None]
#: Counts by store and place.
Found = dict[str, dict[str, int]]


class Store(Protocol):
    """A place where a person may be."""

    @property
    def name(self) -> str:
        """Name of the store."""

    def find(self, person: Person) -> dict[str, int]:
        """Count what is there of the person, by place."""

    def erase(self, person: Person) -> None:
        """Remove it; safe to repeat."""


def stores(settings: Settings, lake: Lake) -> list[Store]:
    """Every store, in the order in which they are emptied."""
    return [
        SalesforceRecords(settings, lake),
        DynamoItems(settings, lake),
        Deliveries(settings),
        LakeRows(lake),
        Scratch(settings),
        ReportPages(settings, lambda page: _render(settings, lake, page)),
    ]


def forget(
    natural_id: str,
    *,
    settings: Settings,
    at: datetime,
    dry_run: bool = False,
    force: bool = False,
    tell: Tell = lambda name: None,
) -> dict[str, Any]:
    """Remove a person from all stores of all use cases.

    ``natural_id`` is the id of the customer or account in the source systems, ``at`` is now, for the proof.
    ``dry_run`` counts what there is and changes nothing. ``force`` records a tombstone even if nothing is
    found, so that no later file brings the person in. ``tell`` is called before each store.

    Returns the proof: erasure id, state, what was found by store. Nothing in it names the person. Raises
    ``ConfigError`` if nothing is known of the person, or a system that holds records is not configured here;
    ``SinkError`` if a publication is under way or was interrupted, or a system does not answer: run again, it
    resumes; ``DataContractError`` if something was written back meanwhile: run it again when nothing else runs.
    """
    lake, key = Lake.of(settings), settings.load_pseudonym_key()
    person = Person.find(lake, natural_id, key=key)
    places = stores(settings, lake)
    found = _look(places, person, tell)
    earlier = tombstones.erasures_of(lake, natural_id, key=key)
    done = [each for each in earlier if ErasureState.COMPLETE in tombstones.states_of(lake, each)]
    resumed = earlier[-1] if earlier and earlier[-1] not in done else None
    if dry_run:
        return {"erasure_id": resumed or (done[-1] if done else None), "state": "dry_run", "found": found}
    if not found and not resumed:
        if done:
            return {
                "erasure_id": done[-1],
                "state": ErasureState.COMPLETE.value,
                "found": {},
                "already": True,
            }
        if not force:
            raise ConfigError(
                "no store holds anything of this customer, and no earlier erasure does: check the id, which must be "
                "that of the source system; --force makes ingests refuse it all the same"
            )
    erasure_id = resumed or uuid.uuid4().hex
    _begin(lake, erasure_id, person, found, key=key, at=at, resumed=resumed is not None)
    for place in places:
        tell(place.name)
        place.erase(person)
    left = _look(places, person, tell)
    if left:
        raise DataContractError(
            f"erasure {erasure_id}: something was written back meanwhile, by a run that had read the person's rows before: "
            f"{json.dumps(left)}. Run it again when no other run works on this person's use case"
        )
    total = _joined(tombstones.found_at_first(lake, erasure_id), found)
    _record(lake, erasure_id, ErasureState.COMPLETE, total, at)
    return {"erasure_id": erasure_id, "state": ErasureState.COMPLETE.value, "found": total, "already": False}


def _look(places: Sequence[Store], person: Person, tell: Tell) -> Found:
    found: Found = {}
    for store in places:
        tell(f"{store.name} (looking)")
        counts = {place: count for place, count in store.find(person).items() if count}
        if counts:
            found[store.name] = counts
    return found


def _begin(
    lake: Lake, erasure_id: str, person: Person, found: Found, *, key: bytes, at: datetime, resumed: bool
) -> None:
    """Record the tombstones, then that the erasure began; a resumed one adds missing tombstones."""
    ids = [(SUBJECT, person.natural_id)]
    ids += [(kind, each) for kind, listed in sorted(person.referred.items()) for each in sorted(listed)]
    hashed = [(kind, tombstone(each, kind=kind, key=key)) for kind, each in ids]
    laid = tombstones.tombstones_of(lake, erasure_id)
    rows = [
        {"erasure_id": erasure_id, "kind": kind, "tombstone": each, "recorded_at": at}
        for kind, each in hashed
        if (kind, each) not in laid
    ]
    if rows:
        lake.append(TOMBSTONES, rows)
    if not resumed or not tombstones.states_of(lake, erasure_id):
        _record(lake, erasure_id, ErasureState.OPEN, found, at)


def _record(lake: Lake, erasure_id: str, state: ErasureState, found: Found, at: datetime) -> None:
    row = {
        "erasure_id": erasure_id,
        "state": state.value,
        "found_json": json.dumps(found, sort_keys=True),
        "found": sum(sum(places.values()) for places in found.values()),
        "recorded_at": at,
        "who": getpass.getuser(),
    }
    lake.append(ERASURES, [row])


def _joined(first: Found, later: Found) -> Found:
    """Take the larger count of each place: what an interrupted attempt found and removed still counts."""
    return {
        store: dict(Counter(first.get(store, {})) | Counter(later.get(store, {}))) for store in first | later
    }


def _render(settings: Settings, lake: Lake, page: str) -> None:
    """Render the page of a use case again, for the day of its newest report."""
    if page not in names():
        return
    reported = having(usecase=page, step=Step.REPORT.value, outcome="ok")
    days = lake.read(STEP_RUNS, columns=["as_of"], where=reported, missing_ok=True)["as_of"].to_pylist()
    if not days:
        return
    try:
        run_step(page, Step.REPORT, max(days), settings=settings)
    except MillraceError as error:
        log.warning("the report of %s was removed and could not be rendered again: %s", page, error)
