"""Target days: calendar against pandas, runs of days against loops, promotions and prices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from features.ahead import MOST_DAYS, calendar_columns, days_since, promo_columns
from features.known import known_at

ORIGIN = np.datetime64("2025-04-01")


@pytest.fixture(scope="module")
def known(chain):
    return known_at(chain, ORIGIN, 14)


@pytest.fixture(scope="module")
def cells():
    row, step = np.indices((12, 14), dtype=np.intp)
    return row.ravel(), step.ravel()


def test_days_since_as_a_loop():
    mask = np.random.default_rng(0).random((20, 90)) < 0.08
    found = days_since(mask)
    for row in range(20):
        for day in range(90):
            before = np.flatnonzero(mask[row, :day])
            expected = min(day - before[-1], MOST_DAYS) if len(before) else MOST_DAYS
            assert found[row, day] == expected


def test_calendar_as_pandas_knows_it(known, cells):
    found = calendar_columns(known, *cells)
    day = pd.DatetimeIndex(ORIGIN + cells[1] * np.timedelta64(1, "D"))
    np.testing.assert_array_equal(found["weekday"], day.dayofweek)
    np.testing.assert_array_equal(found["day_of_month"], day.day)
    np.testing.assert_array_equal(found["days_left_in_month"], day.days_in_month - day.day)
    np.testing.assert_array_equal(found["day_of_year"], day.dayofyear)
    recent = known.calendar["temperature_c"][:, known.n_history - 28 : known.n_history].mean(axis=1)
    store = known.store[cells[0]]
    today = known.calendar["temperature_c"][store, known.n_history + cells[1]]
    np.testing.assert_allclose(found["warmer"], today - recent[store], atol=1e-4)


def test_openings_around_a_day(known, cells):
    found = calendar_columns(known, *cells)
    for position in range(0, len(cells[0]), 5):
        store, day = known.store[cells[0][position]], known.n_history + cells[1][position]
        closed = np.flatnonzero(~known.open[store])
        before, after = closed[closed < day], closed[closed > day]
        since = day - before[-1] if len(before) else 60
        assert found["since_closed"][position] == min(since, 60)
        assert found["until_closed"][position] == (min(after[0] - day, 60) if len(after) else 60)
        assert found["closed_7_before"][position] == (before >= day - 7).sum()
        assert found["closed_7_after"][position] == (after <= day + 7).sum()


def test_given_distance_to_holidays_replaces_the_own(known, cells):
    assert "until_holiday" in calendar_columns(known, *cells)
    more = replace(known, calendar={**known.calendar, "days_to_holiday": known.calendar["temperature_c"]})
    found = calendar_columns(more, *cells)
    assert "until_holiday" not in found
    assert "days_to_holiday" in found


def test_promotions_read_off_the_discounts(known, cells):
    found = promo_columns(known, *cells)
    for position in range(len(cells[0])):
        row, day = cells[0][position], known.n_history + cells[1][position]
        on = known.promo[row] > 0
        assert found["promo_discount"][position] == known.promo[row, day]
        assert found["promo_14_before"][position] == on[day - 14 : day].sum()
        assert found["promo_7_after"][position] == on[day + 1 : day + 8].sum()
        run = 0
        while on[day - run]:
            run += 1
        assert found["promo_day"][position] == min(run, MOST_DAYS)
        depth = known.promo[row, known.n_history - 364 : known.n_history]
        usual = depth[depth > 0].mean()
        assert found["deeper"][position] == pytest.approx(known.promo[row, day] - usual, abs=1e-5)


def test_facts_of_the_source_of_promotions_are_taken_as_they_are(known, cells):
    ahead = {name: np.full((12, 14), k, dtype=float) for k, name in enumerate(
        ("promo_day", "promo_days_left", "days_since_promo", "category_promos"))}  # fmt: skip
    found = promo_columns(known, *cells, ahead)
    for name, values in ahead.items():
        assert (found[name] == values[0, 0]).all()


def test_price_is_compared_with_the_usual_one(known, cells):
    raised = known.price.copy()
    raised[:, known.n_history :] = (
        known.price[:, known.n_history - 91 : known.n_history].mean(axis=1)[:, None] * 1.2
    )
    found = promo_columns(replace(known, price=raised), *cells)
    np.testing.assert_allclose(found["price_change"], np.log(1.2), atol=1e-5)
    unknown = promo_columns(replace(known, price=np.full_like(raised, np.nan)), *cells)
    assert np.isnan(unknown["price"]).all()
    assert np.isnan(unknown["price_change"]).all()
