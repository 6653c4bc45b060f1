"""Forecasts of past days beside what came: errors and coverage by horizon, with intervals where they are judged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.evaluation.bootstrap import Interval
from models.evaluation.ratios import ratio_interval
from models.forecasting.accuracy import coverage_table, error_table, judged_days
from models.forecasting.panel import Mask

Cube: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True)
class Compared:
    """Forecasts of n series or nodes over D days, made 1 .. H days ahead.

    Attributes
    ----------
    predicted : mapping of str to ndarray of float32, shape (n, D, H)
        ``operational``, and the ends ``lower_80``, ``upper_80`` and so on; NaN where no forecast was made.
    actual : ndarray of shape (n, D, H)
        What came, beside each forecast; NaN where there is nothing to compare.
    censored : ndarray of bool, shape (n, D)
        Days that are not judged, for ``actual`` is a lower bound.
    clusters : ndarray of shape (n,)
        What each row is drawn with for the interval of an error: things that are wrong together.
    """

    predicted: Mapping[str, Cube]
    actual: NDArray[Any]
    censored: Mask
    clusters: NDArray[Any]

    @property
    def horizon_days(self) -> int:
        """H."""
        return int(self.actual.shape[2])

    @cached_property
    def judged(self) -> Mask:
        """Forecasts that are judged, shape (n, D, H)."""
        return judged_days(self.actual, self.censored[:, :, None])

    def days_judged(self, horizon: int) -> int:
        """Days on which any forecast of a horizon is judged."""
        return int(self.judged[:, :, horizon - 1].any(axis=0).sum())

    def errors(
        self, groups: NDArray[Any] | None = None, *, rows: Mask | None = None, horizons: Iterable[int] = ()
    ) -> pd.DataFrame:
        """Errors by group of rows and horizon (0: all), as :func:`models.forecasting.accuracy.error_table`.

        Parameters
        ----------
        groups : ndarray of shape (n,), optional
            Group of each row.
        rows : ndarray of bool, shape (n,), optional
            Rows that count.
        """
        chosen = np.ones(len(self.actual), dtype=bool) if rows is None else rows
        return error_table(
            self._flat(self.actual[chosen]),
            self._flat(self.predicted["operational"][chosen]),
            censored=self._each_horizon(self.censored[chosen]),
            groups=None if groups is None else self._each_day(groups[chosen]),
            series=self._each_day(np.flatnonzero(chosen)),
            horizons=list(horizons),
        )

    def coverage(self, nominal: int, *, horizons: Iterable[int] = ()) -> pd.DataFrame:
        """Coverage of intervals by horizon, as :func:`models.forecasting.accuracy.coverage_table`."""
        lower, upper = self._ends(nominal)
        return coverage_table(
            self._flat(self.actual),
            self._flat(lower),
            self._flat(upper),
            censored=self._each_horizon(self.censored),
            horizons=list(horizons),
        )

    def coverage_interval(self, nominal: int) -> Interval:
        """Coverage of all horizons with its 90 % interval; whole days are drawn.

        What happens on a day happens to many rows at once, at all horizons.
        """
        lower, upper = self._ends(nominal)
        inside = self.judged & (lower <= self.actual) & (self.actual <= upper)
        top, bottom = (values.sum(axis=(0, 2)) for values in (inside, self.judged))
        return ratio_interval(top, bottom, np.arange(len(top)))

    def mape_interval(self, horizon: int, rows: Mask) -> Interval:
        """MAPE of some rows at a horizon with its 90 % interval; whole clusters are drawn."""
        came, error = self._at(horizon, rows)
        sold = came > 0  # NaN where not judged
        relative = np.divide(np.abs(error), came, out=np.zeros_like(error), where=sold)
        return ratio_interval(relative.sum(axis=1), sold.sum(axis=1), self.clusters[rows])

    def bias_interval(self, rows: Mask) -> Interval:
        """Bias of some rows over all horizons with its 90 % interval; whole clusters are drawn."""
        top, bottom = np.zeros(int(rows.sum())), np.zeros(int(rows.sum()))
        for horizon in range(1, self.horizon_days + 1):  # one at a time keeps the memory small
            came, error = self._at(horizon, rows)
            top += np.nansum(error, axis=1)
            bottom += np.nansum(came, axis=1)
        return ratio_interval(top, bottom, self.clusters[rows])

    def _at(self, horizon: int, rows: Mask) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What came and errors at a horizon, shape (rows, D); NaN where not judged."""
        judged = self.judged[rows, :, horizon - 1]
        came = np.where(judged, self.actual[rows, :, horizon - 1], np.nan).astype(np.float64)
        return came, self.predicted["operational"][rows, :, horizon - 1] - came

    def _ends(self, nominal: int) -> tuple[Cube, Cube]:
        return self.predicted[f"lower_{nominal}"], self.predicted[f"upper_{nominal}"]

    def _flat(self, cube: NDArray[Any]) -> NDArray[Any]:
        return cube.reshape(-1, self.horizon_days)

    def _each_horizon(self, days: Mask) -> Mask:
        return np.broadcast_to(days.reshape(-1, 1), (days.size, self.horizon_days))

    def _each_day(self, values: NDArray[Any]) -> NDArray[Any]:
        return np.repeat(values, self.actual.shape[1])
