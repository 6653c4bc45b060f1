"""Order quantities against brute force on distributions that are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import nbinom, poisson

from models.ordering.policy import Costs, Demands, Limits, best_stock, expected_cost, order

LEVELS = (np.arange(2000) + 0.5) / 2000


def of(*values: float) -> np.ndarray:
    return np.array(values, dtype=float)


def demands(cover, life=None) -> Demands:
    """Equally likely demands of one product from distributions of scipy."""
    longer = life if life is not None else cover
    return Demands(cover.ppf(LEVELS)[None, :], longer.ppf(LEVELS)[None, :])


def limits(pack: float = 1, min_packs: float = 1, room: float = np.inf) -> Limits:
    return Limits(of(pack), of(min_packs), of(room))


def cheapest(cover, life, costs: Costs, usable: float, pack: int) -> int:
    """Packs with the least expected cost, by summing over all demands."""
    units = np.arange(0, 400)
    best, least = 0, np.inf
    for packs in range(0, 200 // pack):
        stock = usable + packs * pack
        gap = stock - units
        cost = (
            cover.pmf(units) * (costs.over * np.maximum(gap, 0) + costs.short * np.maximum(-gap, 0))
        ).sum()
        cost += (life.pmf(units) * costs.waste * np.maximum(gap, 0)).sum()
        if cost < least - 1e-9:
            best, least = packs, cost
    return best


@pytest.mark.parametrize("pack", [1, 6, 12])
@pytest.mark.parametrize("usable", [0.0, 7.0, 31.0])
@pytest.mark.parametrize("waste", [0.0, 1.4])
@pytest.mark.parametrize(
    ("cover", "life"),
    [
        (poisson(0.4), poisson(2.0)),
        (poisson(30), poisson(70)),
        (nbinom(4, 4 / 34), nbinom(10, 10 / 100)),
    ],
)
def test_orders_the_packs_that_cost_least(cover, life, waste, usable, pack):
    costs = Costs(of(0.9), of(0.08), of(waste))
    found = order(demands(cover, life), of(usable), costs, limits(pack))
    assert found.packs[0] == pytest.approx(cheapest(cover, life, costs, usable, pack), abs=1e-9)
    assert found.units[0] == found.packs[0] * pack


def test_without_waste_the_best_stock_is_the_critical_quantile():
    costs = Costs(of(0.9), of(0.1), of(0.0))
    assert costs.critical_ratio == pytest.approx([0.9])
    for cover in (poisson(3), poisson(80), nbinom(2, 0.05)):
        assert best_stock(demands(cover), costs)[0] == pytest.approx(cover.ppf(0.9), abs=0.01)


def test_a_service_level_that_was_decided_on_replaces_the_economics():
    costs = Costs(of(0.9, 0.9), of(0.5, 0.5), of(3.0, 3.0)).at_service(of(0.97, np.nan))
    assert costs.critical_ratio == pytest.approx([0.97, 0.9 / 1.4])
    assert costs.waste.tolist() == [0.0, 3.0]
    cover = poisson(40).ppf(LEVELS)
    both = Demands(np.stack([cover, cover]), np.stack([cover, cover]))
    wanted, own = best_stock(both, costs)
    assert wanted == pytest.approx(poisson(40).ppf(0.97), abs=0.01)
    assert own < 40


def test_expiry_lowers_the_order_and_never_raises_it():
    cover, life = poisson(10), poisson(15)
    cautious = order(demands(cover, life), of(0), Costs(of(0.5), of(0.02), of(2.0)), limits())
    bold = order(demands(cover, life), of(0), Costs(of(0.5), of(0.02), of(0.0)), limits())
    assert cautious.units[0] < bold.units[0]
    assert cautious.service[0] < bold.service[0]
    assert cautious.missing[0] > bold.missing[0]


def test_minimum_order_and_room():
    costs, some = Costs(of(0.9), of(0.1), of(0.0)), demands(poisson(10))
    free = order(some, of(0), costs, limits())
    assert order(some, of(0), costs, limits(min_packs=12)).packs[0] in (12, free.packs[0])
    # A pack would do, the smallest order is a year's demand: nothing is ordered.
    assert order(some, of(13), costs, limits(min_packs=500)).packs[0] == 0
    assert order(some, of(0), costs, limits(pack=5, room=12)).packs[0] == 2
    assert order(some, of(0), costs, limits(pack=5, room=-3)).packs[0] == 0
    # No room for the smallest order.
    assert order(some, of(0), costs, limits(pack=5, min_packs=3, room=12)).packs[0] == 0


def test_enough_stock_orders_nothing():
    found = order(demands(poisson(10)), of(60), Costs(of(0.9), of(0.1), of(0.0)), limits())
    assert found.packs[0] == 0
    assert found.service[0] == 1
    assert found.missing[0] == 0


def test_cost_is_convex_in_the_stock():
    some, costs = demands(nbinom(3, 0.1), nbinom(6, 0.1)), Costs(of(0.9), of(0.05), of(0.7))
    cost = np.array([expected_cost(some, of(stock), costs)[0] for stock in range(0, 90)])
    assert (np.diff(cost, 2) >= -1e-9).all()
