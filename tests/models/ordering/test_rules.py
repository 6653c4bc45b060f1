"""Rules of categories: calendar, what they mean for series, faults; and the plan of a morning that follows."""

from __future__ import annotations

import numpy as np
import pytest

from models.ordering.plan import plan, sum_until
from models.ordering.rules import Rules

ROW = {
    "category": "*", "order_days": "mon thu", "lead_days": "2", "pack_units": "6", "min_packs": "1",
    "shelf_units": "", "shelf_life_days": "", "margin": "0.3", "lost_sale": "0.2", "salvage": "0.1",
    "holding_per_day": "0.01", "service_level": "",
}  # fmt: skip
FRESH = ROW | {
    "category": "bread",
    "order_days": "mon tue wed thu fri sat",
    "lead_days": "1",
    "shelf_life_days": "2",
}
FIXED = ROW | {"category": "wine", "service_level": "0.9", "shelf_units": "20"}


def rules() -> Rules:
    return Rules([ROW, FRESH, FIXED])


def test_the_calendar_says_when_the_next_order_is_made():
    found = rules().of(["bread", "pasta"])
    assert [found.ordering(day).tolist() for day in (0, 1, 6)] == [
        [True, True],
        [True, False],
        [False, False],
    ]
    assert [found.review(day).tolist() for day in range(7)] == [
        [1, 3], [1, 2], [1, 1], [1, 4], [1, 3], [2, 2], [1, 1]
    ]  # fmt: skip
    assert found.take(np.array([1])).lead.tolist() == [2]


def test_terms_follow_from_price_and_shares():
    terms = rules().of(["bread", "wine"]).terms(np.array([2.0, 10.0]), 0)
    assert terms.short.tolist() == [1.0, 5.0]
    assert terms.waste == pytest.approx([1.2, 6.0])
    assert terms.holding == pytest.approx([0.02, 0.1])
    assert terms.lives.keeps.tolist() == [False, True]
    assert terms.service[1] == 0.9
    assert np.isnan(terms.service[0])
    assert terms.shelf.tolist() == [np.inf, 20.0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"order_days": ""}, r"order_days of '\*' must be some of mon"),
        ({"lead_days": "0"}, "lead_days .* must be at least 1"),
        ({"margin": "x"}, "margin .* must be a number, got 'x'"),
        ({"service_level": "1"}, "must be shares below 1"),
        ({"holding_per_day": "0"}, "must lose something"),
    ],
)
def test_rows_that_make_no_sense_are_named(change, words):
    with pytest.raises(ValueError, match=words):
        Rules([ROW | change])


def test_a_plan_covers_the_days_until_the_delivery_after_the_next():
    own = rules().of(["pasta", "bread", "wine"])
    daily = np.tile(np.array([5.0, 1, 1, 1, 1, 2, 0]), (3, 1))
    # Certain demand: all scenarios are the forecast.
    found = plan(
        own.terms(np.full(3, 2.0), 0),
        own.lives.stock(np.array([3.0, 9.0, 0.0])),
        np.zeros((3, 2)),
        daily,
        lambda days: np.repeat(sum_until(daily, days)[:, None], 50, axis=1),
    )
    assert found.cover.tolist() == [5, 2, 5]
    assert found.expected.tolist() == [9, 6, 9]
    # Of nine loaves on their first day five are sold today and one tomorrow; three expire.
    assert found.expiring.tolist() == [0, 3, 0]
    assert found.orders.target == pytest.approx([9, 6, 9], abs=1e-3)
    assert found.orders.packs.tolist() == [1, 0, 2]
    assert found.orders.service.tolist() == [1, 1, 1]


def test_days_beyond_the_forecast_are_as_those_before():
    daily = np.array([[1.0, 2, 3], [1.0, 2, 3], [1.0, 2, 3]])
    assert sum_until(daily, np.array([0, 2, 6])).tolist() == [0, 3, 12]
