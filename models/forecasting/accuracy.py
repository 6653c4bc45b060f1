"""Errors of forecasts and coverage of intervals, for many series and horizons at once.

All functions take matrices of shape (n, H): a row is a series at an origin, a column a day ahead. A day is
judged if its store reported (the actual is not NaN) and the product was not out of stock: then sales are
a lower bound of the demand, and a forecast above them may well have been right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import xlogy

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: Fewest units a day that the Poisson deviance takes a forecast for.
LEAST_RATE = 0.01

#: Days whose revenue weighs a series in the WRMSSE.
REVENUE_DAYS = 28


def judged_days(actual: NDArray[Any], censored: Mask | None = None) -> Mask:
    """Days that may be compared with a forecast: reported, and not cut short by a stock-out."""
    reported: Mask = np.isfinite(actual)
    return reported if censored is None else reported & ~censored


def mape(actual: NDArray[Any], forecast: NDArray[Any], censored: Mask | None = None) -> float:
    """Mean absolute percentage error of the judged days with sales; NaN if there is none."""
    return float(error_table(actual, forecast, censored=censored, horizons=())["mape"].iloc[0])


def wape(actual: NDArray[Any], forecast: NDArray[Any], censored: Mask | None = None) -> float:
    """Sum of absolute errors over sum of sales; NaN without sales."""
    return float(error_table(actual, forecast, censored=censored, horizons=())["wape"].iloc[0])


def rmspe(actual: NDArray[Any], forecast: NDArray[Any], censored: Mask | None = None) -> float:
    """Root of the mean squared percentage error of the judged days with sales; NaN if there is none."""
    return float(error_table(actual, forecast, censored=censored, horizons=())["rmspe"].iloc[0])


def bias(actual: NDArray[Any], forecast: NDArray[Any], censored: Mask | None = None) -> float:
    """Sum of errors (forecast minus sales) over sum of sales; NaN without sales."""
    return float(error_table(actual, forecast, censored=censored, horizons=())["bias"].iloc[0])


def poisson_deviance(actual: NDArray[Any], forecast: NDArray[Any]) -> Floats:
    """Poisson deviance of each forecast, lowest for the mean of the demand whatever its size.

    A forecast counts as at least 0.01 units a day: where nothing is expected, any sale would be infinitely wrong.

    References
    ----------
    Gneiting (2011), "Making and evaluating point forecasts", JASA 106(494), on scores that the mean minimises.
    """
    rate = np.maximum(np.asarray(forecast, dtype=np.float64), LEAST_RATE)
    units = np.asarray(actual, dtype=np.float64)
    return np.asarray(2 * (xlogy(units, units / rate) - units + rate))


def naive_scale(history: NDArray[Any]) -> Floats:
    """Root mean squared change from day to day since the first sale, the denominator of the RMSSE.

    Parameters
    ----------
    history : ndarray of shape (n, T)
        Sales; NaN where unknown. Only changes between two known days count.

    Returns
    -------
    ndarray of shape (n,)
        NaN for a series that never changes or never sold: its RMSSE is undefined.

    References
    ----------
    Makridakis, Spiliotis & Assimakopoulos (2022), "M5 accuracy competition", IJF 38(4), eq. 1.
    """
    values = np.asarray(history, dtype=np.float64)
    started = np.maximum.accumulate(np.nan_to_num(values) > 0, axis=1)
    change = np.diff(values, axis=1)
    known = np.isfinite(change) & started[:, :-1]
    squares = np.where(known, change, 0.0) ** 2
    scale = np.sqrt(_ratio(squares.sum(axis=1), known.sum(axis=1)))
    return np.where(scale > 0, scale, np.nan)


def rmsse(
    actual: NDArray[Any], forecast: NDArray[Any], scale: Floats, censored: Mask | None = None
) -> Floats:
    """Root mean squared scaled error of each row, shape (n,); NaN without judged day or scale."""
    judged, error = _errors(actual, forecast, censored)
    return np.sqrt(_ratio((error**2).sum(axis=1), judged.sum(axis=1))) / scale


def wrmsse(
    actual: NDArray[Any],
    forecast: NDArray[Any],
    history: NDArray[Any],
    revenue: NDArray[Any],
    levels: Mapping[str, Sequence[Any] | NDArray[Any]],
) -> dict[str, float]:
    """WRMSSE of the M5 competition by level, of forecasts summed bottom-up.

    Parameters
    ----------
    actual, forecast : ndarray of shape (n, H)
        Sales and forecasts of the bottom series.
    history : ndarray of shape (n, T)
        Sales before the forecast; its scale starts at each node's first sale.
    revenue : ndarray of shape (n, R)
        Revenue of the days before the forecast; the last 28 weigh the nodes of a level. Units instead
        of money where prices are not known.
    levels : mapping of str to sequence of length n
        Node of each bottom series, by level.

    Returns
    -------
    dict
        WRMSSE of each level, and their plain mean as ``"mean"``. Nodes without a scale weigh nothing.
    """
    recent = np.nan_to_num(np.asarray(revenue, dtype=np.float64)[:, -REVENUE_DAYS:]).sum(axis=1)
    found = {}
    for level, nodes in levels.items():
        codes = np.unique(np.asarray(nodes), return_inverse=True)[1]
        scale = naive_scale(sum_rows(history, codes))
        errors = rmsse(sum_rows(actual, codes), sum_rows(forecast, codes), scale)
        weight = np.where(np.isfinite(errors), np.bincount(codes, weights=recent), 0.0)
        found[level] = float(_ratio(np.nansum(errors * weight), weight.sum()))
    return {**found, "mean": float(np.mean(list(found.values())))}


def error_table(
    actual: NDArray[Any],
    forecast: NDArray[Any],
    *,
    censored: Mask | None = None,
    groups: Sequence[Any] | NDArray[Any] | None = None,
    series: Sequence[Any] | NDArray[Any] | None = None,
    scale: Floats | None = None,
    horizons: Sequence[int] | None = None,
) -> pd.DataFrame:
    """Errors by group and horizon.

    Parameters
    ----------
    actual, forecast : ndarray of shape (n, H)
        Sales, NaN where not reported, and forecasts.
    censored : ndarray of bool, shape (n, H), optional
        Stock-outs.
    groups : sequence of length n, optional
        Group of each row; one group ``"all"`` if not given.
    series : sequence of length n, optional
        Series of each row, for the RMSSE and the count of series; each row its own if not given.
    scale : ndarray of shape (n,), optional
        :func:`naive_scale` of each row; without it the RMSSE is NaN.
    horizons : sequence of int, optional
        Columns to report one by one, counted from 1; all if not given.

    Returns
    -------
    pandas.DataFrame
        One row per group (sorted) and horizon, 0 standing for all columns together: ``group``,
        ``horizon``, ``mape`` and ``rmspe`` (days with sales), ``wape``, ``bias``, ``deviance`` (Poisson's, mean of
        the days; NaN without sales), ``rmsse`` (mean of the series), ``series`` and ``points`` (judged). Undefined
        figures are NaN.

    Raises
    ------
    ValueError
        Shapes disagree, or the forecast of a judged day is missing.
    """
    judged, error = _errors(actual, forecast, censored)
    sales = np.where(judged, actual, 0.0).astype(np.float64)
    relative = np.divide(error, sales, out=np.zeros_like(error), where=sales > 0)
    deviance = np.where(judged, poisson_deviance(sales, forecast), 0.0)
    names, codes = _codes(groups, len(judged))
    cells = _Cells(codes, len(names), _horizons(horizons, judged.shape[1]))
    points, sold, total = cells.sum(judged), cells.sum(sales > 0), cells.sum(sales)
    own = np.arange(len(judged)) if series is None else np.unique(np.asarray(series), return_inverse=True)[1]
    rmsse_, count = _by_series(judged, error, cells, own, scale)
    return pd.DataFrame(
        {
            **cells.keys(names),
            "mape": _ratio(cells.sum(np.abs(relative)), sold).ravel(),
            "wape": _ratio(cells.sum(np.abs(error)), total).ravel(),
            "rmsse": rmsse_.ravel(),
            "rmspe": np.sqrt(_ratio(cells.sum(relative**2), sold)).ravel(),
            "bias": _ratio(cells.sum(error), total).ravel(),
            "deviance": _ratio(cells.sum(deviance), np.where(total > 0, points, 0)).ravel(),
            "series": count.ravel().astype(np.int64),
            "points": points.ravel().astype(np.int64),
        }
    )


def coverage_table(
    actual: NDArray[Any],
    lower: NDArray[Any],
    upper: NDArray[Any],
    *,
    censored: Mask | None = None,
    groups: Sequence[Any] | NDArray[Any] | None = None,
    horizons: Sequence[int] | None = None,
) -> pd.DataFrame:
    """Coverage and width of prediction intervals by group and horizon (0: all together).

    Returns
    -------
    pandas.DataFrame
        ``group``, ``horizon``, ``coverage`` (share of the judged days inside, ends included), ``width``
        (mean, in units), ``relative_width`` (over mean sales; NaN without sales) and ``points``.
    """
    judged = judged_days(actual, censored)
    sales = np.where(judged, actual, 0.0)
    inside = judged & (lower <= sales) & (sales <= upper)
    width = np.where(judged, np.asarray(upper, dtype=np.float64) - lower, 0.0)
    names, codes = _codes(groups, len(judged))
    cells = _Cells(codes, len(names), _horizons(horizons, judged.shape[1]))
    points, widths = cells.sum(judged), cells.sum(width)
    return pd.DataFrame(
        {
            **cells.keys(names),
            "coverage": _ratio(cells.sum(inside), points).ravel(),
            "width": _ratio(widths, points).ravel(),
            "relative_width": _ratio(widths, cells.sum(sales)).ravel(),
            "points": points.ravel().astype(np.int64),
        }
    )


def sum_rows(values: NDArray[Any], codes: NDArray[np.intp], count: int | None = None) -> Floats:
    """Sum of the rows of each code 0..count-1, shape (count, columns); NaN where one of them is NaN."""
    matrix = np.asarray(values, dtype=np.float64)
    size = (int(codes.max(initial=-1)) + 1 if count is None else count, matrix.shape[1])
    cell = codes[:, None] * size[1] + np.arange(size[1])
    sums = np.bincount(cell.ravel(), weights=matrix.ravel(), minlength=size[0] * size[1]).astype(np.float64)
    return sums.reshape(size)


class _Cells:
    """Sums of matrices over groups of rows, for all columns together and for chosen ones."""

    def __init__(self, codes: NDArray[np.intp], groups: int, horizons: Sequence[int]) -> None:
        self.codes, self.groups, self.horizons = codes, groups, list(horizons)

    def keys(self, names: NDArray[Any]) -> dict[str, Any]:
        """Columns ``group`` and ``horizon`` of the table."""
        each = [0, *self.horizons]
        return {"group": np.repeat(names, len(each)), "horizon": np.tile(each, len(names))}

    def sum(self, values: NDArray[Any]) -> Floats:
        """Sums, shape (groups, 1 + horizons)."""
        sums = sum_rows(values, self.codes, self.groups)
        return np.column_stack([sums.sum(axis=1), sums[:, [h - 1 for h in self.horizons]]])


def _by_series(
    judged: Mask, error: Floats, cells: _Cells, series: NDArray[np.intp], scale: Floats | None
) -> tuple[Floats, Floats]:
    """Mean RMSSE over the series of each cell, and how many series it judges."""
    width = int(series.max(initial=0)) + 1
    pairs, of_pair = np.unique(cells.codes * width + series, return_inverse=True)
    group = pairs // width
    own = _Cells(of_pair, len(pairs), cells.horizons)
    count = sum_rows(own.sum(judged) > 0, group, cells.groups)
    if scale is None:
        return np.full_like(count, np.nan), count
    known = judged & np.isfinite(scale)[:, None]
    scaled = np.divide(error, scale[:, None], out=np.zeros_like(error), where=known)
    roots = np.sqrt(_ratio(own.sum(scaled**2), own.sum(known)))
    defined = np.isfinite(roots)
    return _ratio(
        sum_rows(np.where(defined, roots, 0.0), group, cells.groups), sum_rows(defined, group, cells.groups)
    ), count


def _errors(actual: NDArray[Any], forecast: NDArray[Any], censored: Mask | None) -> tuple[Mask, Floats]:
    """Which days are judged, and forecast minus actual there (0 elsewhere)."""
    if actual.shape != forecast.shape:
        raise ValueError(f"forecast must have the shape of actual, {actual.shape}, got {forecast.shape}")
    judged = judged_days(actual, censored)
    missing = int((judged & ~np.isfinite(forecast)).sum())
    if missing:
        raise ValueError(f"forecast must be finite on all judged days, got {missing} that are not")
    difference = np.asarray(forecast, dtype=np.float64) - np.asarray(actual, dtype=np.float64)
    return judged, np.where(judged, difference, 0.0)


def _codes(groups: Sequence[Any] | NDArray[Any] | None, rows: int) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Sorted names of the groups, and the group of each row."""
    if groups is None:
        return np.array(["all"], dtype=object), np.zeros(rows, dtype=np.intp)
    names, codes = np.unique(np.asarray(groups), return_inverse=True)
    return names, codes


def _horizons(asked: Sequence[int] | None, columns: int) -> Sequence[int]:
    found = range(1, columns + 1) if asked is None else asked
    wrong = [horizon for horizon in found if not 1 <= horizon <= columns]
    if wrong:
        raise ValueError(f"horizons must be columns 1..{columns}, got {wrong}")
    return found


def _ratio(top: Any, bottom: Any) -> Floats:
    """Quotient; NaN where the denominator is 0."""
    top, bottom = np.asarray(top, dtype=np.float64), np.asarray(bottom, dtype=np.float64)
    quotient: Floats = np.divide(top, bottom, out=np.full(np.shape(bottom), np.nan), where=bottom != 0)
    return quotient
