"""Errors of forecasts: against utilsforecast, against loops over days, and what must not be judged."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from utilsforecast import losses

from models.forecasting import accuracy


@pytest.fixture(scope="module")
def case():
    """Sales of 12 series, forecasts of 5 days, with zeros, stock-outs, unreported days and late starts."""
    rng = np.random.default_rng(0)
    history = rng.poisson(rng.uniform(0.3, 8, 12)[:, None], (12, 60)).astype(float)
    history[1, :20] = 0  # starts late
    history[2, 30:33] = np.nan
    actual = rng.poisson(3, (12, 5)).astype(float)
    actual[3, 2] = np.nan
    forecast = rng.gamma(3, 1, (12, 5))
    censored = rng.random((12, 5)) < 0.2
    return history, actual, forecast, censored


def long(actual: np.ndarray, forecast: np.ndarray) -> pd.DataFrame:
    n, horizon = actual.shape
    return pd.DataFrame(
        {
            "unique_id": np.repeat(np.arange(n), horizon),
            "ds": np.tile(np.arange(horizon), n),
            "y": actual.ravel(),
            "model": forecast.ravel(),
        }
    )


def test_as_utilsforecast_where_it_is_defined(case):
    history, actual, forecast, _ = case
    actual = np.nan_to_num(actual) + 1  # it has no idea of days without sales
    frame = long(actual, forecast)
    train = long(history, history).dropna()
    theirs = {
        name: getattr(losses, name)(frame, ["model"])["model"].to_numpy() for name in ("mape", "mae", "bias")
    }
    theirs["rmsse"] = losses.rmsse(frame, ["model"], seasonality=1, train_df=train)["model"].to_numpy()
    ours = accuracy.error_table(
        actual, forecast, groups=np.arange(12), scale=accuracy.naive_scale(history), horizons=[]
    )
    np.testing.assert_allclose(ours["mape"], theirs["mape"])
    np.testing.assert_allclose(ours["wape"] * actual.mean(axis=1), theirs["mae"])
    np.testing.assert_allclose(ours["bias"] * actual.mean(axis=1), theirs["bias"])
    regular = np.isin(np.arange(12), [1, 2], invert=True)  # it neither waits for the first sale nor sees gaps
    regular &= history[:, 0] > 0
    assert regular.sum() >= 4
    np.testing.assert_allclose(ours["rmsse"][regular], theirs["rmsse"][regular])


def test_table_as_a_loop_over_days(case):
    history, actual, forecast, censored = case
    groups, series = np.array(list("aabbbbccccdd")), np.array([0, 0, 1, 2, 3, 1, 4, 5, 4, 6, 7, 8])
    scale = accuracy.naive_scale(history)
    table = accuracy.error_table(
        actual, forecast, censored=censored, groups=groups, series=series, scale=scale, horizons=[1, 3]
    ).set_index(["group", "horizon"])
    assert list(table.index) == [(group, horizon) for group in "abcd" for horizon in (0, 1, 3)]
    for group, horizon in table.index:
        rows = [
            (series[i], actual[i, h], forecast[i, h] - actual[i, h], scale[i])
            for i in range(12)
            for h in range(5)
            if groups[i] == group and horizon in (0, h + 1)
            if not censored[i, h] and not np.isnan(actual[i, h])
        ]
        total = sum(y for _, y, _, _ in rows)
        percent = [error / y for _, y, error, _ in rows if y > 0]
        by_series: dict[int, list[float]] = {}
        for one, _, error, s in rows:
            by_series.setdefault(one, []).append((error / s) ** 2)
        expected = {
            "mape": np.mean(np.abs(percent)) if percent else np.nan,
            "rmspe": np.sqrt(np.mean(np.square(percent))) if percent else np.nan,
            "wape": sum(abs(error) for _, _, error, _ in rows) / total if total else np.nan,
            "bias": sum(error for _, _, error, _ in rows) / total if total else np.nan,
            "rmsse": np.mean([np.sqrt(np.mean(part)) for part in by_series.values()]) if rows else np.nan,
            "series": len(by_series),
            "points": len(rows),
        }
        for name, value in expected.items():
            assert table.loc[(group, horizon), name] == pytest.approx(value, nan_ok=True), (group, name)


def test_single_figures_are_those_of_the_table(case):
    _, actual, forecast, censored = case
    row = accuracy.error_table(actual, forecast, censored=censored, horizons=()).iloc[0]
    for name in ("mape", "wape", "rmspe", "bias"):
        assert getattr(accuracy, name)(actual, forecast, censored) == row[name]


def test_days_not_judged_change_nothing(case):
    _, actual, forecast, censored = case
    before = accuracy.error_table(actual, forecast, censored=censored)
    actual, forecast = actual.copy(), forecast.copy()
    hidden = censored | np.isnan(actual)
    actual[censored] += 100
    forecast[hidden] = np.nan
    pd.testing.assert_frame_equal(before, accuracy.error_table(actual, forecast, censored=censored))
    forecast[~hidden] += 1
    assert not before.equals(accuracy.error_table(actual, forecast, censored=censored))


def test_scale_starts_at_the_first_sale_and_skips_unknown_days():
    history = np.array([[0, 0, 4, 6, np.nan, 1, 2], [5, 5, 5, 5, 5, 5, 5], [0, 0, 0, 0, 0, 0, 0.0]])
    found = accuracy.naive_scale(history)
    assert found[0] == pytest.approx(np.sqrt((2**2 + 1**2) / 2))  # 4 -> 6 and 1 -> 2
    assert np.isnan(found[1:]).all()


def test_wrmsse_of_a_worked_example():
    history = np.array([[1.0, 3, 1, 3], [0, 2, 4, 2]])  # scales 2 and 2; of the sum [1, 5, 5, 5] 4/sqrt(3)
    actual, forecast = np.array([[2.0, 2], [3, 3]]), np.array([[2.0, 4], [3, 3]])  # errors 0, 2 and none
    found = accuracy.wrmsse(
        actual, forecast, history, revenue=history, levels={"total": ["all", "all"], "series": ["a", "b"]}
    )
    assert found["total"] == pytest.approx(np.sqrt(2) / (4 / np.sqrt(3)))
    assert found["series"] == pytest.approx(np.sqrt(2) / 2 * 8 / 16)
    assert found["mean"] == pytest.approx((found["total"] + found["series"]) / 2)


def test_wrmsse_weighs_by_the_last_28_days_only():
    rng = np.random.default_rng(1)
    history = rng.poisson(5, (3, 50)).astype(float)
    revenue = np.hstack([np.full((3, 22), 1e6), np.array([[1.0], [0], [0]]).repeat(28, axis=1)])
    actual, forecast = rng.poisson(5, (3, 4)).astype(float), rng.gamma(5, 1, (3, 4))
    found = accuracy.wrmsse(actual, forecast, history, revenue, {"series": [0, 1, 2]})
    assert found["series"] == accuracy.rmsse(actual, forecast, accuracy.naive_scale(history))[0]


def test_coverage_counts_the_ends_and_only_judged_days(case):
    _, actual, _, censored = case
    lower, upper = np.full((12, 5), 2.0), np.full((12, 5), 4.0)
    table = accuracy.coverage_table(actual, lower, upper, censored=censored, horizons=[2])
    judged = ~censored & ~np.isnan(actual)
    for position, part in ((0, judged), (1, judged & (np.arange(5) == 1))):
        row = table.iloc[position]
        assert row["coverage"] == pytest.approx(np.isin(actual[part], [2, 3, 4]).mean())
        assert (row["width"], row["points"]) == (2.0, part.sum())
        assert row["relative_width"] == pytest.approx(2.0 / actual[part].mean())


def test_forecast_missing_where_it_is_judged_is_refused(case):
    _, actual, forecast, _ = case
    broken = forecast.copy()
    broken[0, 0] = np.nan
    with pytest.raises(ValueError, match="finite on all judged days, got 1"):
        accuracy.error_table(actual, broken)
    with pytest.raises(ValueError, match=r"shape of actual, \(12, 5\)"):
        accuracy.error_table(actual, forecast[:, :4])
    with pytest.raises(ValueError, match=r"columns 1..5, got \[0, 6\]"):
        accuracy.error_table(actual, forecast, horizons=[0, 1, 6])
