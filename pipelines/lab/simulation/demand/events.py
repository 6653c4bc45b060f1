"""Holidays, local events and closures: the calendar as the chain knows it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.lab.simulation.days import DAY_US, Ints, to_date, to_day
from pipelines.lab.simulation.demand.holidays import Holiday, public_holidays, school_holidays
from pipelines.lab.simulation.demand.span import Singles, Span
from pipelines.lab.simulation.demand.stores import Stores
from pipelines.usecases.demand.layouts import CALENDAR_EVENTS

_MORNING_US = 6 * 3_600_000_000
#: All stores keep their doors shut on these days of the year.
_SHUT = ((1, 1, "New Year"), (5, 1, "Labour Day"), (12, 25, "Christmas"))
_OCCASIONS = ("Street festival", "Trade fair", "Market day", "Marathon", "Music festival")


@dataclass(frozen=True)
class Happenings:
    """Events of single stores, one per entry of the arrays.

    Attributes
    ----------
    store, first, last
        Where and when, in the end.
    first_told
        First day as announced at first: some events are moved.
    told, retold
        When it was announced and, where moved, announced again (microseconds since 1970).
    name
        Index to the names of its kind.
    height
        Addition to the log demand of the store.
    """

    store: Ints
    first: Ints
    last: Ints
    first_told: Ints
    told: Ints
    retold: Ints
    name: Ints
    height: NDArray[np.float64]

    def effect(self, stores: int, span: Span) -> Singles:
        """Sum of the heights by store and day, shape ``(stores, T)``."""
        out = np.zeros((stores, len(span)), dtype=np.float32)
        within = span.within(self.first, self.last) * self.height[:, None]
        np.add.at(out, self.store, within.astype(np.float32))
        return out

    def days(self, stores: int, span: Span) -> NDArray[np.bool_]:
        """Days with such an event by store, shape ``(stores, T)``."""
        out = np.zeros((stores, len(span)), dtype=bool)
        np.logical_or.at(out, self.store, span.within(self.first, self.last))
        return out


def draw_occasions(rng: np.random.Generator, stores: Stores, span: Span) -> Happenings:
    """Festivals and fairs near a store, about two a year, known weeks ahead; one in twelve is moved."""
    years = (span.stop - span.begin) / 365
    store = np.repeat(np.arange(len(stores)), rng.poisson(2.0 * years, len(stores)))
    count = len(store)
    first = rng.integers(span.begin, span.stop + 60, count)
    told = (first - rng.integers(20, 120, count)) * DAY_US + _MORNING_US
    moved = rng.random(count) < 1 / 12
    return Happenings(
        store=store,
        first=first,
        last=first + rng.integers(0, 4, count),
        first_told=first - moved * rng.choice([-7, 7, 14], count),
        told=told,
        retold=np.where(moved, told + rng.integers(3, 12, count) * DAY_US, -1),
        name=rng.integers(0, len(_OCCASIONS), count),
        height=rng.uniform(0.08, 0.35, count),
    )


def draw_closures(rng: np.random.Generator, stores: Stores, span: Span) -> Happenings:
    """Refurbishments, known a month or two ahead, and surprises (flood, strike), known that morning."""
    count = len(stores)
    renewed = rng.permutation(count)[: max(1, round(0.08 * count))]
    surprised = np.flatnonzero(rng.random(count) < 0.12)
    store = np.concatenate([renewed, surprised])
    planned = np.arange(len(store)) < len(renewed)
    low = np.maximum(stores.opened[store] + 30, span.start + 30)
    high = np.maximum(np.minimum(stores.closed[store] - 60, span.end + 10), low + 1)
    first = rng.integers(low, high)
    length = np.where(planned, rng.integers(6, 28, len(store)), rng.integers(0, 2, len(store)))
    ahead = np.where(planned, rng.integers(30, 70, len(store)), 0)
    return Happenings(
        store=store,
        first=first,
        last=first + length,
        first_told=first,
        told=(first - ahead) * DAY_US + _MORNING_US,
        retold=np.full(len(store), -1),
        name=(~planned).astype(np.int64),
        height=np.zeros(len(store)),
    )


def opening_days(stores: Stores, closures: Happenings, span: Span) -> NDArray[np.bool_]:
    """Days on which each store trades, shape ``(S, T)``."""
    trading = span.within(stores.opened, stores.closed)
    trading &= stores.sunday[:, None] | (span.weekday != 6)
    shut = [to_day(date(year, month, day)) for year in span.years for month, day, _ in _SHUT]
    trading &= ~np.isin(span.days, shut)
    return trading & ~closures.days(len(stores), span)


def events_table(stores: Stores, occasions: Happenings, closures: Happenings, span: Span) -> pa.Table:
    """Calendar of the chain, all versions."""
    general = pa.Table.from_pylist([*_holidays(stores, span), *_shut_days(span)], schema=_SCHEMA.remove(0))
    ids = [f"EH{number:06d}" for number in range(1, len(general) + 1)]
    parts = (
        general.add_column(0, "event_id", pa.array(ids)),
        _told(stores, occasions, "EL", "local_event", _OCCASIONS),
        _told(stores, closures, "EC", "closure", ("Refurbishment", "Unforeseen closure")),
    )
    return pa.concat_tables([part.select(_SCHEMA.names).cast(_SCHEMA) for part in parts])


_SCHEMA = pa.schema([field.with_nullable(True) for field in CALENDAR_EVENTS.table.arrow_schema])


def _holidays(stores: Stores, span: Span) -> Iterable[dict[str, object]]:
    for year in span.years:
        common = set.intersection(*(set(public_holidays(year, region)) for region in stores.regions))
        for holiday in sorted(common, key=lambda h: h.first):
            yield _row("public_holiday", None, holiday, to_day(date(year - 2, 7, 1)))
        for region in stores.regions:
            for holiday in public_holidays(year, region):
                if holiday not in common:
                    yield _row("public_holiday", region.name, holiday, to_day(date(year - 2, 7, 1)))
            for holiday in school_holidays(year, region.zone):
                yield _row("school_holiday", region.name, holiday, to_day(holiday.first) - 500)


def _shut_days(span: Span) -> Iterable[dict[str, object]]:
    for year in span.years:
        for month, day, name in _SHUT:
            closed = date(year, month, day)
            yield _row("closure", None, Holiday(name, closed, closed), to_day(date(year - 1, 7, 1)))


def _row(kind: str, region: str | None, holiday: Holiday, known: int) -> dict[str, object]:
    return {
        "kind": kind,
        "region": region,
        "store_id": None,
        "name": holiday.name,
        "starts_on": holiday.first,
        "ends_on": holiday.last,
        "known_at": np.datetime64(to_date(known), "us").astype(object),
    }


def _told(stores: Stores, events: Happenings, prefix: str, kind: str, names: tuple[str, ...]) -> pa.Table:
    """First announcements, and second ones of the events that moved."""
    again = np.flatnonzero(events.retold >= 0)
    who = np.concatenate([np.arange(len(events.store)), again])
    second = np.arange(len(who)) >= len(events.store)
    first = np.where(second, events.first[who], events.first_told[who])
    length = (events.last - events.first)[who]
    return pa.table(
        {
            "event_id": [f"{prefix}{number:06d}" for number in (who + 1).tolist()],
            "kind": [kind] * len(who),
            "region": pa.nulls(len(who), pa.string()),
            "store_id": stores.ids.take(pa.array(events.store[who])),
            "name": np.array(names)[events.name[who]],
            "starts_on": first.astype("datetime64[D]"),
            "ends_on": (first + length).astype("datetime64[D]"),
            "known_at": np.where(second, events.retold[who], events.told[who]).astype("datetime64[us]"),
        }
    )
