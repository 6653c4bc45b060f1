"""Snapshots are first Mondays whose labels are complete, judged day by day."""

from __future__ import annotations

import itertools
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from features.spine import first_monday, matured_mondays, monthly_snapshots, past_origins

DAYS = st.dates(date(2020, 3, 1), date(2030, 1, 1))


@given(DAYS, st.integers(1, 30), st.integers(1, 60))
def test_snapshots_are_exactly_the_newest_first_mondays_with_complete_labels(
    as_of: date, months: int, horizon: int
) -> None:
    complete = [
        day
        for day in (as_of - timedelta(days=n) for n in range(1, 1300))
        if day.weekday() == 0 and day.day <= 7 and day + timedelta(days=horizon) < as_of
    ]
    found = monthly_snapshots(as_of, months=months, horizon_days=horizon)
    assert found == sorted(complete[:months])


@given(DAYS, st.integers(1, 20), st.integers(1, 60))
def test_matured_mondays(as_of: date, weeks: int, horizon: int) -> None:
    days = (as_of - timedelta(days=n) for n in range(1, 300))
    complete = [day for day in days if day.weekday() == 0 and day + timedelta(days=horizon) < as_of]
    assert matured_mondays(as_of, weeks=weeks, horizon_days=horizon) == sorted(complete[:weeks])


def test_first_monday() -> None:
    assert first_monday(2026, 6) == date(2026, 6, 1)
    assert first_monday(2026, 2) == date(2026, 2, 2)
    assert first_monday(2026, 9) == date(2026, 9, 7)


@given(DAYS, st.integers(1, 60), st.integers(1, 14), st.integers(0, 45))
def test_past_origins_are_the_newest_whose_days_ahead_are_over(
    as_of: date, origins: int, spacing: int, horizon: int
) -> None:
    found = past_origins(as_of, origins=origins, spacing_days=spacing, horizon_days=horizon)
    assert len(found) == origins
    assert {(after - before).days for before, after in itertools.pairwise(found)} <= {spacing}
    assert found[-1] + timedelta(days=horizon) == as_of - timedelta(days=1)
