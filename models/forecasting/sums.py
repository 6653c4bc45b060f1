"""Distribution of the demand of a series over the next days together: what an order has to cover.

The quantiles of single days do not add up to those of their sum: days err partly together. So past forecasts are
summed over the same windows as the sales that came, and the errors of the sums are kept, as
:mod:`models.forecasting.conformal` keeps those of single days.

A window in which the product ran out says only that at least so much was wanted. Leaving such windows out would
leave out the busiest; instead their errors count as censored from the right, and the distribution of each cell is
the product-limit estimate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from models.forecasting.conformal import SMALLEST, group_codes, power_of
from models.forecasting.forecaster import cells_of
from models.forecasting.levels import Past

Floats = NDArray[np.float64]

#: Equally likely demands of a window: the middles of so many equal shares of its distribution.
SCENARIOS = 50


class SumQuantiles(BaseEstimator):  # type: ignore[misc]
    """Equally likely demands of a window that begins with the first day ahead, calibrated on past windows.

    An error of a sum is divided by ``forecast ** power``, where the power is fitted per group. Within a cell (group x
    window x size of the forecast sum) the scenarios are quantiles of the past errors at the levels ``(i + 1/2) / Q``;
    a cell with too few errors is served by all sizes of the window, then by all windows of the group; a group
    that was never seen, by all groups together.

    Parameters
    ----------
    windows : sequence of int
        Lengths in days that errors are kept of. Another length is served by the next longer one, or the longest.
    scenarios : int
        Q.
    sizes : int
        Most classes of forecast sums by size, with equally many past errors.
    min_points : int
        Fewest errors of a cell.

    Attributes
    ----------
    groups_ : list of str
        Sorted; an entry for all together, the empty string, comes first.
    power_ : ndarray of shape (n_groups,)
    edges_ : ndarray of shape (n_groups, n_windows, sizes - 1)
        Forecast sums that separate the classes of size.
    errors_ : ndarray of shape (n_groups, n_windows, sizes, Q)
        Scaled errors of the scenarios, ascending.

    References
    ----------
    Kaplan & Meier (1958), JASA 53(282), the product-limit estimate; Lei et al. (2018), JASA 113(523), split
    conformal prediction with locally scaled errors.
    """

    def __init__(
        self,
        windows: Sequence[int] = (1, 2, 3, 4, 5, 7, 10, 14),
        *,
        scenarios: int = SCENARIOS,
        sizes: int = 8,
        min_points: int = 200,
    ) -> None:
        self.windows = windows
        self.scenarios = scenarios
        self.sizes = sizes
        self.min_points = min_points

    def fit(
        self,
        actual: NDArray[Any],
        forecast: NDArray[Any],
        *,
        censored: NDArray[np.bool_],
        groups: Sequence[Any] | NDArray[Any],
    ) -> Self:
        """Learn from past forecasts and what came.

        Parameters
        ----------
        actual, forecast : ndarray of shape (n, H)
            Units; rows are series at past origins, column 0 is the first day of every window. A window with an unknown
            actual (NaN) is left out.
        censored : ndarray of bool, shape (n, H)
            Stock-outs: the demand was at least ``actual``.
        groups : sequence of length n
            Group of each row.

        Raises
        ------
        ValueError
            No window is known, or a parameter is out of range.
        """
        if list(self.windows) != sorted(set(self.windows)) or min(self.windows, default=0) < 1:
            raise ValueError(f"windows must increase from 1 day on, got {self.windows!r}")
        if min(self.scenarios, self.sizes, self.min_points) < 1:
            raise ValueError("scenarios, sizes and min_points must be at least 1")
        last = np.minimum(np.asarray(self.windows), forecast.shape[1]) - 1
        came = np.cumsum(np.asarray(actual, dtype=np.float64), axis=1)[:, last]
        total = np.cumsum(np.asarray(forecast, dtype=np.float64), axis=1)[:, last]
        cut = np.maximum.accumulate(np.asarray(censored, dtype=bool), axis=1)[:, last]
        known = np.isfinite(came)
        if not known.any():
            raise ValueError("past forecasts must have windows to be compared with, got none")
        names = np.asarray(groups).astype(str)
        self.groups_ = ["", *sorted(set(names[known.any(axis=1)].tolist()) - {""})]
        code = group_codes(self.groups_, names)
        shape = (len(self.groups_), len(self.windows), self.sizes)
        self.power_ = np.full(shape[0], 0.5)
        self.edges_ = np.full((*shape[:2], self.sizes - 1), np.inf)
        self.errors_ = np.zeros((*shape, self.scenarios))
        for group in range(shape[0]):
            rows = np.arange(len(code)) if group == 0 else np.flatnonzero(code == group)
            self._fit_group(group, came[rows], total[rows], cut[rows], known[rows])
        return self

    def demands(
        self, total: NDArray[Any], window: NDArray[Any], *, groups: Sequence[Any] | NDArray[Any]
    ) -> Floats:
        """Equally likely demands of a window of each series.

        Parameters
        ----------
        total : ndarray of shape (n,)
            Sum of the forecast over the window, units.
        window : ndarray of int, shape (n,)
            Length of the window in days.

        Returns
        -------
        ndarray of shape (n, Q)
            Ascending, none below 0.
        """
        check_is_fitted(self, "errors_")
        units = np.maximum(np.asarray(total, dtype=np.float64), 0.0)
        code = group_codes(self.groups_, np.asarray(groups).astype(str))
        at = np.minimum(np.searchsorted(self.windows, window), len(self.windows) - 1)
        size = (units[:, None] > self.edges_[code, at]).sum(axis=1)
        width = (units + SMALLEST) ** self.power_[code]
        return np.asarray(np.maximum(units[:, None] + self.errors_[code, at, size] * width[:, None], 0.0))

    def _fit_group(
        self,
        group: int,
        came: Floats,
        total: Floats,
        cut: NDArray[np.bool_],
        known: NDArray[np.bool_],
    ) -> None:
        self.power_[group] = power_of(total[known], np.abs(came - total)[known])
        score = (came - total) / (np.maximum(total, 0.0) + SMALLEST) ** self.power_[group]
        whole = self._quantiles(score[known], cut[known])
        for place in range(len(self.windows)):
            here = known[:, place]
            error, is_cut, units = score[here, place], cut[here, place], total[here, place]
            coarse = self._quantiles(error, is_cut) if here.sum() >= self.min_points else whole
            self.errors_[group, place] = coarse
            classes = max(1, min(self.sizes, int(here.sum()) // self.min_points))
            cuts = np.quantile(units, np.arange(1, classes) / classes) if classes > 1 else np.empty(0)
            self.edges_[group, place, : len(cuts)] = cuts
            size = np.searchsorted(cuts, units, side="left")
            for part in range(classes):
                cell = size == part
                if cell.sum() >= self.min_points // 2:  # ties of small forecasts make classes uneven
                    self.errors_[group, place, part] = self._quantiles(error[cell], is_cut[cell])

    def _quantiles(self, score: Floats, cut: NDArray[np.bool_]) -> Floats:
        """Scaled errors at the levels of the scenarios by the product-limit estimate, shape (Q,)."""
        order = np.lexsort((cut, score))  # of equal errors, those seen whole come first
        ordered, seen = score[order], ~cut[order]
        at_risk = len(ordered) - np.arange(len(ordered))
        above = np.cumprod(1.0 - seen / at_risk)
        levels = (np.arange(self.scenarios) + 0.5) / self.scenarios
        place = np.searchsorted(-above, levels - 1.0 - 1e-12, side="left")
        return np.asarray(ordered[np.minimum(place, len(ordered) - 1)])


def calibrate_sums(past: Sequence[Past], profile: pd.DataFrame) -> SumQuantiles:
    """Distributions of sums from past forecasts, by the cell in which models compete.

    Windows begin with J+1: the error of today's forecast, a day less ahead, is about that of tomorrow's.
    """

    def stacked(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(one, name)[one.begun] for one in past])

    groups = np.concatenate([cells_of(profile)[one.begun] for one in past])
    return SumQuantiles().fit(
        stacked("actual"), stacked("units"), censored=stacked("censored"), groups=groups
    )
