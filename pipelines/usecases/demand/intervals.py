"""Prediction intervals at every level, calibrated on what the nights before would have forecast.

Each level has errors of its own: those of a region are not those of its stores added up. So the intervals of
a level come from past forecasts of that level after reconciliation, not from the intervals below it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.forecasting.accuracy import coverage_table
from models.forecasting.conformal import ConformalIntervals
from models.forecasting.forecaster import cells_of
from pipelines.usecases.demand.nodes import level_sums
from pipelines.usecases.demand.past import HORIZONS, Past
from pipelines.usecases.demand.schemas import INTERVALS, LEVELS

Ends = tuple[NDArray[np.float64], NDArray[np.float64]]

#: Levels with intervals: the hierarchy, and products over all stores.
INTERVAL_LEVELS = (*LEVELS, "sku")


def calibrate(past: Sequence[Past], profile: pd.DataFrame) -> dict[str, ConformalIntervals]:
    """Intervals by level from past forecasts; those of single series also by cell."""
    return {
        level: ConformalIntervals(INTERVALS).fit(
            np.concatenate([_actual(one, profile, level) for one in past]),
            np.concatenate([level_sums(profile, one.units, level) for one in past]),
            groups=_groups(profile, level, len(past)),
        )
        for level in INTERVAL_LEVELS
    }


def intervals_of(
    intervals: Mapping[str, ConformalIntervals],
    operational: Mapping[str, NDArray[np.float64]],
    profile: pd.DataFrame,
) -> dict[str, dict[int, Ends]]:
    """Ends around the forecasts of every level, by level and nominal coverage in percent.

    Parameters
    ----------
    operational
        Coherent forecasts by level, each of shape (nodes, H); column 0 is today, horizon 0.
    """
    return {
        level: intervals[level].interval(
            units, groups=_groups(profile, level, 1), horizons=range(units.shape[1])
        )
        for level, units in operational.items()
    }


def coverage_by_level(
    intervals: Mapping[str, ConformalIntervals], past: Sequence[Past], profile: pd.DataFrame
) -> pd.DataFrame:
    """Measured coverage on other past days, by level, nominal coverage and horizon (0: all)."""
    parts = []
    for level in INTERVAL_LEVELS:
        actual = np.concatenate([_actual(one, profile, level) for one in past])
        units = np.concatenate([level_sums(profile, one.units, level) for one in past])
        found = intervals[level].interval(units, groups=_groups(profile, level, len(past)))
        horizons = [horizon for horizon in HORIZONS if horizon <= actual.shape[1]]
        parts += [
            coverage_table(actual, *ends, horizons=horizons).assign(level=level, nominal=nominal)
            for nominal, ends in found.items()
        ]
    return pd.concat(parts, ignore_index=True).drop(columns=["group", "width"])


def _actual(one: Past, profile: pd.DataFrame, level: str) -> NDArray[np.float64]:
    """What a level's nodes sold; unknown where a part did not report or, for a single series, ran out.

    The sum of a store is judged though one of its products ran out: it hardly moves, and on nearly every
    day some product does.
    """
    if level == "sku_store":
        return np.where(one.censored, np.nan, one.actual).astype(np.float64)
    begun = np.where(one.begun[:, None], one.actual, 0.0)
    return level_sums(profile, begun, level)


def _groups(profile: pd.DataFrame, level: str, repeats: int) -> NDArray[np.object_] | None:
    return np.tile(cells_of(profile), repeats) if level == "sku_store" else None
