"""Where the year takes a series: the same days one and two years before, for it and its groups."""

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


def season_of(known: Known, levels: Levels, group: Group | None = None) -> Season:
    """Season of each series, or of each group of series."""
    seen = np.isfinite(known.demand)
    promoted = known.promo[:, : known.n_history] > 0

    def window(back: int, days: int) -> tuple[Floats, Floats]:
        """Running sums of sold and expected units, (units, days + 1) each."""
        stop = known.n_history - back
        expected = expected_on(levels.profile, promoted, seen, back, days)
        sold = np.where(seen, known.demand, np.float32(0))[:, stop - days : stop]
        if group is not None:
            sold, expected = group.sum(sold), group.sum(expected)
        return _running(sold), _running(expected)

    margin = max(-first for first, _ in SPANS.values())
    ahead: dict[str, Floats] = {}
    for years, lag in YEARS.items():
        before = max(REFERENCE_DAYS, margin)
        after = known.horizon + max(last for _, last in SPANS.values())
        if known.n_history < lag + before:
            continue
        sold, expected = window(lag - after, before + after)  # begins ``before`` days before the origin
        reference = _ratio(sold, expected, np.array([before - REFERENCE_DAYS]), np.array([before]))
        for name, (first, last) in SPANS.items():
            step = before + np.arange(known.horizon)
            ratio = _ratio(sold, expected, step + first, step + last + 1)
            ahead[f"{name}_{years}y"] = np.log(ratio / reference)
    now: dict[str, Floats] = {}
    if group is not None:
        days = min(max(GROUP_TREND_DAYS), known.n_history)
        sold, expected = window(0, days)
        for recent in GROUP_TREND_DAYS:
            start = np.array([max(0, days - recent)])
            now[f"trend_{recent}"] = np.log(_ratio(sold, expected, start, np.array([days])))[:, 0]
    return Season(ahead, now)


def _running(values: Floats) -> Floats:
    out = np.zeros((len(values), values.shape[1] + 1), dtype=np.float64)
    np.cumsum(values, axis=1, out=out[:, 1:])
    return out


def _ratio(sold: Floats, expected: Floats, start: NDArray[np.intp], stop: NDArray[np.intp]) -> Floats:
    return shrunk_ratio(sold[:, stop] - sold[:, start], expected[:, stop] - expected[:, start])
