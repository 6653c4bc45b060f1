"""Conformal intervals: coverage on exchangeable days, exact ranks, groups, storage."""

from __future__ import annotations

import numpy as np
import pytest
import skops.io

from models.forecasting.conformal import ConformalIntervals


def days(n: int, seed: int, *, horizon: int = 14) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sales and right forecasts of slow and fast movers; the skewed noise grows with the horizon."""
    rng = np.random.default_rng(seed)
    groups = np.where(np.arange(n) < n // 2, "slow", "fast")
    forecast = np.where(groups == "slow", 0.4, 60.0)[:, None] * rng.lognormal(0, 0.6, (n, 1))
    forecast = forecast * rng.lognormal(0, 0.1, (n, horizon))
    noise = rng.gamma(1 / (0.02 * np.arange(1, horizon + 1)), size=(n, horizon))
    actual = rng.poisson(forecast * noise * 0.02 * np.arange(1, horizon + 1)).astype(float)
    return actual, forecast, groups


def test_covers_new_days_by_group_horizon_and_size():
    actual, forecast, groups = days(4000, 1)
    model = ConformalIntervals().fit(actual, forecast, groups=groups)
    new, predicted, names = days(4000, 2)
    table = model.coverage(new, predicted, groups=names)
    for nominal, tolerance in ((80, 0.02), (95, 0.01)):
        part = table[(table["nominal"] == nominal) & (table["group"] == "fast")]
        overall = part.loc[part["horizon"] == 0, "coverage"].item()
        assert overall == pytest.approx(nominal / 100, abs=tolerance)  # Monte Carlo error: 0.003
        by_horizon = part.loc[part["horizon"] > 0, "coverage"]
        assert by_horizon.between(nominal / 100 - 0.09, nominal / 100 + 0.09).all()
        # Counts are coarse: of slow movers an interval can only cover more.
        slow = table[(table["nominal"] == nominal) & (table["group"] == "slow") & (table["horizon"] == 0)]
        assert slow["coverage"].item() >= nominal / 100 - tolerance
    ends = model.interval(predicted, groups=names)
    fast = names == "fast"
    for low, high in ((20, 40), (40, 80), (80, 200)):
        cell = fast[:, None] & (predicted > low) & (predicted <= high)
        inside = (ends[80][0] <= new) & (new <= ends[80][1])
        assert inside[cell].mean() == pytest.approx(0.8, abs=0.05), (low, high)


def test_is_wider_where_forecasts_were_worse():
    actual, forecast, groups = days(4000, 3)
    model = ConformalIntervals(sizes=1).fit(actual, forecast, groups=groups)
    low, high = model.interval(np.full((1, 14), 60.0), groups=["fast"])[80]
    width = (high - low)[0]
    assert width[13] > 1.5 * width[0]
    assert len(np.unique(width)) == 4  # ranges of horizons
    assert ((high - 60)[0, 8:] > (60 - low)[0, 8:]).all()  # a long upper tail
    wider = model.interval(np.full((1, 14), 60.0), groups=["fast"])[95]
    assert (wider[0] <= low).all()
    assert (wider[1] >= high).all()


def test_ends_are_the_ranks_that_finite_samples_need():
    error = np.arange(1.0, 200.0)  # 199 errors: 2.5 % of 200 are 5, 10 % are 20
    forecast = np.full((199, 1), 1000.0)
    rng = np.random.default_rng(4)
    model = ConformalIntervals(first_horizons=(0,), sizes=1, min_points=1)
    model.fit(forecast + rng.permutation(error)[:, None] - 100, forecast, scale=np.ones(199))
    ends = model.interval(forecast[:1], scale=np.ones(1))
    assert [float(end[0, 0]) for end in ends[80]] == [1000 + 20 - 100, 1000 + 180 - 100]
    assert [float(end[0, 0]) for end in ends[95]] == [1000 + 5 - 100, 1000 + 195 - 100]


def test_exchangeable_days_are_covered_however_few():
    rng = np.random.default_rng(5)
    hits = []
    for _ in range(600):
        error = rng.standard_t(2, 40)
        model = ConformalIntervals((80,), first_horizons=(0,), sizes=1, min_points=10)
        model.fit(100 + error[:39, None], np.full((39, 1), 100.0), scale=np.ones(39))
        low, high = model.interval(np.full((1, 1), 100.0), scale=np.ones(1))[80]
        hits.append(low[0, 0] <= 100 + error[39] <= high[0, 0])
    assert np.mean(hits) > 0.8 - 3 * np.sqrt(0.16 / 600)
    assert np.mean(hits) < 0.87


def test_scale_of_the_caller_stretches_and_must_be_given_again():
    rng = np.random.default_rng(6)
    scale = rng.uniform(1, 10, 500)
    actual = 100 + scale[:, None] * rng.normal(size=(500, 3))
    model = ConformalIntervals().fit(actual, np.full((500, 3), 100.0), scale=scale)
    low, high = model.interval(np.full((2, 3), 100.0), scale=np.array([1.0, 4.0]))[80]
    assert (high - low)[1] == pytest.approx(4 * (high - low)[0])
    assert (high - low)[0, 0] == pytest.approx(2 * 1.2816, rel=0.15)
    with pytest.raises(ValueError, match="scale must be given"):
        model.interval(np.full((2, 3), 100.0))


def test_ends_keep_zero_and_the_forecast_inside():
    rng = np.random.default_rng(7)
    actual = rng.poisson(0.05, (3000, 2)).astype(float)
    model = ConformalIntervals().fit(actual, np.full((3000, 2), 0.05))
    forecast = np.array([[0.0, 0.02], [0.05, 3.0]])
    for low, high in model.interval(forecast).values():
        assert (low >= 0).all()
        assert (low <= forecast).all()
        assert (high >= forecast).all()


def test_unreported_and_stock_out_days_teach_nothing():
    actual, forecast, groups = days(300, 8)
    rng = np.random.default_rng(8)
    censored, missing = rng.random(actual.shape) < 0.1, rng.random(actual.shape) < 0.1
    partly = np.where(missing, np.nan, actual)
    one = ConformalIntervals().fit(partly, forecast, groups=groups, censored=censored)
    other = ConformalIntervals().fit(
        np.where(censored, 1e6, partly), forecast, groups=groups, censored=censored
    )
    np.testing.assert_array_equal(one.quantiles_, other.quantiles_)
    assert one.points_[1:].sum() == (~censored & ~missing).sum()
    with pytest.raises(ValueError, match="got none"):
        ConformalIntervals().fit(np.full((2, 3), np.nan), np.ones((2, 3)))


def test_few_errors_are_served_by_coarser_cells_and_new_groups_by_all():
    actual, forecast, groups = days(2000, 9)
    groups = groups.astype(object)
    groups[:3] = "rare"  # 42 errors: too few for its own ranges of horizons
    model = ConformalIntervals().fit(actual, forecast, groups=groups)
    rare = model.groups_.index("rare")
    assert (model.quantiles_[rare] == model.quantiles_[rare, 0, 0]).all()
    again, plain = np.full((1, 14), 5.0), np.full((1, 14), 5.0)
    new = model.interval(again, groups=["never seen"])
    every = model.interval(plain, groups=[""])
    np.testing.assert_array_equal(new[80], every[80])


def test_stored_and_read_back_the_same():
    actual, forecast, groups = days(300, 10)
    model = ConformalIntervals().fit(actual, forecast, groups=groups)
    stored = skops.io.dumps(model)
    types = skops.io.get_untrusted_types(data=stored)
    assert types == ["models.forecasting.conformal.ConformalIntervals"]
    again = skops.io.loads(stored, trusted=types)
    np.testing.assert_array_equal(
        again.interval(forecast, groups=groups)[95], model.interval(forecast, groups=groups)[95]
    )


@pytest.mark.parametrize(
    ("parameter", "value"), [("nominal", (80, 100)), ("first_horizons", (4, 2)), ("sizes", 0)]
)
def test_bad_parameter_is_named(parameter, value):
    with pytest.raises(ValueError, match=f"{parameter} "):
        ConformalIntervals(**{parameter: value}).fit(np.ones((2, 2)), np.ones((2, 2)))


def test_a_group_without_a_judged_day_is_served_by_all_groups() -> None:
    rng = np.random.default_rng(5)
    forecast = rng.uniform(5, 50, (200, 7))
    actual = forecast * rng.lognormal(0, 0.2, forecast.shape)
    actual[150:] = np.nan
    groups = np.where(np.arange(200) < 150, "known", "silent")
    fitted = ConformalIntervals((80,)).fit(actual, forecast, groups=groups)
    assert fitted.groups_ == ["", "known"]
    silent = fitted.interval(forecast[:3], groups=["silent"] * 3)[80]
    unseen = fitted.interval(forecast[:3], groups=["never seen"] * 3)[80]
    np.testing.assert_array_equal(silent, unseen)
