"""Lives of a small world: whoever knows the distribution loses least, and every unit is accounted for."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from models.forecasting.sums import SumQuantiles
from models.ordering.rules import Rules
from pipelines.lab.bench.order_lives import (
    AHEAD,
    Buyers,
    Forecasting,
    Knowing,
    World,
    buyers,
    figures,
    foreseen,
    live,
)

ROW = {
    "category": "*", "order_days": "mon wed fri", "lead_days": "1", "pack_units": "2", "min_packs": "1",
    "shelf_units": "", "shelf_life_days": "", "margin": "0.3", "lost_sale": "0.2", "salvage": "0.1",
    "holding_per_day": "0.01", "service_level": "",
}  # fmt: skip
RULES = Rules(
    [ROW, ROW | {"category": "bread", "order_days": "mon tue wed thu fri sat", "shelf_life_days": "3"}]
)
DAYS, COUNT = 28, 60


@pytest.fixture(scope="module")
def world() -> World:
    rng = np.random.default_rng(4)
    week = np.array([8, 8, 9, 10, 13, 15, 7]) / 10
    shape = (COUNT, DAYS + AHEAD)
    expected = rng.uniform(5, 60, (COUNT, 1)) * np.resize(week, shape[1])[None, :]
    demand = rng.poisson(expected * rng.gamma(50, 1 / 50, shape)).astype(float)
    return World(
        series=pd.DataFrame({"store_id": "S1", "sku_id": [f"K{n}" for n in range(COUNT)]}),
        first=date(2025, 9, 1),
        demand=demand,
        expected=expected,
        dispersion=np.full(COUNT, 0.02),
        price=np.full(COUNT, 2.0),
        rules=RULES.of(["bread", "pasta"] * (COUNT // 2)),
    )


def test_who_knows_more_loses_less(world: World) -> None:
    guess, mape = foreseen(world, 1, 0.28, 20)
    assert mape == pytest.approx(0.28, abs=0.005)
    _, lived = buyers(world, guess, 6.0)
    theirs = figures(world, lived)
    assert theirs["stock_outs_pct"] == pytest.approx(6.0, abs=1.0)
    best = figures(world, live(world, Knowing()))
    assert best["eur_lost"] < 0.7 * theirs["eur_lost"]
    assert best["stock_outs_pct"] < theirs["stock_outs_pct"]
    clairvoyant = figures(world, live(world, Buyers(world.demand, 0.0)))
    assert clairvoyant["stock_outs_pct"] < 0.5
    assert clairvoyant["eur_lost"] < best["eur_lost"]

    # Right means with a distribution of sums that was learnt from the past come near the best.
    rng = np.random.default_rng(5)
    past = np.repeat(rng.uniform(5, 60, (4000, 1)), 14, axis=1)
    came = rng.poisson(past * rng.gamma(50, 1 / 50, past.shape)).astype(float)
    sums = SumQuantiles().fit(came, past, censored=np.zeros(past.shape, bool), groups=["a"] * len(past))
    daily = np.stack([world.expected[:, day : day + AHEAD] for day in range(DAYS)])
    ours = figures(world, live(world, Forecasting(daily, sums, np.full(COUNT, "a", dtype=object))))
    assert ours["eur_lost"] < 1.1 * best["eur_lost"]


def test_a_higher_service_level_means_fewer_stock_outs_and_more_stock(world: World) -> None:
    low, high = (figures(world, live(world, Knowing(level))) for level in (0.8, 0.98))
    assert high["stock_outs_pct"] < low["stock_outs_pct"]
    assert high["overstock_pct"] > low["overstock_pct"]
    assert high["days_of_stock"] > low["days_of_stock"]


def test_units_are_accounted_for(world: World) -> None:
    lived = live(world, Knowing())
    before = np.concatenate([world.opening.sum(axis=1)[:, None], lived.closing[:, :-1]], axis=1)
    np.testing.assert_array_equal(before + lived.delivered, lived.sold + lived.wasted + lived.closing)
    np.testing.assert_array_equal(lived.sold + lived.lost, world.demand[:, :DAYS])
    assert (lived.ordered % 2 == 0).all()
    assert lived.ordered[:, 6].sum() == 0, "nobody orders on a Sunday"
