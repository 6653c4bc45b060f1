"""Levels above the series: nodes, sums, and intervals from past forecasts of the level itself."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from models.forecasting.levels import (
    Past,
    calibrate,
    ends_by_level,
    level_sums,
    measured_coverage,
    node_codes,
    nodes_of,
)

PROFILE = pd.DataFrame(
    {
        "store_id": ["S1", "S1", "S2"], "sku_id": ["K1", "K2", "K1"], "region": ["south", "south", "north"],
        "segment": "stable", "pattern": "smooth",
    }
)  # fmt: skip
LEVELS = ("national", "region", "store", "sku", "sku_store")


def past(nights: int, seed: int) -> list[Past]:
    rng = np.random.default_rng(seed)
    found = []
    for night in range(nights):
        units = np.full((3, 14), 100, dtype=np.float32)
        actual = (units + rng.normal(0, 10, units.shape)).astype(np.float32)
        unknown = np.zeros(units.shape, dtype=bool)
        found.append(Past(date(2025, 1, 1) + timedelta(night), np.ones(3, bool), actual, unknown, units))
    return found


def test_nodes_are_sorted_by_name() -> None:
    assert nodes_of(PROFILE, "national").tolist() == ["all"] * 3
    assert nodes_of(PROFILE, "sku_store").tolist() == ["S1/K1", "S1/K2", "S2/K1"]
    nodes, codes = node_codes(PROFILE, "region")
    assert (nodes.tolist(), codes.tolist()) == (["north", "south"], [1, 1, 0])


@pytest.mark.parametrize(
    ("level", "sums"),
    [("national", [[6]]), ("region", [[3], [3]]), ("sku", [[4], [2]]), ("sku_store", [[1], [2], [3]])],
)
def test_sums_of_a_level(level: str, sums: list[list[float]]) -> None:
    assert level_sums(PROFILE, np.array([[1], [2], [3]]), level).tolist() == sums


def test_a_level_s_intervals_come_from_its_own_errors() -> None:
    """Errors of three series cancel in their sum: the nation's interval is narrower than three times theirs."""
    intervals = calibrate(past(40, 0), PROFILE, LEVELS, (80, 95))
    forecasts = {
        "national": np.full((1, 3), 300.0), "sku_store": np.full((3, 3), 100.0),
    }  # fmt: skip
    ends = ends_by_level(intervals, forecasts, PROFILE)
    width = {level: float(np.mean(ends[level][80][1] - ends[level][80][0])) for level in forecasts}
    assert width["national"] < 2.2 * width["sku_store"]
    measured = measured_coverage(intervals, past(20, 1), PROFILE, (1, 14))
    assert set(measured["level"]) == set(LEVELS)
    overall = measured[measured["horizon"] == 0]
    assert overall[overall["nominal"] == 80]["coverage"].between(0.7, 0.9).all()


def test_a_stock_out_hides_the_series_and_not_its_store() -> None:
    nights = past(30, 2)
    for one in nights:
        one.censored[0] = True
        one.actual[0] = 0
    found = calibrate(nights, PROFILE, ("store", "sku_store"), (80,))
    assert found["sku_store"].points_.max() <= 30 * 2 * 14
    assert found["store"].points_[0].sum() == 30 * 2 * 14
