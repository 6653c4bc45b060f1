"""What the calendar and the weather do to the categories, by region."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from pipelines.lab.simulation.days import to_day
from pipelines.lab.simulation.demand.categories import CATEGORIES
from pipelines.lab.simulation.demand.holidays import easter_sunday, public_holidays, school_holidays
from pipelines.lab.simulation.demand.regions import Region
from pipelines.lab.simulation.demand.span import Singles, Span
from pipelines.lab.simulation.demand.weather import Weather

#: Days around a public holiday and their effect: people shop ahead and not on the day itself.
_AROUND = {-2: 0.05, -1: 0.13, 0: -0.28, 1: -0.06}


@dataclass(frozen=True)
class Season:
    """Calendar of ``R`` regions.

    Attributes
    ----------
    public, school
        Public and school holidays, shape ``(R, T)``.
    effect
        Addition to the log demand of each category, shape ``(R, categories, T)``.
    """

    public: NDArray[np.bool_]
    school: NDArray[np.bool_]
    effect: Singles


def season_of(regions: tuple[Region, ...], span: Span, weather: Weather) -> Season:
    """Calendar effects of the regions."""
    public = np.zeros((len(regions), len(span)), dtype=bool)
    school = np.zeros_like(public)
    for row, region in enumerate(regions):
        for year in (span.years[0] - 1, *span.years):
            for holiday in public_holidays(year, region):
                _mark(public[row], span, holiday.first, holiday.last)
            for holiday in school_holidays(year, region.zone):
                _mark(school[row], span, holiday.first, holiday.last)

    around = np.zeros(public.shape, dtype=np.float32)
    for lag, height in _AROUND.items():
        shifted = np.zeros_like(public)
        shifted[:, max(lag, 0) : len(span) + min(lag, 0)] = public[:, max(-lag, 0) : len(span) - max(lag, 0)]
        around += np.float32(height) * shifted

    def column(name: str) -> Singles:
        return np.array([getattr(c, name) for c in CATEGORIES], dtype=np.float32)[:, None]

    years = (span.years[0] - 1, *span.years)
    christmas = _rise(span, [date(year, 12, 24) for year in years], 7.0)
    christmas += 0.5 * _rise(span, [date(year, 12, 31) for year in years], 2.5)
    easter = _rise(span, [easter_sunday(year) for year in years], 5.0)
    shared = (
        column("summer") * span.wave(date(2023, 7, 15))
        + column("christmas") * christmas
        + column("easter") * easter
    )
    heat = np.clip((weather.high_c - weather.usual_c) / 5, -2.5, 2.5)
    rain = np.minimum(weather.rain_mm, 20) / 10
    effect = (
        shared[None]
        + column("heat") * heat[:, None]
        + column("rain") * rain[:, None]
        + (0.4 + 0.6 * column("weekly")) * around[:, None]
    )
    return Season(public, school, effect.astype(np.float32))


def _mark(row: NDArray[np.bool_], span: Span, first: date, last: date) -> None:
    begin = to_day(first) - span.begin
    row[max(begin, 0) : max(to_day(last) + 1 - span.begin, 0)] = True


def _rise(span: Span, feasts: list[date], width: float) -> Singles:
    """Rise to 1 in the days before a feast, and a small dip in the ten days after it."""
    left = np.array([to_day(feast) for feast in feasts])[:, None] - span.days
    rise = np.where(left >= 0, np.exp(-((np.maximum(left, 0) / width) ** 1.5)), 0.0)
    dip = np.where((left < 0) & (left >= -10), -0.15, 0.0)
    return np.asarray((rise + dip).sum(axis=0), dtype=np.float32)
