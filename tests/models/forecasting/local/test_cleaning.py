"""Stock-outs are lower bounds, closures are gaps, promotions are taken out and put back."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import poisson

from models.forecasting.local.cleaning import (
    ELASTICITY,
    MOST_ELASTICITY,
    Cleaned,
    _mean_given_at_least,
    clean,
)

Floats = NDArray[np.float64]


def simulated(
    regime: str, n: int = 60, length: int = 280
) -> tuple[Floats, Floats, NDArray[np.bool_], NDArray[np.intp]]:
    """Demand, sales, stock-outs and weekdays of a shop that runs out in one way or another."""
    rng = np.random.default_rng(4)
    weekday = np.arange(length) % 7
    mean = np.exp(rng.normal(1.2, 0.8, (n, 1))) * np.exp(rng.normal(0, 0.25, (n, 7)))[:, weekday]
    demand = rng.poisson(mean).astype(np.float64)
    plenty = np.full_like(demand, np.inf)
    stock = {
        "now and then": np.where(rng.random(demand.shape) < 0.06, rng.poisson(0.7 * mean), plenty),
        "every third day": np.where(rng.random(demand.shape) < 0.35, rng.poisson(0.9 * mean), plenty),
        "for days on end": np.where(np.repeat(rng.random((n, length // 7)) < 0.1, 7, axis=1), 0.0, plenty),
    }[regime]
    return demand, np.minimum(demand, stock), demand > stock, weekday


def cleaned(sold: Floats, censored: NDArray[np.bool_], weekday: NDArray[np.intp]) -> Cleaned:
    return clean(sold, censored, np.ones_like(censored), np.zeros_like(sold), weekday)


@pytest.mark.parametrize("regime", ["now and then", "every third day", "for days on end"])
def test_hidden_demand_is_found_again(regime: str) -> None:
    demand, sold, hidden, weekday = simulated(regime)
    result = cleaned(sold, hidden, weekday)
    lost = (demand - sold).sum()
    found = (result.demand - sold).sum()
    assert 0.75 * lost < found < 1.1 * lost
    # Taking the larger of what was sold and of an average day finds less: those days were not average.
    dropped = cleaned(np.where(hidden, np.nan, sold), np.zeros_like(hidden), weekday)
    simple = np.where(hidden, np.maximum(sold, dropped.expected), sold)
    assert abs(found - lost) < abs((simple - sold).sum() - lost)


def test_the_level_is_that_of_demand_not_of_sales() -> None:
    demand, sold, hidden, weekday = simulated("every third day")
    truth = cleaned(demand, np.zeros_like(hidden), weekday).expected.sum()
    result = cleaned(sold, hidden, weekday).expected.sum()
    as_sold = cleaned(sold, np.zeros_like(hidden), weekday).expected.sum()
    dropped = cleaned(np.where(hidden, np.nan, sold), np.zeros_like(hidden), weekday).expected.sum()
    assert abs(result / truth - 1) < 0.03
    assert as_sold / truth < 0.93
    assert dropped / truth < 0.95


def test_days_without_stock_out_stay_and_those_with_one_never_fall() -> None:
    _, sold, hidden, weekday = simulated("every third day")
    result = cleaned(sold, hidden, weekday)
    np.testing.assert_array_equal(result.demand[~hidden], sold[~hidden])
    assert (result.demand[hidden] >= sold[hidden]).all()
    assert np.isfinite(result.demand).all()


@pytest.mark.parametrize("mean", [0.3, 2.0, 9.5])
@pytest.mark.parametrize("least", [0, 1, 2, 7, 30])
def test_mean_of_a_truncated_poisson_against_its_sum(mean: float, least: int) -> None:
    counts = np.arange(least, least + 400)
    weights = poisson.pmf(counts, mean)
    expected = (counts * weights).sum() / weights.sum()
    found = _mean_given_at_least(
        np.array([[float(least)]]), np.array([[mean]]), np.ones((1, 1)), np.ones((1, 1), dtype=bool)
    )
    # Where the tail is next to nothing, the bound itself is taken.
    assert found[0, 0] == pytest.approx(expected, rel=1e-6 if poisson.sf(least - 1, mean) > 1e-12 else 0.05)


def test_closed_and_unreported_days_are_gaps_and_leave_the_week_alone() -> None:
    rng = np.random.default_rng(2)
    weekday = np.arange(210) % 7
    sold = rng.poisson(10 * np.array([1, 1, 1, 1, 1, 2, 0.5])[weekday], (1, 210)).astype(float)
    opened = np.ones((1, 210), dtype=bool)
    opened[0, [5, 12, 19, 110]] = False  # three Saturdays and another day
    shut = np.where(opened, sold, 0.0)
    shut[0, 40] = np.nan
    result = clean(shut, np.zeros_like(opened), opened, np.zeros_like(sold), weekday)
    assert np.flatnonzero(np.isnan(result.demand[0])).tolist() == [5, 12, 19, 40, 110]
    untouched = cleaned(sold, np.zeros_like(opened), weekday)
    np.testing.assert_allclose(result.week, untouched.week, rtol=0.03)
    assert np.isfinite(result.filled).all()
    assert result.filled[0, 5] == pytest.approx(20, rel=0.25)
    # What is sold on a day marked closed was sold.
    shut[0, 5] = 4
    assert clean(shut, np.zeros_like(opened), opened, np.zeros_like(sold), weekday).demand[0, 5] == 4


def test_the_effect_of_promotions_is_found_and_taken_out() -> None:
    rng = np.random.default_rng(3)
    weekday = np.arange(350) % 7
    promo = np.zeros((40, 350))
    for start in range(20, 340, 50):
        promo[:, start : start + 7] = rng.choice([0.1, 0.3])
    sold = rng.poisson(8 * np.exp(2.5 * promo)).astype(float)
    result = clean(sold, np.zeros(sold.shape, bool), np.ones(sold.shape, bool), promo, weekday)
    assert result.elasticity.mean() == pytest.approx(2.5, abs=0.2)
    assert result.base[promo > 0].mean() == pytest.approx(8, rel=0.1)
    np.testing.assert_allclose(result.lifted(result.base, promo, slice(None)), result.demand)
    without = clean(sold, np.zeros(sold.shape, bool), np.ones(sold.shape, bool), 0 * promo, weekday)
    assert (without.elasticity == ELASTICITY).all(), "what is known of articles never on offer"
    np.testing.assert_array_equal(without.base, without.demand)


def test_a_single_promotion_day_moves_the_effect_little() -> None:
    weekday = np.arange(100) % 7
    promo = np.zeros((1, 100))
    promo[0, 50] = 0.2
    sold = np.full((1, 100), 5.0)
    sold[0, 50] = 50
    result = clean(sold, np.zeros(sold.shape, bool), np.ones(sold.shape, bool), promo, weekday)
    assert 1 < np.exp(0.2 * result.elasticity[0]) < 5


def test_a_launch_on_offer_from_the_start_tells_little_of_the_effect() -> None:
    weekday = np.arange(60) % 7
    promo = np.full((2, 60), 0.2)
    promo[:, -3:] = 0
    sold = np.full((2, 60), 5.0)
    sold[0, -3:] = 0
    result = clean(sold, np.zeros(sold.shape, bool), np.ones(sold.shape, bool), promo, weekday)
    assert (result.elasticity >= 0).all()
    assert (result.elasticity <= MOST_ELASTICITY).all()
    # Nothing was sold on the plain days of the first: the ratio of the two alone would give 28.
    assert ELASTICITY <= result.elasticity[0] < 0.5 * (ELASTICITY + MOST_ELASTICITY)


def test_series_do_not_depend_on_one_another() -> None:
    _, sold, hidden, weekday = simulated("every third day", n=5)
    together = cleaned(sold, hidden, weekday)
    for row in range(5):
        alone = cleaned(sold[[row]], hidden[[row]], weekday)
        np.testing.assert_array_equal(alone.demand[0], together.demand[row])
        np.testing.assert_array_equal(alone.expected[0], together.expected[row])


def test_series_with_nothing_to_learn_from_give_numbers() -> None:
    weekday = np.arange(30) % 7
    sold = np.zeros((3, 30))
    sold[0] = np.nan
    censored = np.zeros((3, 30), dtype=bool)
    censored[2] = True
    sold[2] = 4
    result = cleaned(sold, censored, weekday)
    assert np.isnan(result.demand[0]).all()
    assert (result.filled[0] == 0).all()
    assert (result.demand[1] == 0).all()
    assert (result.demand[2] >= 4).all()
    assert np.isfinite(result.demand[2]).all()
