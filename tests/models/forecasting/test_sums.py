"""Distributions of sums: coverage of windows, dependence between days, stock-outs."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
import skops.io

from models.forecasting.levels import Past
from models.forecasting.sums import SumQuantiles, calibrate_sums

LEVELS = (np.arange(50) + 0.5) / 50


def windows(count: int, seed: int, *, days: int = 14):
    """Sales of fast and slow movers around right forecasts; a surprise that all days of a series share."""
    rng = np.random.default_rng(seed)
    groups = np.where(np.arange(count) % 2, "slow", "fast")
    forecast = np.where(groups == "slow", 0.3, 50.0)[:, None] * rng.lognormal(0, 0.5, (count, 1))
    forecast = np.repeat(forecast, days, axis=1)
    actual = rng.poisson(forecast * rng.lognormal(-0.02, 0.2, (count, 1))).astype(float)
    return actual, forecast, groups


def test_scenarios_of_new_sums_are_calibrated_by_group_window_and_size():
    actual, forecast, groups = windows(8000, 1)
    model = SumQuantiles().fit(actual, forecast, censored=np.zeros(actual.shape, bool), groups=groups)
    new, predicted, names = windows(8000, 2)
    fast = names == "fast"
    for window in (1, 3, 7, 14):
        total, came = predicted[:, :window].sum(axis=1), new[:, :window].sum(axis=1)
        found = model.demands(total, np.full(len(total), window), groups=names)
        assert (np.diff(found, axis=1) >= 0).all()
        assert found.min() >= 0
        for place in (2, 12, 25, 40, 47):
            below = came <= found[:, place] + 1e-9
            assert below[fast].mean() == pytest.approx(LEVELS[place], abs=0.025)
            # Counts are coarse: a quantile of slow movers covers as much or more.
            assert below[~fast].mean() >= LEVELS[place] - 0.03
        large = fast & (total > np.quantile(total[fast], 0.8))
        assert (came[large] <= found[large, 40]).mean() == pytest.approx(LEVELS[40], abs=0.05)


def test_a_sum_is_less_certain_than_independent_days_would_make_it():
    actual, forecast, groups = windows(8000, 3)
    model = SumQuantiles().fit(actual, forecast, censored=np.zeros(actual.shape, bool), groups=groups)

    def spread(window: int) -> float:
        found = model.demands(np.array([50.0 * window]), np.array([window]), groups=["fast"])[0]
        return float(found[44] - found[5])

    assert spread(14) > 1.6 * spread(1) * np.sqrt(14) / 2
    assert spread(14) > 0.9 * 14 * 50 * 0.2 * 2.2


def test_windows_with_a_stock_out_count_as_at_least():
    actual, forecast, groups = windows(12000, 4, days=1)
    limit = forecast * np.random.default_rng(5).lognormal(0.15, 0.25, forecast.shape)
    sold, censored = np.minimum(actual, np.floor(limit)), actual >= np.floor(limit)
    assert censored[groups == "fast"].mean() > 0.2

    def median(came, cut) -> np.ndarray:
        model = SumQuantiles((1,), sizes=1).fit(came, forecast, censored=cut, groups=groups)
        return model.demands(np.array([50.0]), np.array([1]), groups=["fast"])[0, [25, 40]]

    truth = median(actual, np.zeros_like(censored))
    np.testing.assert_allclose(median(sold, censored), truth, rtol=0.03)
    taken_as_demand = median(sold, np.zeros_like(censored))
    left_out = median(np.where(censored, np.nan, sold), np.zeros_like(censored))
    assert (taken_as_demand < truth * 0.97).all()
    assert (left_out < truth * 0.97).all()


def test_unknown_groups_few_points_and_long_windows_are_served():
    actual, forecast, groups = windows(50, 6)
    model = SumQuantiles().fit(actual, forecast, censored=np.zeros(actual.shape, bool), groups=groups)
    found = model.demands(np.array([40.0, 0.0, 5.0]), np.array([60, 2, 14]), groups=["new", "slow", "fast"])
    assert np.isfinite(found).all()
    assert found[0, -1] > 40


def test_errors_name_what_is_wrong():
    with pytest.raises(ValueError, match="got none"):
        SumQuantiles().fit(
            np.full((2, 3), np.nan), np.ones((2, 3)), censored=np.zeros((2, 3), bool), groups=[1, 1]
        )
    with pytest.raises(ValueError, match="windows must increase"):
        SumQuantiles((3, 2)).fit(
            np.ones((2, 3)), np.ones((2, 3)), censored=np.zeros((2, 3), bool), groups=[1, 1]
        )


def test_is_calibrated_on_the_series_that_had_begun_and_stored_without_pickle():
    actual, forecast, _ = windows(400, 7)
    profile = pd.DataFrame({"segment": ["stable"] * 400, "pattern": ["smooth", "lumpy"] * 200})
    begun = np.arange(400) < 300
    censored = np.zeros(actual.shape, dtype=bool)
    model = calibrate_sums([Past(date(2025, 1, 6), begun, actual, censored, forecast)], profile)
    assert model.groups_ == ["", "stable/regular", "stable/sparse"]
    stored = skops.io.dumps(model)
    back = skops.io.loads(stored, trusted=skops.io.get_untrusted_types(data=stored))
    asked = (np.array([7.0]), np.array([7]))
    np.testing.assert_array_equal(
        back.demands(*asked, groups=["stable/sparse"]), model.demands(*asked, groups=["stable/sparse"])
    )
