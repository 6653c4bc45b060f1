"""Months and the seasons of business."""

from __future__ import annotations

import numpy as np

from pipelines.lab.simulation.days import Floats, Ints, to_date

#: A day after every simulation: "not planned".
NEVER = 10_000_000

#: Relative use by day of the week, Monday first.
WEEKDAY = np.array([1.05, 1.10, 1.08, 1.05, 0.85, 0.10, 0.07])

COUNTRIES = ("FR", "DE", "GB", "ES", "IT", "NL", "BE", "PL", "SE", "US")
COUNTRY_SHARE = np.array([0.26, 0.19, 0.14, 0.09, 0.08, 0.07, 0.05, 0.04, 0.03, 0.05])
#: Share of normal use that remains in the middle of August.
AUGUST = np.array([0.68, 0.84, 0.87, 0.66, 0.60, 0.84, 0.78, 0.87, 0.85, 0.95])


def monday_of(day: int) -> int:
    """Monday on or before a day (1970-01-01 was a Thursday)."""
    return day - (day + 3) % 7


def add_months(days: Ints, months: Ints | int) -> Ints:
    """Same day of the month, ``months`` later; days of the month must be at most 28."""
    stamp = days.astype("datetime64[D]")
    month = stamp.astype("datetime64[M]")
    offset = stamp - month.astype("datetime64[D]")
    moved: Ints = ((month + np.asarray(months)).astype("datetime64[D]") + offset).astype(np.int64)
    return moved


def clip_to_28(days: Ints) -> Ints:
    """Move the 29th to 31st of a month to its 28th, a day that every month has."""
    stamp = days.astype("datetime64[D]")
    day_of_month = (stamp - stamp.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64) + 1
    clipped: Ints = days - np.maximum(day_of_month - 28, 0)
    return clipped


def month_starts(first: int, last: int) -> list[int]:
    """First days of months in ``[first, last]``."""
    low, high = (np.datetime64(to_date(day), "M") for day in (first, last))
    starts = np.arange(low, high + 1).astype("datetime64[D]").astype(np.int64)
    return [int(day) for day in starts if first <= day <= last]


def season(days: Ints) -> Floats:
    """Use relative to a normal day, by country.

    Parameters
    ----------
    days
        Shape ``(n,)``.

    Returns
    -------
    Floats
        Shape ``(len(COUNTRIES), n)``: weekday x August x year end.
    """
    stamp = days.astype("datetime64[D]")
    year_day = (stamp - stamp.astype("datetime64[Y]")).astype(np.int64)
    # Smooth bell around 13 August (day 224), plateau-like over three weeks.
    august = np.exp(-(((year_day - 224) / 14.0) ** 4))
    # Days to the nearest new year; offices are empty between Christmas and 2 January.
    to_new_year = np.minimum(year_day + 1, 366 - year_day)
    year_end = 1.0 - 0.60 * np.exp(-((to_new_year / 7.0) ** 4))
    week = WEEKDAY[(days + 3) % 7]
    summer = 1.0 - np.outer(1.0 - AUGUST, august)
    shape: Floats = summer * (year_end * week)[None, :]
    return shape


def year_end_pressure(days: Ints) -> Floats:
    """Factor on the odds to refuse a renewal that falls due on a day: budgets are cut at year end."""
    month = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12
    factor: Floats = np.where((month == 11) | (month == 0), 1.3, 1.0)
    return factor
