"""Small panels with everything that makes real ones awkward."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models.forecasting.panel import Panel

LENGTH, HORIZON = 140, 15


@pytest.fixture
def panel() -> Panel:
    """Twelve series in two stores (the first closed on Sundays), most of them odd in one way each."""
    rng = np.random.default_rng(11)
    days = np.datetime64("2025-03-10") + np.arange(-LENGTH, HORIZON)  # a Monday
    weekday = (np.arange(-LENGTH, HORIZON)) % 7
    week = np.array([0.8, 0.9, 1.0, 1.1, 1.3, 1.5, 0.7])[weekday[:LENGTH]]
    y = rng.poisson(6.0 * week, (12, LENGTH)).astype(np.float32)
    censored = np.zeros_like(y, dtype=bool)
    y[1] = 0  # never sold
    y[2] = 3  # the same every day
    y[3, :-5] = np.nan  # too short
    y[4], y[4, 70] = 0, 40  # one spike
    y[5] = np.nan  # never reported
    y[6, ::3] = np.nan  # gaps
    censored[7, 30:60] = True
    y[7, 30:60] = 0  # out of stock for a month
    censored[8] = True  # out of stock on every day
    y[9] = rng.poisson(0.1, LENGTH)  # intermittent
    y[9, :2] = 1
    opened = np.ones((3, LENGTH + HORIZON), dtype=np.float32)
    opened[0, weekday == 6] = 0
    opened[2, LENGTH - 10 :] = 0  # closed for good
    store = np.array([0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2])
    y[0, opened[0, :LENGTH] == 0] = 0
    y[11, -10:] = 0
    promo = np.zeros((12, LENGTH + HORIZON), dtype=np.float32)
    promo[0, 50:57] = promo[0, 100:107] = promo[0, -5:] = 0.2
    y[0] *= np.where(promo[0, :LENGTH] > 0, 2, 1)
    holiday = np.zeros_like(opened)
    holiday[:, 20::40] = 1
    series = pd.DataFrame(
        {"store_id": [f"s{number}" for number in store], "sku_id": [f"k{i}" for i in range(12)]}
    )
    calendar = {"is_open": opened, "is_public_holiday": holiday, "days_to_holiday": 1 - holiday}
    return Panel(
        series, days, LENGTH, y, censored, promo, np.full_like(promo, np.nan), store.astype(np.intp), calendar
    )
