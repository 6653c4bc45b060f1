"""Which store carries which product: the series of the chain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.errors import ConfigError
from pipelines.lab.simulation.days import Floats, Ints
from pipelines.lab.simulation.demand.products import DISPERSION, SPEEDS, Products
from pipelines.lab.simulation.demand.span import Span
from pipelines.lab.simulation.demand.stores import NEVER, Stores
from pipelines.lab.simulation.demand.world import World

#: Share of each speed among the products of a store.
_MIX = np.array([0.055, 0.070, 0.165, 0.710])
#: Share of the stores that carry a product, and largest share of all products, but for the slowest.
_REACH, _MOST = np.array([0.40, 0.12, 0.06]), np.array([0.12, 0.18, 0.30])
#: Sales rows per series and trading day, for a first guess of the depth.
_ROWS_PER_DAY = 0.2
#: Candidates beyond the first guess, from which the wanted number of rows is met.
_SPARE = 2.0
#: Products that a store considers at least.
_LEAST = 12.0
#: Every so many days are looked at when rows are estimated; prime to the week.
_SAMPLED = 13
_SCORES_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Series:
    """``n`` products in stores, ordered by store; arrays have shape ``(n,)``.

    Attributes
    ----------
    store, product
        Indices.
    base
        Log of the daily units without any effect.
    first, last
        First and last day on the shelf.
    """

    store: Ints
    product: Ints
    base: Floats
    first: Ints
    last: Ints

    def __len__(self) -> int:
        return len(self.store)

    def take(self, rows: Ints) -> Series:
        """Some of the series."""
        return Series(
            self.store[rows], self.product[rows], self.base[rows], self.first[rows], self.last[rows]
        )


def speed_shares(rows: int, skus: int, trading_days: int, stores: int) -> Floats:
    """Share of each speed among all products, such that stores find the mix they want.

    Parameters
    ----------
    trading_days
        Days on which each store trades, summed over the stores.
    """
    carried = rows / (trading_days * _ROWS_PER_DAY)
    reach = np.maximum(_REACH, 1.0 / stores)
    shares = np.minimum(carried * _MIX[:-1] / reach / skus, _MOST)
    return np.append(shares, 1 - shares.sum())


def draw_series(rng: np.random.Generator, world: World, rows: int, span: Span) -> Series:
    """Assortments whose sales make about ``rows`` rows between the start and the end of the span.

    Raises
    ------
    ConfigError
        So many rows cannot come from so many stores and products, or so few.
    """
    stores, products = world.stores, world.products
    trading_days = world.open[:, span.start - span.begin : span.end - span.begin].sum()
    guess = max(rows / (trading_days * _ROWS_PER_DAY), _LEAST)
    store, product, depth = _candidates(rng, stores, products, guess * _SPARE)
    candidates = _series(rng, world, store, product, span)
    expected = _expected_rows(candidates, world, span)
    order = np.argsort(depth, kind="stable")
    total = np.cumsum(expected[order])
    if total[-1] < rows:
        candidates, expected = _livelier(candidates, world, span, rows)
        chosen = np.arange(len(candidates))
    else:
        # As many as bring the sum nearest to the wanted rows: half of the last series lies beyond them.
        nearest = int(np.searchsorted(total - expected[order] / 2, rows))
        chosen = np.sort(order[:nearest])
    if len(chosen) < 3 * len(stores):
        least = int(total[min(3 * len(stores), len(total) - 1)])
        raise ConfigError(f"--rows must be at least about {least:,} for {len(stores)} stores, got {rows:,}")
    return candidates.take(chosen)


def _candidates(
    rng: np.random.Generator, stores: Stores, products: Products, deepest: float
) -> tuple[Ints, Ints, Floats]:
    """Products that stores would carry, ordered by store, and the depth from which on they do.

    The depth is the number of products that a usual store carries today.
    """
    # More products have existed than are sold today.
    today = len(products) / max((products.delisted == NEVER).sum(), 1)
    room = (stores.size / stores.size.mean()) ** 0.4
    taste = rng.normal(0, 0.5, (len(stores.regions), len(products)))
    taste += rng.normal(0, 0.5, len(products))
    found = []
    chunk = max(1, _SCORES_AT_ONCE // len(products))
    for begin in range(0, len(stores), chunk):
        who = np.arange(begin, min(begin + chunk, len(stores)))
        for speed in range(len(SPEEDS)):
            shelf = np.flatnonzero(products.speed == speed)
            per_depth = _MIX[speed] * today * room[who]
            wanted = min(len(shelf), int(np.ceil(deepest * per_depth.max())))
            score = taste[stores.region[who]][:, shelf] + rng.gumbel(0, 0.6, (len(who), len(shelf)))
            best = np.argsort(-score, axis=1, kind="stable")[:, :wanted]
            needs = (np.arange(wanted) + rng.random((len(who), 1))) / per_depth[:, None]
            kept = needs <= deepest
            found.append((np.repeat(who, kept.sum(axis=1)), shelf[best[kept]], needs[kept]))
    store, product, depth = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.lexsort((product, store))
    return store[order], product[order], depth[order]


def _series(rng: np.random.Generator, world: World, store: Ints, product: Ints, span: Span) -> Series:
    stores, products = world.stores, world.products
    count = len(store)
    first = np.maximum(products.launched[product] + rng.integers(0, 15, count), stores.opened[store])
    last = np.minimum(products.delisted[product] - rng.integers(0, 8, count), stores.closed[store])
    # A few stores give a product up on their own.
    dropped = rng.random(count) < 0.04
    given_up = span.start + rng.integers(60, span.end - span.start, count)
    last = np.where(dropped & (given_up > first + 60), np.minimum(last, given_up), last)
    base = np.log(products.units[product]) + 0.6 * np.log(stores.size[store]) + rng.normal(0, 0.30, count)
    return Series(store, product, base, first, last)


def _expected_rows(series: Series, world: World, span: Span, lift: float = 0.0) -> Floats:
    """Days with sales of each series between the start and the end of the span, shape ``(n,)``."""
    columns = np.arange(span.start - span.begin, span.end - span.begin, _SAMPLED)
    expected = np.empty(len(series))
    for begin in range(0, len(series), 20_000):
        part = series.take(np.arange(begin, min(begin + 20_000, len(series))))
        mean = np.exp(world.calendar_effect(part.store, part.product, columns) + part.base[:, None] + lift)
        spread = DISPERSION[world.products.speed[part.product]][:, None]
        sells = 1 - (1 + spread * mean) ** (-1 / spread)
        day = span.days[columns]
        sells *= (
            world.open[part.store][:, columns] & (day >= part.first[:, None]) & (day <= part.last[:, None])
        )
        expected[begin : begin + len(part)] = sells.sum(axis=1)
    return expected * ((span.end - span.start) / len(columns))


def _livelier(series: Series, world: World, span: Span, rows: int) -> tuple[Series, Floats]:
    """Make slower products sell on more days, where all products there are do not give enough rows."""
    low, high = 0.0, 6.0
    most = _expected_rows(series, world, span, high).sum()
    if most < rows:
        raise ConfigError(
            f"--rows must be at most about {int(most):,} for {len(world.stores)} stores and"
            f" {len(world.products)} products, got {rows:,}"
        )
    for _ in range(12):
        middle = (low + high) / 2
        if _expected_rows(series, world, span, middle).sum() < rows:
            low = middle
        else:
            high = middle
    lifted = Series(series.store, series.product, series.base + high, series.first, series.last)
    return lifted, _expected_rows(lifted, world, span)
