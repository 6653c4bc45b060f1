"""Seasons: what a series and its groups sold on the same days one and two years before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.groups import Group
from features.known import Known
from features.levels import Floats, Levels, expected_on, shrunk_ratio

#: Whole weeks, so that a weekday meets its like.
YEARS = {1: 364, 2: 728}

#: Days around the target whose sales one year before are compared, by name: first, last.
SPANS = {"day": (0, 0), "week": (-3, 3), "month": (-10, 10)}

#: Days before the origin, one year earlier, that the target's days are compared with.
REFERENCE_DAYS = 28

#: Recent days of a group's trend.
GROUP_TREND_DAYS = (7, 28, 91)


#: Days that a span reaches beyond its target.
_MARGIN = max(last for _, last in SPANS.values())


@dataclass(frozen=True)
class Windows:
    """Sold and expected units of n series, (n, days) each.

    Attributes
    ----------
    years : dict of int to pair
        Around the target days, so many years before; from 28 days before the origin's day on. Years
        that the history does not reach are absent.
    recent : pair
        The days before the origin.
    horizon : int
        Days to forecast, H.
    """

    years: dict[int, tuple[Floats, Floats]]
    recent: tuple[Floats, Floats]
    horizon: int


@dataclass(frozen=True)
class Season:
    """Ratios of sales to expected sales of n units (series or groups).

    Attributes
    ----------
    ahead : dict of str to ndarray of float32, shape (units, H)
        Logs of how much more was sold on the days ahead than before the origin, years before; NaN where
        nothing is known.
    now : dict of str to ndarray of float32, shape (units,)
        Logs of recent trends.
    """

    ahead: dict[str, Floats]
    now: dict[str, Floats]


def windows_of(known: Known, levels: Levels) -> Windows:
    """Sold and expected units of all series around the days from which seasons are estimated."""

    def window(back: int, days: int) -> tuple[Floats, Floats]:
        """The ``days`` days that end ``back`` days before the origin, (n, days) each."""
        stop = known.n_history - back
        demand = known.demand[:, stop - days : stop]
        seen = np.isfinite(demand)
        promoted = known.promo[:, : known.n_history] > 0
        return np.where(seen, demand, np.float32(0)), expected_on(levels.profile, promoted, seen, back)

    after = known.horizon + _MARGIN
    return Windows(
        years={
            years: window(lag - after, REFERENCE_DAYS + after)
            for years, lag in YEARS.items()
            if known.n_history >= lag + REFERENCE_DAYS
        },
        recent=window(0, min(max(GROUP_TREND_DAYS), known.n_history)),
        horizon=known.horizon,
    )


def season_of(windows: Windows, group: Group | None = None) -> Season:
    """Season of each series, or of each group of series."""
    step = REFERENCE_DAYS + np.arange(windows.horizon)  # the windows begin so many days before the origin
    before = np.array([0]), np.array([REFERENCE_DAYS])
    ahead: dict[str, Floats] = {}
    for years in YEARS:
        pair = windows.years.get(years)
        if pair is None:  # not lived; the columns are there all the same
            units = len(windows.recent[0]) if group is None else group.size
            unknown = np.full((units, windows.horizon), np.nan, dtype=np.float32)
            ahead |= {f"{name}_{years}y": unknown for name in SPANS}
            continue
        sold, expected = _sums(pair, group)
        reference = _ratio(sold, expected, *before)
        for name, (first, last) in SPANS.items():
            ratio = _ratio(sold, expected, step + first, step + last + 1)
            ahead[f"{name}_{years}y"] = np.log(ratio / reference)
    if group is None:
        return Season(ahead, {})
    sold, expected = _sums(windows.recent, group)
    days = np.array([sold.shape[1] - 1])
    now = {
        f"trend_{recent}": np.log(_ratio(sold, expected, np.maximum(days - recent, 0), days))[:, 0]
        for recent in GROUP_TREND_DAYS
    }
    return Season(ahead, now)


def _sums(pair: tuple[Floats, Floats], group: Group | None) -> tuple[Floats, Floats]:
    """Running sums by unit."""
    sold, expected = pair if group is None else (group.sum(pair[0]), group.sum(pair[1]))
    return _running(sold), _running(expected)


def _running(values: Floats) -> Floats:
    out = np.zeros((len(values), values.shape[1] + 1), dtype=np.float64)
    np.cumsum(values, axis=1, out=out[:, 1:])
    return out


def _ratio(sold: Floats, expected: Floats, start: NDArray[np.intp], stop: NDArray[np.intp]) -> Floats:
    return shrunk_ratio(sold[:, stop] - sold[:, start], expected[:, stop] - expected[:, start])
