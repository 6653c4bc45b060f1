"""What was known: closed and unreported days say nothing, stock-outs are lower bounds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from features.known import known_at

ORIGIN = np.datetime64("2025-04-01")


def test_closed_and_unreported_days_are_unknown(chain):
    known = known_at(chain, ORIGIN, 14)
    start = int((ORIGIN - chain.days[0]) / np.timedelta64(1, "D")) - known.n_history
    past = slice(start, start + known.n_history)
    is_open = chain.calendar["is_open"][chain.store][:, past] > 0
    reported = (chain.reported_on[:, past] <= ORIGIN)[chain.store]
    expected = is_open & reported & np.isfinite(chain.y[:, past])
    np.testing.assert_array_equal(np.isfinite(known.demand), expected)
    assert 0.02 < 1 - expected.mean() < 0.2
    plain = expected & ~chain.censored[:, past]
    np.testing.assert_array_equal(known.demand[plain], chain.y[:, past][plain])


def test_stock_outs_are_raised_to_the_weekday_before_and_never_lowered(chain):
    known = known_at(chain, ORIGIN, 14)
    start = int((ORIGIN - chain.days[0]) / np.timedelta64(1, "D")) - known.n_history
    y = chain.y[:, start : start + known.n_history]
    usable = np.isfinite(known.demand) & ~known.cut_short
    cells = np.argwhere(known.cut_short)
    assert len(cells) > 100
    for row, day in cells:
        before = [y[row, day - 7 * k] for k in range(1, 9) if day >= 7 * k and usable[row, day - 7 * k]]
        usual = np.mean(before) if before else 0.0
        assert known.demand[row, day] == pytest.approx(max(y[row, day], usual), rel=1e-5)
    raised = known.demand[known.cut_short] > y[known.cut_short]
    assert 0.2 < raised.mean() < 0.8


def test_facts_ahead_replace_those_of_the_panel(chain):
    given = known_at(
        chain,
        ORIGIN,
        3,
        ahead={"promo_discount": np.full((12, 3), 0.4)},
        calendar={"temperature_c": np.full((3, 3), 21.0)},
    )
    assert (given.promo[:, -3:] == np.float32(0.4)).all()
    assert (given.calendar["temperature_c"][:, -3:] == 21).all()
    own = known_at(chain, ORIGIN, 3)
    np.testing.assert_array_equal(given.promo[:, :-3], own.promo[:, :-3])
    np.testing.assert_array_equal(given.calendar["is_open"], own.calendar["is_open"])
    assert own.promo.shape == (12, own.n_history + 3)


def test_history_is_bounded(chain):
    assert known_at(chain, ORIGIN, 14, history_days=100).n_history == 100
    assert known_at(chain, chain.days[30], 14).n_history == 30


def test_panel_without_calendar_is_open_every_day(chain):
    bare = replace(chain, calendar={}, reported_on=None)
    known = known_at(bare, ORIGIN, 14)
    assert known.open.all()
    assert not known.holiday.any()
    assert known.open.shape == (3, known.n_history + 14)


def test_origins_without_history_or_horizon_are_refused(chain):
    for origin in (chain.days[0], chain.days[-1]):
        with pytest.raises(ValueError, match="origin must have history"):
            known_at(chain, origin, 14)
    with pytest.raises(ValueError, match="known for 21 days ahead"):
        known_at(chain, chain.days[chain.n_history], 21)
    with pytest.raises(ValueError, match=r"price ahead must have shape \(12, 3\), got \(12, 4\)"):
        known_at(chain, ORIGIN, 3, ahead={"price": np.ones((12, 4))})
