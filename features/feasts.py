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
from features.levels import LEVEL_DAYS, Floats, Levels, shrunk_ratio, usual_on
from features.weather import Weather

#: Days before and after Easter that correspond by their distance to it: from Lent to the week after.
EASTER_DAYS = (-16, 10)

#: Years back that are looked at.
YEARS = 2


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


def feast_ratio(known: Known, levels: Levels, group: Group, weather: Weather) -> Floats:
    """Logs of how much more each group sold in past years on the days that correspond to those ahead, (size, H).

    More than on the days that correspond to the four weeks before the origin, on which the recent level of a series
    rests, and but for the weather of those days. The mean of the years that are known; NaN where none is.
    """
    days = known.origin + np.arange(-LEVEL_DAYS, known.horizon) * DAY
    found = []
    for _ in range(YEARS):
        days = corresponding_days(days)
        at = known.n_history + ((days - known.origin) / DAY).astype(np.intp)
        if at.min() < 0:
            break
        found.append(_ratios(known, levels, group, weather, at))
    if not found:
        return np.full((group.size, known.horizon), np.nan, dtype=np.float32)
    return np.asarray(np.mean(found, axis=0), dtype=np.float32)


def _ratios(known: Known, levels: Levels, group: Group, weather: Weather, at: NDArray[np.intp]) -> Floats:
    """Logs of the ratios of one year, whose days are ``at`` in the history, the first ones for reference."""
    demand = known.demand[:, at]
    seen = np.isfinite(demand)
    slot = (at - known.n_history) % 7
    promoted = known.promo[:, at] > 0
    usual = usual_on(levels.profile, promoted, slot)
    sold = group.sum(np.where(seen, demand, np.float32(0)))
    expected = group.sum(np.where(seen, usual * np.exp(weather.effect(at)), np.float32(0)))
    reference = shrunk_ratio(
        sold[:, :LEVEL_DAYS].sum(axis=1, keepdims=True),
        expected[:, :LEVEL_DAYS].sum(axis=1, keepdims=True),
    )
    ratio = np.log(shrunk_ratio(sold[:, LEVEL_DAYS:], expected[:, LEVEL_DAYS:]) / reference)
    return _filled(ratio)


def _filled(values: Floats) -> Floats:
    """Days on which the group was not on sale take the nearest ones' mean; NaN if there is none."""
    known = np.isfinite(values)
    weight = np.exp(-np.abs(np.subtract.outer(np.arange(values.shape[1]), np.arange(values.shape[1]))))
    near = np.where(known, values, 0) @ weight
    total = known @ weight
    mean = np.divide(near, total, out=np.full_like(near, np.nan), where=total > 0)
    return np.asarray(np.where(known, values, mean), dtype=np.float32)
