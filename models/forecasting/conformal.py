"""Conformal prediction intervals: how wrong past forecasts were says how wrong the next may be.

Past forecasts from rolling origins are compared with what was sold; the errors, scaled by the size of the
forecast, are sorted, and the interval ends where the wanted share of them does. No shape of the errors is
assumed, and the two ends are found apart from each other: demand has a long upper tail.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from models.forecasting.accuracy import coverage_table, judged_days

Floats = NDArray[np.float64]
Ends = tuple[Floats, Floats]

#: Units added to a forecast where errors are scaled by it: a forecast of 0 can be wrong as well.
SMALLEST = 0.1

#: Exponents that the size of errors may have in the size of the forecast.
POWERS = (0.0, 1.0)


def group_codes(groups: Sequence[str], names: NDArray[Any]) -> NDArray[np.intp]:
    """Place of each name among sorted groups, of which the first, the empty string, serves the others."""
    at = np.minimum(np.searchsorted(groups, names), len(groups) - 1)
    return np.where(np.asarray(groups)[at] == names, at, 0)


class ConformalIntervals(BaseEstimator):  # type: ignore[misc]
    """Prediction intervals with measured coverage, by group, horizon and size of the forecast.

    An error is divided by ``forecast ** power``, where the power is fitted per group, or by a scale that
    the caller passes. Within a cell (group x horizons x size) of m past errors the ends are the
    ``floor((m + 1) * a / 2)``-th smallest and largest for a miss rate ``a``, which covers a new day that is
    exchangeable with the past ones with probability ``1 - a`` or more. A cell with too few errors is
    served by a coarser one: all sizes, then all horizons of the group; a group that was never seen, by
    all groups together.

    Parameters
    ----------
    nominal : sequence of int
        Wanted coverage, in percent.
    first_horizons : sequence of int
        First horizon of each range of horizons that shares its errors.
    sizes : int
        Most classes of forecasts by size, with equally many past errors.
    min_points : int
        Fewest errors of a cell.

    Attributes
    ----------
    groups_ : list of str
        Sorted; an entry for all together, the empty string, comes first.
    power_ : ndarray of shape (n_groups,)
    edges_ : ndarray of shape (n_groups, sizes - 1)
        Forecasts that separate the classes of size.
    quantiles_ : ndarray of shape (n_groups, n_ranges, sizes, 2, n_nominal)
        Scaled errors at the lower and upper ends.
    points_ : ndarray of int, shape (n_groups, n_ranges, sizes)
        Errors of each cell, before a coarser one serves.

    References
    ----------
    Vovk, Gammerman & Shafer (2005), "Algorithmic Learning in a Random World", on conformal prediction by
    category; Lei et al. (2018), JASA 113(523), on the split variant and locally scaled errors.
    """

    def __init__(
        self,
        nominal: Sequence[int] = (80, 95),
        *,
        first_horizons: Sequence[int] = (0, 2, 4, 8),
        sizes: int = 5,
        min_points: int = 200,
    ) -> None:
        self.nominal = nominal
        self.first_horizons = first_horizons
        self.sizes = sizes
        self.min_points = min_points

    def fit(
        self,
        actual: NDArray[Any],
        forecast: NDArray[Any],
        *,
        groups: Sequence[Any] | NDArray[Any] | None = None,
        horizons: Sequence[int] | None = None,
        scale: NDArray[Any] | None = None,
        censored: NDArray[np.bool_] | None = None,
    ) -> Self:
        """Learn the ends from past forecasts; not from those that chose or trained the models.

        Parameters
        ----------
        actual, forecast : ndarray of shape (n, H)
            Rows are series (or nodes) at past origins; unknown actuals are NaN.
        groups : sequence of length n, optional
            Group of each row, for instance the level of the hierarchy; one group if not given.
        horizons : sequence of int, optional
            Horizon of each column; 1..H if not given.
        scale : ndarray of shape (n,) or (n, H), optional
            Usual size of an error, in units; must be given to :meth:`interval` too. Fitted if not given.
        censored : ndarray of bool, shape (n, H), optional
            Stock-outs, which are left out.

        Raises
        ------
        ValueError
            No past day can be judged, or a parameter is out of range.
        """
        self._check_parameters()
        judged = judged_days(actual, censored)
        if not judged.any():
            raise ValueError("past forecasts must have days to be compared with, got none")
        units = np.asarray(forecast, dtype=np.float64)
        error = np.where(judged, np.asarray(actual, dtype=np.float64) - units, np.nan)
        names = np.zeros(len(units), dtype="U1") if groups is None else np.asarray(groups).astype(str)
        # A group without a judged day says nothing of its errors: all groups together serve it.
        self.groups_ = ["", *sorted(set(names[judged.any(axis=1)].tolist()) - {""})]
        self.scaled_ = scale is not None
        code, ranges = group_codes(self.groups_, names), self._ranges(horizons, units.shape[1])
        self.power_ = np.array(
            [
                power_of(units[rows][judged[rows]], np.abs(error[rows][judged[rows]]))
                for rows in self._rows_of_groups(code)
            ]
        )
        score = error / self._scale(units, code, scale)
        shape = (len(self.groups_), len(self.first_horizons), self.sizes)
        self.edges_ = np.full((shape[0], self.sizes - 1), np.inf)
        self.points_ = np.zeros(shape, dtype=np.int64)
        self.quantiles_ = np.zeros((*shape, 2, len(self.nominal)))
        for group, rows in enumerate(self._rows_of_groups(code)):
            if len(rows):
                self._fit_group(group, units[rows], score[rows], ranges)
        return self

    def interval(
        self,
        forecast: NDArray[Any],
        *,
        groups: Sequence[Any] | NDArray[Any] | None = None,
        horizons: Sequence[int] | None = None,
        scale: NDArray[Any] | None = None,
    ) -> dict[int, Ends]:
        """Ends of the intervals around forecasts, by nominal coverage.

        Returns
        -------
        dict of int to (lower, upper), each of shape (n, H)
            Lower ends are not negative, and the forecast lies inside.
        """
        check_is_fitted(self, "quantiles_")
        if self.scaled_ != (scale is not None):
            raise ValueError(f"scale must {'' if self.scaled_ else 'not '}be given, as when fitted")
        units = np.asarray(forecast, dtype=np.float64)
        names = np.zeros(len(units), dtype="U1") if groups is None else np.asarray(groups).astype(str)
        code, ranges = group_codes(self.groups_, names), self._ranges(horizons, units.shape[1])
        size = self._sizes(units, code)
        ends = self.quantiles_[code[:, None], ranges[None, :], size]  # (n, H, 2, n_nominal)
        width = self._scale(units, code, scale)
        return {
            int(nominal): (
                np.clip(units + ends[:, :, 0, k] * width, 0.0, np.maximum(units, 0.0)),
                np.maximum(units + ends[:, :, 1, k] * width, units),
            )
            for k, nominal in enumerate(self.nominal)
        }

    def coverage(
        self,
        actual: NDArray[Any],
        forecast: NDArray[Any],
        *,
        groups: Sequence[Any] | NDArray[Any] | None = None,
        horizons: Sequence[int] | None = None,
        scale: NDArray[Any] | None = None,
        censored: NDArray[np.bool_] | None = None,
    ) -> pd.DataFrame:
        """Measured coverage on other days, as :func:`~models.forecasting.accuracy.coverage_table` by ``nominal``."""
        found = self.interval(forecast, groups=groups, horizons=horizons, scale=scale)
        return pd.concat(
            [
                coverage_table(actual, *ends, censored=censored, groups=groups).assign(nominal=nominal)
                for nominal, ends in found.items()
            ],
            ignore_index=True,
        )

    def _fit_group(self, group: int, units: Floats, score: Floats, ranges: NDArray[np.intp]) -> None:
        known = np.isfinite(score)
        span = np.broadcast_to(ranges, units.shape)[known]
        classes = max(1, min(self.sizes, int(known.sum()) // (self.min_points * len(self.first_horizons))))
        cuts = np.quantile(units[known], np.arange(1, classes) / classes) if classes > 1 else np.empty(0)
        self.edges_[group, : len(cuts)] = cuts
        size = np.searchsorted(cuts, units[known], side="left")
        score = score[known]
        whole = self._ends(score)
        for horizon in range(len(self.first_horizons)):
            here = span == horizon
            coarse = self._ends(score[here]) if here.sum() >= self.min_points else whole
            for part in range(self.sizes):
                cell = here & (size == part)
                self.points_[group, horizon, part] = cell.sum()
                fine = cell.sum() >= self.min_points
                self.quantiles_[group, horizon, part] = self._ends(score[cell]) if fine else coarse

    def _ends(self, score: Floats) -> Floats:
        """Lower and upper ends, (2, n_nominal); the outermost errors where there are too few."""
        ordered = np.sort(score)
        miss = (100 - np.asarray(self.nominal)) / 200
        rank = np.floor((len(ordered) + 1) * miss + 1e-9).astype(np.intp)
        place = np.clip(rank - 1, 0, len(ordered) - 1)
        return np.stack([ordered[place], ordered[len(ordered) - 1 - place]])

    def _rows_of_groups(self, code: NDArray[np.intp]) -> list[NDArray[np.intp]]:
        """Rows of each group; of the first entry, all."""
        return [
            np.arange(len(code)) if group == 0 else np.flatnonzero(code == group)
            for group in range(len(self.groups_))
        ]

    def _ranges(self, horizons: Sequence[int] | None, columns: int) -> NDArray[np.intp]:
        each = np.arange(1, columns + 1) if horizons is None else np.asarray(horizons)
        return np.maximum(np.searchsorted(self.first_horizons, each, side="right") - 1, 0)

    def _sizes(self, units: Floats, code: NDArray[np.intp]) -> NDArray[np.intp]:
        size = np.zeros(units.shape, dtype=np.intp)
        for cut in self.edges_.T:
            size += units > cut[code][:, None]
        return size

    def _scale(self, units: Floats, code: NDArray[np.intp], scale: NDArray[Any] | None) -> Floats:
        if scale is None:
            return np.asarray((np.maximum(units, 0.0) + SMALLEST) ** self.power_[code][:, None])
        given = np.asarray(scale, dtype=np.float64)
        return np.broadcast_to(given[:, None] if given.ndim == 1 else given, units.shape)

    def _check_parameters(self) -> None:
        if not all(0 < nominal < 100 for nominal in self.nominal):
            raise ValueError(f"nominal must be percentages between 0 and 100, got {self.nominal!r}")
        if list(self.first_horizons) != sorted(set(self.first_horizons)) or not len(self.first_horizons):
            raise ValueError(f"first_horizons must increase, got {self.first_horizons!r}")
        if self.sizes < 1 or self.min_points < 1:
            raise ValueError(
                f"sizes and min_points must be at least 1, got {self.sizes!r} and {self.min_points!r}"
            )


def power_of(forecast: Floats, error: Floats) -> float:
    """Exponent by which errors grow with the forecast, from the means of up to ten classes of size."""
    if len(forecast) < 20:
        return 0.5  # as counts do
    classes = np.array_split(np.argsort(forecast, kind="stable"), min(10, len(forecast) // 10))
    size = np.log([np.maximum(forecast[part].mean(), 0.0) + SMALLEST for part in classes])
    spread = np.log([error[part].mean() + 1e-9 for part in classes])
    centred = size - size.mean()
    if not (centred**2).sum() > 1e-3:
        return 0.5
    return float(np.clip((centred * spread).sum() / (centred**2).sum(), *POWERS))
