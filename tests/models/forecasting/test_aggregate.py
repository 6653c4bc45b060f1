"""Sums of series: late reports do not look like slumps, and launches are no losses."""

import numpy as np
import pandas as pd
import pytest

from models.forecasting.aggregate import aggregate
from models.forecasting.panel import Panel

T, H = 20, 3


def panel(y: np.ndarray, store: list[int]) -> Panel:
    n, stores = len(y), max(store) + 1
    return Panel(
        series=pd.DataFrame({"store_id": [f"S{s}" for s in store], "sku_id": [f"P{i}" for i in range(n)]}),
        days=np.datetime64("2025-01-01") + np.arange(T + H),
        n_history=T,
        y=y.astype(np.float32),
        censored=np.zeros((n, T), dtype=bool),
        promo=np.zeros((n, T + H), dtype=np.float32),
        price=np.ones((n, T + H), dtype=np.float32),
        store=np.array(store),
        calendar={"is_open": np.ones((stores, T + H), dtype=np.float32)},
    )


def test_nodes_are_sums_of_their_series() -> None:
    y = np.arange(3 * T, dtype=float).reshape(3, T)
    found = aggregate(panel(y, [0, 0, 1]), ["b", "b", "a"])
    assert list(found.series["store_id"]) == ["a", "b"]
    np.testing.assert_allclose(found.y, [y[2], y[0] + y[1]], rtol=1e-6)


def test_a_late_store_is_made_up_for_by_what_it_usually_sells() -> None:
    y = np.full((4, T), 10.0)
    y[3] = 20.0
    y[3, -1] = np.nan
    found = aggregate(panel(y, [0, 0, 1, 1]), ["all"] * 4)
    np.testing.assert_allclose(found.y[0], 50.0, rtol=1e-6)


def test_a_day_that_half_of_the_node_has_not_reported_is_unknown() -> None:
    y = np.full((2, T), 10.0)
    y[0] = 30.0
    y[0, -2:] = np.nan
    assert np.isnan(aggregate(panel(y, [0, 1]), ["all"] * 2).y[0, -2:]).all()


def test_before_a_launch_nothing_is_missing() -> None:
    y = np.full((2, T), 10.0)
    y[1, :8] = np.nan
    np.testing.assert_allclose(
        aggregate(panel(y, [0, 0]), ["all"] * 2).y[0], [10.0] * 8 + [20.0] * 12, rtol=1e-6
    )


def test_calendars_are_weighted_means_and_a_node_is_open_if_a_store_is() -> None:
    given = panel(np.array([[10.0] * T, [30.0] * T]), [0, 1])
    given.calendar["is_open"][0, -1] = 0
    given.calendar["is_open"][:, -2] = 0
    given = Panel(
        **{**vars(given), "calendar": {**given.calendar, "rain": np.array([[4.0], [0.0]]).repeat(T + H, 1)}}
    )
    found = aggregate(given, ["all", "all"])
    assert list(found.calendar["is_open"][0, -3:]) == [1, 0, 1]
    assert found.calendar["rain"][0, 0] == pytest.approx(1.0)
