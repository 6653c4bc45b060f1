"""Orders are searched per cluster, kept in a table and found again."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models.forecasting.local import orders
from models.forecasting.local.arima import DEFAULT_ORDER, Order
from models.forecasting.local.orders import orders_of, search_group, search_orders, similar_series
from models.forecasting.panel import Panel


def of(y: np.ndarray) -> Panel:
    n, length = y.shape
    days = np.datetime64("2025-03-10") + np.arange(-length, 15)
    series = pd.DataFrame({"store_id": "s", "sku_id": [f"k{i}" for i in range(n)]})
    both = np.zeros((n, length + 15), dtype=np.float32)
    return Panel(
        series,
        days,
        length,
        y.astype(np.float32),
        np.zeros(y.shape, bool),
        both,
        both,
        np.zeros(n, dtype=np.intp),
    )


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Panel:
    """Three series with a week and three without whose level wanders."""
    monkeypatch.setattr(
        orders, "CANDIDATES", tuple(map(Order.parse, ("(1,0,0)(0,1,1)", "(0,1,1)(0,0,0)", "(1,0,0)(0,0,0)")))
    )
    rng = np.random.default_rng(6)
    day = np.arange(200) % 7
    weekly = 30 + 10 * np.cos(2 * np.pi * day / 7) + rng.normal(0, 1, (3, 200))
    wandering = 40 + np.cumsum(rng.normal(0, 1.5, (3, 200)), axis=1) + rng.normal(0, 1, (3, 200))
    return of(np.maximum(np.vstack([weekly, wandering]), 0))


def test_each_cluster_gets_the_order_that_suits_it(made: Panel) -> None:
    clusters = ["week"] * 3 + ["walk"] * 3
    table = search_orders(made, clusters)
    assert table["cluster"].tolist() == ["walk", "week"]
    assert table["order"].tolist() == ["(0,1,1)(0,0,0)", "(1,0,0)(0,1,1)"]
    assert (table["error"] < 0.2).all()
    assert table["aicc"].notna().all()
    assert table["series"].tolist() == [3, 3]
    assert set(table["searched_on"]) == {"2025-03-10"}
    assert orders_of(table, ["week", "new", "walk"]) == ["(1,0,0)(0,1,1)", "", "(0,1,1)(0,0,0)"]


def test_an_engine_does_the_same(made: Panel) -> None:
    clusters = ["week"] * 3 + ["walk"] * 3
    groups: list[list[str]] = []

    def run(function: object, frame: pd.DataFrame) -> pd.DataFrame:
        assert function is search_group
        groups.append(sorted(frame["group"].unique()))
        return pd.concat([search_group(rows) for _, rows in frame.groupby("group")], ignore_index=True)

    pd.testing.assert_frame_equal(search_orders(made, clusters, run=run), search_orders(made, clusters))
    assert groups == [["walk", "week"]]


def test_a_cluster_that_cannot_be_fitted_keeps_the_default(made: Panel) -> None:
    made.y[:3] = 0
    table = search_orders(made, ["none"] * 3 + ["walk"] * 3).set_index("cluster")
    assert table["order"]["none"] == str(DEFAULT_ORDER)
    assert table["series"]["none"] == 0
    assert np.isnan(table["aicc"]["none"])


def test_representatives_are_few_long_and_of_all_volumes() -> None:
    y = np.outer(np.arange(1, 101), np.ones(60)) + np.arange(60) % 7
    y[::2, :40] = np.nan
    rows = orders._representatives(of(y), np.ones(100, dtype=bool))
    assert len(rows) == orders.REPRESENTATIVES
    assert (rows % 2 == 1).all(), "those with short histories are left out"
    assert rows.min() < 20
    assert rows.max() > 80


def test_similar_series_have_the_same_name(made: Panel) -> None:
    names = similar_series(made)
    assert set(names[:3]) == {"volume over 20, week strong, memory short"}
    assert set(names[3:]) == {"volume over 20, week weak, memory long"}
    alone = [similar_series(made.take(np.array([row])))[0] for row in range(6)]
    assert alone == names, "a name must not depend on the other series"


def test_clusters_are_one_per_series(made: Panel) -> None:
    with pytest.raises(ValueError, match="clusters must have 6 entries, one per series, got 2"):
        search_orders(made, ["a", "b"])


def test_where_no_series_asks_for_an_order_none_is_searched(made: Panel) -> None:
    found = search_orders(made.take(np.arange(0)), [])
    assert found.empty
    assert {"cluster", "order", "error"} <= set(found.columns)
