"""Days that correspond from one year to the next, and what was sold on them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from features.feasts import corresponding_days, feast_ratio
from features.groups import groups_of
from features.known import known_at
from features.levels import levels_at
from features.weather import weather_at


@pytest.mark.parametrize(
    ("day", "before"),
    [
        ("2025-12-24", "2024-12-24"),
        ("2024-02-29", "2023-02-28"),
        ("2025-04-20", "2024-03-31"),  # Easter Sunday
        ("2025-04-18", "2024-03-29"),  # Good Friday
        ("2025-04-30", "2024-04-10"),  # ten days after
        ("2025-05-01", "2024-05-01"),
        ("2025-03-31", "2024-03-10"),  # last year's Easter Sunday is no reason to expect one
        ("2025-03-25", "2024-03-11"),  # nor is the week before it
    ],
)
def test_days_correspond_by_date_and_around_easter_by_distance(day, before):
    assert corresponding_days(np.array([day], dtype="datetime64[D]")) == np.array(
        [before], dtype="datetime64[D]"
    )


def test_the_rise_before_a_moving_feast_is_found_on_its_days(chain):
    feasts = np.array(["2023-04-09", "2024-03-31", "2025-04-20"], dtype="datetime64[D]")
    left = (feasts[:, None] - chain.days) / np.timedelta64(1, "D")
    busy = ((left >= 1) & (left <= 7)).any(axis=0)
    y = np.broadcast_to(np.where(busy, 200, 100), (len(chain), len(chain.days)))[:, : chain.n_history].astype(
        "f4"
    )
    panel = replace(
        chain,
        y=y,
        promo=np.zeros_like(chain.promo),
        censored=np.zeros_like(chain.censored),
        calendar={},
        reported_on=None,
    )
    origin = np.datetime64("2025-04-08")
    known = known_at(panel, origin, 14)
    groups = groups_of(panel.series)
    levels = levels_at(known, groups["category"], groups["shelf"])
    weather = weather_at(known, levels, groups["category"])
    ratio = np.exp(feast_ratio(known, levels, groups["category"], weather))
    days = origin + np.arange(14)
    inside = (days >= np.datetime64("2025-04-14")) & (days <= np.datetime64("2025-04-18"))
    assert ratio[:, inside] == pytest.approx(2, rel=0.1)
    assert ratio[:, days <= np.datetime64("2025-04-11")] == pytest.approx(1, rel=0.1)


def test_without_last_year_nothing_is_known(chain):
    known = known_at(chain, np.datetime64("2025-04-01"), 14, history_days=380)
    groups = groups_of(chain.series)
    levels = levels_at(known, groups["category"], groups["shelf"])
    weather = weather_at(known, levels, groups["category"])
    assert np.isnan(feast_ratio(known, levels, groups["category"], weather)).all()
