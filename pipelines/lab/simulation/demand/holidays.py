"""Public and school holidays of France, by rule.

The rules for school holidays reproduce the official calendars of 2022/23 to 2025/26, in which the
zones take turns in going first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from pipelines.lab.simulation.demand.regions import Region

_SATURDAY, _SUNDAY = 5, 6
#: Order in which the zones have their winter and spring holidays, from 2023 on.
_TURNS = ("ABC", "CAB", "BCA")


@dataclass(frozen=True)
class Holiday:
    """A public holiday or school holidays; ``last`` is included."""

    name: str
    first: date
    last: date


def easter_sunday(year: int) -> date:
    """Easter by the Gregorian rule (anonymous algorithm; Meeus, *Astronomical Algorithms*, ch. 8)."""
    a, b, c = year % 19, year // 100, year % 100
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return date(year, month, day + 1)


def public_holidays(year: int, region: Region) -> Iterator[Holiday]:
    """Public holidays of a year in a region, unordered."""
    easter = easter_sunday(year)
    days = {
        "New Year": date(year, 1, 1),
        "Easter Monday": easter + timedelta(1),
        "Labour Day": date(year, 5, 1),
        "Victory Day": date(year, 5, 8),
        "Ascension": easter + timedelta(39),
        "Whit Monday": easter + timedelta(50),
        "Bastille Day": date(year, 7, 14),
        "Assumption": date(year, 8, 15),
        "All Saints": date(year, 11, 1),
        "Armistice": date(year, 11, 11),
        "Christmas": date(year, 12, 25),
    }
    if region.two_more_holidays:
        days |= {"Good Friday": easter - timedelta(2), "St Stephen": date(year, 12, 26)}
    for name, day in days.items():
        yield Holiday(name, day, day)


def school_holidays(year: int, zone: str) -> Iterator[Holiday]:
    """School holidays that begin in a year, in a zone."""
    turn = timedelta(weeks=_TURNS[(year - 2023) % 3].index(zone))
    two_weeks = timedelta(days=15)
    for name, first in (
        ("Winter holidays", _next(date(year, 2, 4), _SATURDAY) + turn),
        ("Spring holidays", _next(date(year, 4, 4), _SATURDAY) + turn),
        ("Autumn holidays", _next(date(year, 10, 17), _SATURDAY)),
        ("Christmas holidays", _next(date(year, 12, 17), _SATURDAY)),
    ):
        yield Holiday(name, first, first + two_weeks)
    last = _next(date(year, 8, 28), _SUNDAY)
    yield Holiday("Summer holidays", _next(date(year, 7, 4), _SATURDAY), last)


def _next(day: date, weekday: int) -> date:
    """First such day of the week on or after a day."""
    return day + timedelta((weekday - day.weekday()) % 7)
