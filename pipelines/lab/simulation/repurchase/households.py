"""Who orders: households with a rhythm, and a repertoire of products that they go through."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.lab.simulation.days import Floats, Ints
from pipelines.lab.simulation.repurchase.catalogue import Catalogue

Singles = NDArray[np.float32]

#: Most products in a repertoire; part of the definition of the data, so not a parameter.
REPERTOIRE = 72
#: Ends that are not set.
NEVER = 1_000_000
#: Days that a household stays, on average.
_STAYS_DAYS = 620.0
#: Share of the households that are customers before the delivery begins, and since how long at most.
_BEFORE, _BEFORE_DAYS = 0.45, 240


@dataclass(frozen=True)
class Households:
    """A block of ``n`` households; matrices have shape ``(n, REPERTOIRE)``.

    Attributes
    ----------
    number
        Number of the household, from 1.
    people
        Who eats along.
    joined, left
        Day of the first order, about, and the day from which it orders no more.
    gap, regularity
        Days between orders on average; shape of their gamma distribution, high for regular ones.
    drift
        Log change of the gap within a year.
    weekday, habit
        Usual weekday, Monday 0, and the share of orders that are moved to it.
    hour, hour_spread
        Usual hour of the day and its standard deviation.
    tries
        Products per order that are tried for once.
    product
        Product; -1 where the repertoire is shorter.
    lasts
        Days a pack lasts here.
    loyalty
        Probability that it is bought again once it has run out.
    taken_up, given_up
        First day that it belongs to the repertoire, and the day from which it does no more.
    """

    number: Ints
    people: Ints
    joined: Ints
    left: Ints
    gap: Floats
    regularity: Floats
    drift: Floats
    weekday: Ints
    habit: Floats
    hour: Floats
    hour_spread: Floats
    tries: Floats
    product: NDArray[np.int32]
    lasts: Singles
    loyalty: Singles
    taken_up: NDArray[np.int32]
    given_up: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.number)


def draw_households(
    rng: np.random.Generator, catalogue: Catalogue, first: int, n: int, start: int, end: int
) -> Households:
    """Draw a block of households, numbered from ``first`` on."""
    before = rng.random(n) < _BEFORE
    joined = np.where(
        before, start - rng.integers(0, _BEFORE_DAYS, n), rng.integers(start, end - 7, n)
    ).astype(np.int64)
    people = 1 + rng.binomial(4, 0.35, n)
    product, lasts, loyalty, taken_up, given_up = _repertoires(rng, catalogue, joined, people)
    return Households(
        number=np.arange(first, first + n, dtype=np.int64),
        people=people,
        joined=joined,
        left=joined + 1 + rng.exponential(_STAYS_DAYS, n).astype(np.int64),
        gap=np.clip(np.exp(rng.normal(np.log(17.5), 0.6, n)), 3.0, 90.0),
        regularity=np.exp(rng.normal(np.log(6.0), 0.6, n)),
        drift=rng.normal(0, 0.25, n),
        weekday=rng.choice(7, n, p=[0.17, 0.13, 0.12, 0.13, 0.15, 0.16, 0.14]),
        habit=rng.beta(2.0, 2.0, n),
        hour=np.clip(rng.choice([10.0, 14.0, 19.5], n, p=[0.35, 0.25, 0.4]) + rng.normal(0, 1.5, n), 6, 22),
        hour_spread=rng.uniform(0.5, 3.5, n),
        tries=rng.gamma(1.6, 1.45, n),
        product=product,
        lasts=lasts,
        loyalty=loyalty,
        taken_up=taken_up,
        given_up=given_up,
    )


def draw_products(rng: np.random.Generator, catalogue: Catalogue, size: int | tuple[int, int]) -> Ints:
    """Products by their share of what is tried."""
    edges = np.cumsum(catalogue.weight)
    found = np.searchsorted(edges, rng.random(size) * edges[-1], side="right")
    last = int(np.flatnonzero(catalogue.weight)[-1])
    return np.asarray(np.minimum(found, last), dtype=np.int64)


def _repertoires(
    rng: np.random.Generator, catalogue: Catalogue, joined: Ints, people: Ints
) -> tuple[NDArray[np.int32], Singles, Singles, NDArray[np.int32], NDArray[np.int32]]:
    """Draw the repertoires: most things are there from the start, others are taken up or given up later."""
    n = len(joined)
    shape = (n, REPERTOIRE)
    product = np.sort(draw_products(rng, catalogue, shape), axis=1)
    size = np.clip(rng.gamma(2.6, 12.0, n), 4, REPERTOIRE)
    # Sorted by product, so which of them belong to a short repertoire is drawn; a product drawn twice is one.
    kept = rng.random(shape) * REPERTOIRE < size[:, None]
    kept[:, 1:] &= product[:, 1:] != product[:, :-1]
    lasts = catalogue.lasts[product] * np.exp(rng.normal(0, 0.45, shape)) * (2.0 / people[:, None]) ** 0.6
    loyalty = np.clip(catalogue.loyalty[product] + rng.normal(0, 0.15, shape), 0.05, 0.98)
    later = rng.random(shape) < 0.35
    taken_up = joined[:, None] + np.where(later, rng.exponential(300.0, shape), 0)
    given_up = taken_up + 30 + rng.exponential(700.0, shape)
    return (
        np.where(kept, product, -1).astype(np.int32),
        np.clip(lasts, 2.0, 200.0).astype(np.float32),
        loyalty.astype(np.float32),
        taken_up.astype(np.int32),
        np.minimum(given_up, NEVER).astype(np.int32),
    )
