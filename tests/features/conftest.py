"""A small chain of stores whose days, promotions, stock-outs and late reports are all there."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models.forecasting.panel import Panel

FIRST = np.datetime64("2023-01-02")  # a Monday


def small_chain(*, days: int = 860, ahead: int = 20, seed: int = 0) -> Panel:
    """Three stores x four products: weekly and yearly cycles, gaps, a young product, a slow one."""
    rng = np.random.default_rng(seed)
    stores, skus = 3, 4
    n, total = stores * skus, days + ahead
    day = FIRST + np.arange(total)
    store = np.repeat(np.arange(stores), skus)
    weekday = np.arange(total) % 7
    level = rng.uniform(3, 12, n)
    level[3] = 0.1
    mean = level[:, None] * (1 + 0.4 * (weekday == 5)) * (1 + 0.3 * np.sin(np.arange(total) / 58))
    promo = np.zeros((n, total), dtype=np.float32)
    for row in range(n):
        for start in rng.choice(total - 10, 25, replace=False):
            promo[row, start : start + 6] = rng.choice([0.1, 0.25])
    y = rng.poisson(mean * (1 + 2 * promo))[:, :days].astype(np.float32)
    censored = rng.random((n, days)) < 0.03
    is_open = np.ones((stores, total), dtype=np.float32)
    is_open[0, 6::7] = 0  # closed on Sundays
    is_open[1, 400:415] = 0  # refurbished
    holiday = np.zeros((stores, total), dtype=np.float32)
    holiday[:, 50::181] = 1
    is_open[:, 50::181] = 0
    y[is_open[store][:, :days] == 0] = 0
    y[5, :800] = np.nan  # launched lately
    reported_on = np.broadcast_to(day[:days] + 1, (stores, days)).copy()
    reported_on[2, ::29] += 12  # late
    return Panel(
        series=pd.DataFrame(
            {
                "store_id": [f"S{s}" for s in store],
                "sku_id": np.tile([f"K{k}" for k in range(skus)], stores),
                "region": np.array(["north", "south", "south"])[store],
                "category": np.tile(["dairy", "dairy", "bread", "bread"], stores),
                "brand": np.tile(["a", None, "b", "a"], stores),
                "surface_m2": np.array([900.0, 1200.0, np.nan])[store],
            }
        ),
        days=day,
        n_history=days,
        y=y,
        censored=censored,
        promo=promo,
        price=(level[:, None] * np.where(np.arange(total) > 700, 1.1, 1.0)).astype(np.float32),
        store=store,
        calendar={
            "is_open": is_open,
            "is_public_holiday": holiday,
            "is_school_holiday": np.broadcast_to((np.arange(total) % 90 < 14), (stores, total)).astype("f4"),
            "temperature_c": rng.normal(12, 6, (stores, total)).astype(np.float32),
        },
        reported_on=reported_on,
    )


@pytest.fixture(scope="session")
def chain() -> Panel:
    """The chain, to be read only."""
    return small_chain()
