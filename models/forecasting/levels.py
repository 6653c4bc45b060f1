"""Levels above single series: their nodes, the sums of the series below them, and intervals of their own.

Each level has errors of its own: those of a region are not those of its stores added up. So the intervals of
a level come from past forecasts of that level, not from the intervals below it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.forecasting.accuracy import coverage_table, sum_rows
from models.forecasting.conformal import ConformalIntervals, Ends
from models.forecasting.forecaster import cells_of
from models.forecasting.panel import Mask, Matrix

Floats = NDArray[np.float64]

#: Column of the profile that names the node of a series, by level above it; none for the whole nation.
_NODE_COLUMNS = {"national": None, "region": "region", "store": "store_id", "sku": "sku_id"}


def nodes_of(profile: pd.DataFrame, level: str) -> NDArray[np.object_]:
    """Node of each series at a level; series themselves are ``<store>/<product>``."""
    if level == "sku_store":
        return np.asarray(profile["store_id"] + "/" + profile["sku_id"], dtype=object)
    column = _NODE_COLUMNS[level]
    return np.full(len(profile), "all", dtype=object) if column is None else profile[column].to_numpy(object)


def node_codes(profile: pd.DataFrame, level: str) -> tuple[NDArray[np.object_], NDArray[np.intp]]:
    """Nodes of a level, sorted by name, and the position of each series' node among them."""
    nodes, codes = np.unique(nodes_of(profile, level), return_inverse=True)
    return nodes, codes


def level_sums(profile: pd.DataFrame, values: NDArray[Any], level: str) -> Floats:
    """Sums of the series by node, shape (nodes, columns); NaN where one of them is NaN.

    Nodes are sorted by name; the level of the series themselves keeps their order.
    """
    if level == "sku_store":
        return np.asarray(values, dtype=np.float64)
    return sum_rows(values, node_codes(profile, level)[1])


@dataclass(frozen=True)
class Past:
    """Forecasts of all series from a past origin, published days only, and what came.

    Attributes
    ----------
    origin
        Day of the forecast.
    begun : ndarray of bool, shape (n,)
        Whether the series was on sale by then: the night would not have forecast the others.
    actual, units : ndarray of shape (n, horizon_days)
        Sales (NaN where not reported, or not begun) and forecasts (0 where not begun).
    censored : ndarray of bool, shape (n, horizon_days)
        Stock-outs.
    """

    origin: date
    begun: NDArray[np.bool_]
    actual: Matrix
    censored: Mask
    units: Matrix


def calibrate(
    past: Sequence[Past], profile: pd.DataFrame, levels: Iterable[str], nominal: Sequence[int]
) -> dict[str, ConformalIntervals]:
    """Intervals by level from past forecasts; those of single series also by cell."""
    return {
        level: ConformalIntervals(nominal).fit(
            *_compared(past, profile, level), groups=_groups(profile, level, len(past))
        )
        for level in levels
    }


def measured_coverage(
    intervals: Mapping[str, ConformalIntervals],
    past: Sequence[Past],
    profile: pd.DataFrame,
    horizons: Sequence[int],
) -> pd.DataFrame:
    """Coverage on other past days, by level, nominal coverage and horizon (0: all)."""
    parts = []
    for level, fitted in intervals.items():
        actual, units = _compared(past, profile, level)
        found = fitted.interval(units, groups=_groups(profile, level, len(past)))
        parts += [
            coverage_table(actual, *ends, horizons=horizons).assign(level=level, nominal=nominal)
            for nominal, ends in found.items()
        ]
    return pd.concat(parts, ignore_index=True).drop(columns=["group", "width"])


def ends_by_level(
    intervals: Mapping[str, ConformalIntervals], forecasts: Mapping[str, Floats], profile: pd.DataFrame
) -> dict[str, dict[int, Ends]]:
    """Ends around the forecasts of every level by nominal coverage; column 0 is today, horizon 0."""
    return {
        level: intervals[level].interval(
            units, groups=_groups(profile, level, 1), horizons=range(units.shape[1])
        )
        for level, units in forecasts.items()
    }


def _compared(past: Sequence[Past], profile: pd.DataFrame, level: str) -> tuple[Floats, Floats]:
    """Sales and forecasts of a level's nodes; sales are unknown where a part did not report.

    A single series is not judged by a day on which it ran out. The sum of a store is judged though one of its
    products ran out: it hardly moves, and on nearly every day some product does.
    """

    def came(one: Past) -> Floats:
        if level == "sku_store":
            return np.where(one.censored, np.nan, one.actual).astype(np.float64)
        return level_sums(profile, np.where(one.begun[:, None], one.actual, 0.0), level)

    actual = np.concatenate([came(one) for one in past])
    return actual, np.concatenate([level_sums(profile, one.units, level) for one in past])


def _groups(profile: pd.DataFrame, level: str, repeats: int) -> NDArray[np.object_] | None:
    return np.tile(cells_of(profile), repeats) if level == "sku_store" else None
