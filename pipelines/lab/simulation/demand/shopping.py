"""What people want to buy of a block of series, day by day."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.lab.simulation.days import Ints
from pipelines.lab.simulation.demand.assortment import Series
from pipelines.lab.simulation.demand.products import DISPERSION
from pipelines.lab.simulation.demand.promotions import promoted_days
from pipelines.lab.simulation.demand.span import Singles
from pipelines.lab.simulation.demand.stores import NEVER, drift
from pipelines.lab.simulation.demand.world import World

#: Log demand per log of the price relative to the first one.
_ELASTICITY = -1.1
#: What a promotion of the shelf takes from its other products, and what one of the category adds.
_CANNIBALS, _HALO = -0.16, 0.03


@dataclass(frozen=True)
class Demand:
    """Demand of ``n`` series; matrices have shape ``(n, T)``.

    Attributes
    ----------
    expected
        Mean given everything that the simulator knows of the day; 0 on closed days.
    wanted
        Units that people came for.
    price, discount
        Regular price in EUR, and the share taken off it.
    """

    expected: Singles
    wanted: Singles
    price: Singles
    discount: Singles


def draw_demand(rng: np.random.Generator, world: World, series: Series) -> Demand:
    """Draw the demand of a block of series.

    The mean is a product of effects: calendar, weather, traffic, drift of the product and of the
    series, age on the shelf, price, promotions of the product, its shelf and its category. Around
    it, units are negative binomial, with a surprise that all products of a store's day share.
    """
    span, products = world.span, world.products
    log_mean = world.calendar_effect(series.store, series.product, slice(None))
    log_mean += series.base.astype(np.float32)[:, None]
    weeks = -(-len(span) // 7)
    slow = world.trend[series.product] + drift(rng, len(series), weeks, 0.04, 0.9)
    log_mean += np.repeat(slow, 7, axis=1)[:, : len(span)]
    _add_age(log_mean, world, series)
    price = products.prices(series.product, span)
    log_mean += np.float32(_ELASTICITY) * np.log(price / price[:, :1])
    promoted = promoted_days(
        rng, world.promotions, products, world.stores, series.store, series.product, span
    )
    log_mean += promoted.effect
    log_mean += _neighbours(world, series, np.where(promoted.discount > 0, promoted.effect, 0))

    expected = np.exp(log_mean, out=log_mean)
    expected *= world.open[series.store]
    expected *= span.within(series.first, series.last)
    dispersion = DISPERSION[products.speed[series.product]].astype(np.float32)[:, None]
    rate = rng.standard_gamma(np.broadcast_to(1 / dispersion, expected.shape), dtype=np.float32)
    rate *= dispersion
    rate *= expected
    rate *= np.exp(world.traffic.shock)[series.store]
    wanted = rng.poisson(rate).astype(np.float32)
    return Demand(expected, wanted, price, promoted.discount)


def _add_age(log_mean: Singles, world: World, series: Series) -> None:
    """Slow start and curiosity of new products; people turn away from one that is about to go."""
    days = world.span.days.astype(np.float32)
    fresh = np.flatnonzero(world.products.launched[series.product] >= world.span.begin)
    age = np.maximum(days - series.first[fresh, None].astype(np.float32), 0)
    log_mean[fresh] += np.float32(0.22) * np.exp(-(((age - 28) / 16) ** 2)) - np.float32(0.9) * np.exp(
        -age / 9
    )
    leaving = np.flatnonzero(world.products.delisted[series.product] < NEVER)
    left = np.maximum(series.last[leaving, None].astype(np.float32) - days, 0)
    log_mean[leaving] -= np.float32(0.6) * np.maximum(1 - left / 21, 0)


def _neighbours(world: World, series: Series, strength: Singles) -> Singles:
    """Effect of the promotions of other products of the same shelf and category of the store."""
    products = world.products
    out = np.zeros(strength.shape, dtype=np.float32)
    for group, height, most in (
        (products.subcategory[series.product], _CANNIBALS, 1.5),
        (products.category[series.product], _HALO, 4.0),
    ):
        others = _sums(series.store * 1_000 + group, strength) - strength
        out += np.float32(height) * np.minimum(others, np.float32(most))
    return out


def _sums(group: Ints, values: Singles) -> Singles:
    """Sum of ``values`` over the rows of the same group, for each row."""
    order = np.argsort(group, kind="stable")
    _, first, row = np.unique(group[order], return_index=True, return_inverse=True)
    sums = np.add.reduceat(values[order], first, axis=0)
    back = np.empty(len(order), dtype=np.int64)
    back[order] = row
    return np.asarray(sums[back], dtype=np.float32)
