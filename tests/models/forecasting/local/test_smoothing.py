"""Exponential smoothing against statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.tsa.exponential_smoothing.ets import ETSModel

from models.forecasting.local.smoothing import ets


def daily(length: int = 210, seed: int = 5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    level = 20 + np.cumsum(rng.normal(0, 0.4, length))
    return level + np.array([-3, -2, 0, 1, 3, 5, -4.0])[np.arange(length) % 7] + rng.normal(0, 1.5, length)


def test_forecasts_are_those_of_statsmodels() -> None:
    values = daily()
    found, components = ets(values, 14, pool=("ANA",))
    oracle = ETSModel(values, error="add", seasonal="add", seasonal_periods=7).fit(disp=False)
    # Two optimisers on a flat top: they agree to a fraction of the noise (1.5).
    np.testing.assert_allclose(found, oracle.forecast(14), atol=0.3)
    assert components == "ANA"


def test_the_season_is_taken_if_there_is_one() -> None:
    assert ets(daily(), 7)[1] == "ANA"
    assert ets(np.random.default_rng(0).normal(10, 1, 200), 7)[1] == "ANN"


def test_odd_series() -> None:
    forecast, components = ets(np.full(50, 3.0), 4)
    assert forecast.tolist() == [3, 3, 3, 3]
    assert components == "constant"
    with pytest.raises(ValueError, match="no ETS model of ANA fits 9 days"):
        ets(np.arange(9.0) ** 2, 4, pool=("ANA",))
