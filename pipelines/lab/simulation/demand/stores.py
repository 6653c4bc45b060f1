"""The stores of the chain: who shops there, when they are open, how their traffic moves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.lab.simulation.days import DAY_US, Floats, Ints
from pipelines.lab.simulation.demand.regions import REGIONS, Region
from pipelines.lab.simulation.demand.season import Season
from pipelines.lab.simulation.demand.span import Singles, Span
from pipelines.lab.simulation.identifiers import identifiers
from pipelines.usecases.demand.layouts import CLIENTELES

NEVER = 60_000  # beyond every span, within the dates that are accepted
#: Standard deviation of the surprise of a day that all products of a store share; log.
SHOCK = 0.03
TOURIST, RESIDENTIAL, MIXED = range(3)
KINDS = ("hypermarket", "supermarket", "city")
_SURFACE_M2 = np.array([4200.0, 1400.0, 320.0])
_ASSORTMENTS = ("full", "standard", "compact")
#: Head office records profiles in the morning.
_OFFICE_US = 9 * 3_600_000_000


@dataclass(frozen=True)
class Stores:
    """``S`` stores; arrays have shape ``(S,)``.

    Attributes
    ----------
    regions
        Regions of the chain; ``region`` is an index to them.
    clientele, kind
        Indices to ``CLIENTELES`` and ``KINDS``.
    size
        Traffic relative to a usual store of the chain.
    opened, closed
        First and last day of trade; ``NEVER`` while none is set.
    """

    regions: tuple[Region, ...]
    region: Ints
    clientele: Ints
    kind: Ints
    size: Floats
    sunday: NDArray[np.bool_]
    opened: Ints
    closed: Ints

    def __len__(self) -> int:
        return len(self.region)

    @property
    def ids(self) -> pa.Array:
        """Natural ids."""
        return identifiers("S", np.arange(1, len(self) + 1), 4)


def draw_stores(rng: np.random.Generator, wanted: int, span: Span) -> Stores:
    """Stores trading on the last day, some of them young, and a few that closed earlier.

    Parameters
    ----------
    wanted
        Stores trading on the last delivered day; those that closed come on top.
    """
    gone = max(1, round(0.03 * wanted)) if wanted > 3 else 0
    count = wanted + gone
    regions = REGIONS[: int(np.clip(round(wanted / 3), 1, len(REGIONS)))]
    # Every region has a store; the others go where they like.
    region = np.concatenate([np.arange(len(regions)), rng.integers(0, len(regions), count)])[:count]
    touristic = np.array([r.season is not None for r in regions])[region]
    u = rng.random(count)
    clientele = np.where(touristic & (u < 0.5), TOURIST, np.where(u > 0.75, MIXED, RESIDENTIAL))
    kind = rng.choice(3, count, p=[0.2, 0.55, 0.25])
    length = span.end - span.start
    opened = span.start - rng.integers(400, 9000, count)
    young = rng.permutation(wanted)[: max(1, round(0.06 * wanted)) if wanted > 3 else 0]
    # One opens in the last half year, so that there are new series that no new product explains.
    opened[young] = span.start + rng.integers(60, length - 30, len(young))
    opened[young[:1]] = span.end - rng.integers(60, 150, len(young[:1]))
    closed = np.full(count, NEVER)
    closed[wanted:] = span.start + rng.integers(length // 3, length - 60, gone)
    return Stores(
        regions=regions,
        region=region,
        clientele=clientele,
        kind=kind,
        size=np.array([1.8, 1.0, 0.55])[kind] * rng.lognormal(0.0, 0.25, count),
        sunday=(clientele == TOURIST) | (rng.random(count) < 0.25),
        opened=opened,
        closed=closed,
    )


@dataclass(frozen=True)
class Traffic:
    """How many people come; logarithms of shape ``(S, T)``.

    Attributes
    ----------
    visitors
        Visitors from elsewhere, whom categories follow more or less.
    neighbours
        Everyone else, and whatever moves the whole store.
    weekday
        Profile of the week, Monday first, shape ``(S, 7)``.
    shock
        Surprise of each day that all products share: part of the noise, not of the expectation.
    """

    visitors: Singles
    neighbours: Singles
    weekday: Singles
    shock: Singles


def draw_traffic(
    rng: np.random.Generator, stores: Stores, season: Season, events: Singles, span: Span
) -> Traffic:
    """Traffic of the stores.

    Parameters
    ----------
    events
        Effect of local events, shape ``(S, T)``.
    """
    count, shape = len(stores), (len(stores), len(span))
    day_of_year = span.angle * np.float32(365.25 / (2 * np.pi))
    school = season.school[stores.region]
    summer = np.exp(-(((day_of_year - 216) / 38) ** 4)) - 0.18
    # Skiers come when any zone is on holiday.
    snow = np.where((day_of_year < 75) | (day_of_year > 352), season.school.mean(axis=0) + 0.35, 0.0) - 0.12
    winter = np.array([region.season == "winter" for region in stores.regions])[stores.region]
    pull = rng.uniform(0.40, 0.80, count) * (stores.clientele == TOURIST)
    pull += rng.uniform(0.0, 0.15, count) * (stores.clientele == MIXED)
    visitors = pull[:, None] * np.where(winter[:, None], snow, summer)

    home = (stores.clientele == RESIDENTIAL) * 1.0 + (stores.clientele == MIXED) * 0.5
    away = (home * rng.uniform(0.05, 0.13, count))[:, None] * school
    august = (home * rng.uniform(0.08, 0.28, count))[:, None] * np.exp(-(((day_of_year - 227) / 15) ** 4))
    age = np.maximum(span.days - stores.opened[:, None], 0)
    ramp = -0.45 * np.exp(-age / 55) + 0.35 * (age < 7)
    leaving = -0.35 * np.clip(1 - (stores.closed[:, None] - span.days) / 30, 0, 1)
    growth = rng.normal(0.0, 0.02, count)[:, None] * (span.days - span.begin) / 365
    neighbours = growth + _wander(rng, shape, 0.035, 0.92) - away - august + ramp + leaving + events

    weekday = np.array([-0.06, -0.08, -0.04, 0.0, 0.17, 0.33, -0.40]) + rng.normal(0, 0.04, (count, 7))
    weekday[stores.clientele == TOURIST, 6] += 0.35
    return Traffic(
        visitors.astype(np.float32),
        neighbours.astype(np.float32),
        weekday.astype(np.float32),
        rng.normal(0.0, SHOCK, shape).astype(np.float32),
    )


def _wander(rng: np.random.Generator, shape: tuple[int, int], spread: float, memory: float) -> Singles:
    """Slow stationary drift that changes from week to week, shape ``(n, T)``."""
    weeks = -(-shape[1] // 7)
    return np.repeat(drift(rng, shape[0], weeks, spread, memory), 7, axis=1)[:, : shape[1]]


def drift(rng: np.random.Generator, count: int, weeks: int, spread: float, memory: float) -> Singles:
    """First-order autoregression by week, shape ``(count, weeks)``."""
    shocks = rng.standard_normal((count, weeks), dtype=np.float32) * np.float32(
        spread * np.sqrt(1 - memory**2)
    )
    shocks[:, 0] /= np.sqrt(1 - memory**2)
    for week in range(1, weeks):
        shocks[:, week] += np.float32(memory) * shocks[:, week - 1]
    return shocks


def stores_table(rng: np.random.Generator, stores: Stores, span: Span) -> pa.Table:
    """Profiles: a first version, one when a closure is announced, and some enlargements."""
    count = len(stores)
    names = [f"{CLIENTELES[c].title()} {stores.regions[r].name} {n}" for n, (c, r) in
             enumerate(zip(stores.clientele.tolist(), stores.region.tolist(), strict=True), start=1)]  # fmt: skip
    surface = (_SURFACE_M2[stores.kind] * stores.size / np.array([1.8, 1.0, 0.55])[stores.kind]).round(-1)
    competition = rng.lognormal(7.2, 1.0, count).round(-1)
    rival = np.where(rng.random(count) < 0.5, stores.opened - rng.integers(-900, 2500, count), NEVER)
    unstated = rng.random(count) < 0.06
    closing = np.flatnonzero(stores.closed < NEVER)
    enlarged = np.flatnonzero((rng.random(count) < 0.08) & (stores.closed == NEVER))
    who = np.concatenate([np.arange(count), enlarged, closing])
    version = np.repeat([0, 1, 2], [count, len(enlarged), len(closing)])
    day = np.concatenate(
        [
            np.minimum(stores.opened - 90, span.start - 30),
            np.maximum(span.start, stores.opened[enlarged]) + rng.integers(30, 300, len(enlarged)),
            stores.closed[closing] - rng.integers(45, 100, len(closing)),
        ]
    )
    columns = {
        "store_id": stores.ids.take(pa.array(who)),
        "store_name": pa.array(names).take(pa.array(who)),
        "region": np.array([region.name for region in stores.regions])[stores.region[who]],
        "clientele": pa.array(np.array(CLIENTELES)[stores.clientele[who]], mask=unstated[who]),
        "store_type": pa.array(np.array(KINDS)[stores.kind[who]], mask=unstated[who]),
        "assortment": pa.array(np.array(_ASSORTMENTS)[stores.kind[who]], mask=unstated[who]),
        "surface_m2": pa.array(surface[who] * np.where(version == 1, 1.15, 1.0), mask=unstated[who]),
        "competition_distance_m": pa.array(competition[who], mask=(competition > 9000)[who]),
        "competition_opened_on": pa.array(rival[who].astype("datetime64[D]"), mask=(rival == NEVER)[who]),
        "opens_sunday": stores.sunday[who],
        "opened_on": stores.opened[who].astype("datetime64[D]"),
        "closed_on": pa.array(stores.closed[who].astype("datetime64[D]"), mask=version < 2),
        "known_at": (day * DAY_US + _OFFICE_US).astype("datetime64[us]"),
    }
    return pa.table(columns)
