"""The year's peaks by date and by feast: what a group sold last year on the day that corresponds to a day ahead.

Weeks before Christmas correspond by date, days around Easter by their distance to it, which moves by up to five weeks.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.groups import Group
from features.known import DAY, Known
from features.levels import Floats, Levels, expected_on, shrunk_ratio
from features.seasons import running_sums

#: Days before and after Easter that correspond by their distance to it: from Lent to the week after.
EASTER_DAYS = (-16, 10)

#: Days around the corresponding one whose sales are summed.
SPAN = 1

#: Days before the origin with whose corresponding ones last year's days are compared.
REFERENCE_DAYS = 28


def corresponding_days(days: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """Day of the year before that corresponds to each day."""
    found = [_year_before(day) for day in days.astype("datetime64[D]").tolist()]
    return np.array(found, dtype="datetime64[D]")


def _year_before(day: date) -> date:
    if _around_easter(day):
        return _easter(day.year - 1) + (day - _easter(day.year))
    before = date(day.year - 1, day.month, 28 if (day.month, day.day) == (2, 29) else day.day)
    week = timedelta(weeks=1 if before > _easter(before.year) else -1)
    while _around_easter(before):  # last year's feast is no reason to expect one on that date
        before += week
    return before


def _around_easter(day: date) -> bool:
    return EASTER_DAYS[0] <= (day - _easter(day.year)).days <= EASTER_DAYS[1]


@cache
def _easter(year: int) -> date:
    return (pd.Timestamp(year, 1, 1) + pd.offsets.Easter()).date()


def feast_ratio(known: Known, levels: Levels, group: Group) -> Floats:
    """Logs of how much more each group sold last year on the days that correspond to those ahead, (size, H).

    More than on the days that correspond to the four weeks before the origin, on which the recent level of a series
    rests; NaN where last year is not known.
    """
    steps = np.arange(-REFERENCE_DAYS, known.horizon)
    days = known.origin + steps * DAY
    at = known.n_history + steps - ((days - corresponding_days(days)) / DAY).astype(np.intp) - SPAN
    first = int(at.min())
    if first < 0:
        return np.full((group.size, known.horizon), np.nan, dtype=np.float32)
    demand = known.demand[:, first:]
    seen = np.isfinite(demand)
    promoted = known.promo[:, : known.n_history] > 0
    sums = (
        group.sum(np.where(seen, demand, np.float32(0))),
        group.sum(expected_on(levels.profile, promoted, seen, 0)),
    )
    # Around each corresponding day, then over those of the reference.
    around = [running_sums(values) for values in sums]
    sold, expected = (total[:, at - first + 2 * SPAN + 1] - total[:, at - first] for total in around)
    reference = shrunk_ratio(
        *(part[:, :REFERENCE_DAYS].sum(axis=1, keepdims=True) for part in (sold, expected))
    )
    return np.log(shrunk_ratio(sold[:, REFERENCE_DAYS:], expected[:, REFERENCE_DAYS:]) / reference)
