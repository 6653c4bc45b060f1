"""Levels, profiles and trends: against loops over days, and what slow and young series fall back to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from features.groups import Group, groups_of
from features.known import known_at
from features.levels import FLOOR, LEAST_SHARE, PRIOR_DAYS, PRIOR_UNITS, expected_on, levels_at

ORIGIN = np.datetime64("2025-04-01")


@pytest.fixture(scope="module")
def known(chain):
    return known_at(chain, ORIGIN, 14)


@pytest.fixture(scope="module")
def levels(chain, known):
    groups = groups_of(chain.series)
    return levels_at(known, groups["category"], groups["shelf"])


def days_back(known, row: int, first: int, last: int) -> list[tuple[int, float, bool]]:
    """Known days of a series from ``first`` to ``last`` days before the origin: weekday slot, units, promo."""
    found = []
    for back in range(last, first + 1):
        column = known.n_history - back
        if np.isfinite(known.demand[row, column]):
            found.append((-back % 7, float(known.demand[row, column]), bool(known.promo[row, column] > 0)))
    return found


def test_plain_profiles_are_means_by_weekday_and_promotion(known, levels):
    for weeks in (6, 52):
        for row in (0, 3, 5):
            days = days_back(known, row, 7 * weeks, 1)
            for slot in range(7):
                for promo in (0, 1):
                    units = [u for s, u, p in days if s == slot and p == promo]
                    expected = np.mean(units) if units else np.nan
                    assert levels.profiles[weeks][row, slot, promo] == pytest.approx(
                        expected, rel=1e-4, nan_ok=True
                    )


def test_profile_weighs_the_half_year_twice_and_shrinks_to_the_category(chain, known, levels):
    category = groups_of(chain.series)["category"].code
    total, expected = np.zeros((2, 7, 2)), np.zeros((2, 7, 2))
    for row in range(12):
        for slot, units, promo in days_back(known, row, 364, 1):
            total[category[row], slot, int(promo)] += units
            expected[category[row], slot, int(promo)] += levels.mean[row]
    overall = total.sum(axis=0) / expected.sum(axis=0)
    factor = (total + PRIOR_UNITS * overall) / (expected + PRIOR_UNITS)
    for row in (0, 3, 5):
        mean = float(levels.mean[row])
        prior = PRIOR_DAYS + PRIOR_UNITS / mean
        for slot, promo in ((0, 0), (5, 1)):
            units, count = prior * mean * factor[category[row], slot, promo], prior
            for first, last, weight in ((182, 1, 1.5), (364, 183, 0.5)):
                same = [u for s, u, p in days_back(known, row, first, last) if s == slot and p == promo]
                units, count = units + weight * sum(same), count + weight * len(same)
            assert levels.profile[row, slot, promo] == pytest.approx(units / count, rel=1e-3)


def test_trend_is_recent_sales_over_what_the_profile_expects(known, levels):
    for row in (0, 3, 7):
        for window in (7, 28, 91):
            days = days_back(known, row, window, 1)
            expected = sum(levels.profile[row, slot, int(promo)] for slot, _, promo in days)
            added = 4.0 + LEAST_SHARE * expected
            ratio = (sum(units for _, units, _ in days) + added) / (expected + added)
            found = levels.columns[f"trend_{window}"][row] + levels.columns["recent"][row]
            assert found == pytest.approx(np.log(ratio), abs=1e-4)


def test_expected_days_of_the_past_follow_weekday_and_promotion(known, levels):
    seen = np.isfinite(known.demand)
    promoted = known.promo[:, : known.n_history] > 0
    found = expected_on(levels.profile, promoted, seen[:, -40:-10], back=10)
    for row in (0, 5):
        for column in range(30):
            back = 40 - column
            day = known.n_history - back
            value = levels.profile[row, -back % 7, int(promoted[row, day])] if seen[row, day] else 0.0
            assert found[row, column] == pytest.approx(value)


def test_young_series_start_at_the_level_of_their_shelf(chain, known):
    none = replace(known, demand=np.where(np.arange(12)[:, None] == 5, np.nan, known.demand).astype("f4"))
    groups = groups_of(chain.series)
    levels = levels_at(none, groups["category"], groups["shelf"])
    neighbour = np.nanmean(none.demand[4, -364:])
    assert levels.mean[5] == pytest.approx(neighbour, rel=1e-3)
    assert levels.columns["age_days"][5] == 0
    assert levels.recent[5] == 1


def test_gaps_and_ages(known, levels):
    row = 3  # slow
    units = known.demand[row]
    assert levels.columns["days_since_sale"][row] == known.n_history - np.flatnonzero(units > 0)[-1]
    year = units[-364:]
    assert levels.columns["zero_share_364"][row] == pytest.approx((year == 0).sum() / np.isfinite(year).sum())
    assert levels.columns["age_days"][5] == known.n_history - np.flatnonzero(np.isfinite(known.demand[5]))[0]
    assert levels.columns["stockout_share"][0] == pytest.approx(known.cut_short[0, -364:].mean())
    assert levels.columns["known_share_56"][0] == pytest.approx(np.isfinite(known.demand[0, -56:]).mean())


def test_promotion_uplift_is_found(known, levels):
    # Promotions of 10 % and 25 % raise the mean by 20 % and 50 %.
    fast = np.isin(np.arange(12), [3, 5], invert=True)
    assert np.exp(np.median(levels.columns["promo_uplift"][fast])) == pytest.approx(1.35, abs=0.1)


def test_series_without_any_sale_has_the_least_level(known):
    nothing = replace(known, demand=np.zeros_like(known.demand))
    every = Group(np.zeros(12, dtype=np.intp), 1)
    levels = levels_at(nothing, every, every)
    assert (levels.mean == np.float32(FLOOR)).all()
    assert np.isfinite(levels.profile).all()
    assert (levels.columns["days_since_sale"] == known.n_history).all()
