"""The shelf: deliveries by forecast, sales as long as there is stock, and the days it runs out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.lab.simulation.demand.assortment import Series
from pipelines.lab.simulation.demand.products import DISPERSION
from pipelines.lab.simulation.demand.shopping import Demand
from pipelines.lab.simulation.demand.span import Singles
from pipelines.lab.simulation.demand.stores import drift
from pipelines.lab.simulation.demand.world import World

#: Days between orders and from order to delivery, by speed of the product.
_EVERY = np.array([1, 2, 3, 7])
_LEAD = np.array([1, 1, 2, 2])
#: Standard deviations of demand kept on top, and units always shown, by speed.
_SAFETY = np.array([1.3, 1.4, 1.5, 1.5])
_SHOWN = np.array([6.0, 5.0, 5.0, 4.0])
#: Error of the buyers: log, by week; and of what they expect of a promotion.
_ERROR, _MEMORY, _PROMOTION_ERROR = 0.15, 0.6, 0.20
#: Times a year that the supplier fails, for some days.
_FAILURES = 0.35


@dataclass(frozen=True)
class Sales:
    """What the tills see of ``n`` series; matrices of shape ``(n, T)``.

    Attributes
    ----------
    sold, on_hand
        Units sold and left in the evening.
    out
        Whether the shelf was empty in the evening of a day of trade.
    delivered
        Units that arrived in the morning.
    lead
        Days from an order in the evening to its delivery, shape ``(n,)``.
    """

    sold: Singles
    on_hand: Singles
    out: NDArray[np.bool_]
    delivered: Singles
    lead: NDArray[np.int64]


def sell(rng: np.random.Generator, world: World, series: Series, demand: Demand) -> Sales:
    """Let a block of series sell day by day: ``sold = min(wanted, stock)``."""
    count, days = demand.wanted.shape
    speed = world.products.speed[series.product]
    every, lead = _EVERY[speed], _LEAD[speed]
    target = _targets(rng, demand, every + lead, speed)
    failing = _failures(rng, count, days)
    offset = rng.integers(0, 7, count)
    on_shelf = world.span.within(series.first, series.last) & world.open[series.store]

    # By day, so that each step works on memory in one piece.
    wanted, target = np.ascontiguousarray(demand.wanted.T), np.ascontiguousarray(target.T)
    ordering = ((np.arange(days)[:, None] + offset) % every == 0) & ~failing.T
    sold, left = np.empty_like(wanted), np.empty_like(wanted)
    arriving = np.zeros((days + int(_LEAD.max()) + 1, count), dtype=np.float32)
    stock, on_order = target[0].copy(), np.zeros(count, dtype=np.float32)
    columns = np.arange(count)
    for day in range(days):
        stock += arriving[day]
        on_order -= arriving[day]
        np.minimum(wanted[day], stock, out=sold[day])
        stock -= sold[day]
        left[day] = stock
        order = np.maximum(np.ceil(target[day] - stock - on_order), 0) * ordering[day]
        on_order += order
        arriving[day + lead, columns] += order
    out = (left.T == 0) & on_shelf
    delivered = np.ascontiguousarray(arriving[:days].T)
    return Sales(np.ascontiguousarray(sold.T), np.ascontiguousarray(left.T), out, delivered, lead)


def _targets(
    rng: np.random.Generator, demand: Demand, cover: NDArray[np.int64], speed: NDArray[np.int64]
) -> Singles:
    """Stock to order up to: what buyers expect until the next delivery, and some more."""
    count, days = demand.expected.shape
    weeks = -(-days // 7)
    error = np.repeat(drift(rng, count, weeks, _ERROR, _MEMORY), 7, axis=1)[:, :days]
    surprise = np.repeat(drift(rng, count, weeks, _PROMOTION_ERROR, 0.0), 7, axis=1)[:, :days]
    foreseen = demand.expected * np.exp(error + surprise * (demand.discount > 0))
    total = np.zeros((count, days + 1), dtype=np.float64)
    np.cumsum(foreseen, axis=1, out=total[:, 1:])
    until = np.minimum(np.arange(days) + 1 + cover[:, None], days)
    needed = np.take_along_axis(total, until, axis=1) - total[:, 1:]
    spread = np.sqrt(needed + DISPERSION[speed][:, None] * needed**2 / cover[:, None])
    # Rounded down to what is shown, so that the last delivery before the end is not a large one.
    wanted = np.ceil(needed + _SAFETY[speed][:, None] * spread)
    return np.asarray(np.maximum(wanted, _SHOWN[speed][:, None]), dtype=np.float32)


def _failures(rng: np.random.Generator, count: int, days: int) -> NDArray[np.bool_]:
    """Days on which the supplier delivers nothing, shape ``(count, days)``."""
    number = rng.poisson(_FAILURES * days / 365, count)
    row = np.repeat(np.arange(count), number)
    first, length = rng.integers(0, days, len(row)), rng.integers(2, 9, len(row))
    steps = np.zeros((count, days + 1), dtype=np.int8)
    np.add.at(steps, (row, first), 1)
    np.add.at(steps, (row, np.minimum(first + length, days)), -1)
    return np.asarray(np.cumsum(steps[:, :-1], axis=1, dtype=np.int8) > 0)
