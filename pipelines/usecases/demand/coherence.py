"""Coherent forecasts of all levels from the forecasts of single series, and their prediction intervals.

Each level has errors of its own: those of a region are not those of its stores added up. So the intervals of
a level come from past forecasts of that level after reconciliation, not from the intervals below it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.forecasting.accuracy import coverage_table
from models.forecasting.aggregate import aggregate
from models.forecasting.conformal import ConformalIntervals
from models.forecasting.forecaster import DemandForecaster, cells_of
from models.forecasting.panel import Mask, Matrix, Panel
from models.forecasting.reconcile import Certificate, Tree, reconcile
from pipelines.engines import Engine
from pipelines.usecases.demand.dataset import Origin, level_sums, node_codes, nodes_of
from pipelines.usecases.demand.forecasting import run_local
from pipelines.usecases.demand.schemas import HORIZONS, INTERVALS, LEVELS

Floats = NDArray[np.float64]
Ends = tuple[Floats, Floats]

#: Levels above the series, each of whose nodes has a base forecast of its own for the strategic view.
UPPER_LEVELS = ("national", "region", "store")

#: Levels with intervals: the hierarchy, and products over all stores.
INTERVAL_LEVELS = (*LEVELS, "sku")

#: Base forecasts of a level that are just the sums of the series' forecasts.
SUMMED = "bottom_up"

#: Days whose mean sales split a parent whose children are all forecast to sell nothing.
_SHARE_DAYS = 56


@dataclass(frozen=True)
class Coherent:
    """Coherent forecasts by level, each of shape (nodes, H).

    Attributes
    ----------
    nodes
        Names; those of the series are ``<store>/<product>`` in the order of the profile.
    operational, strategic
        Bottom-up and top-down. The level ``sku`` is a product over all stores.
    intervals
        Ends of the prediction intervals of ``operational`` by level and nominal coverage in percent.
    certificates
        By forecast.
    """

    nodes: Mapping[str, NDArray[np.object_]]
    operational: Mapping[str, Floats]
    strategic: Mapping[str, Floats]
    intervals: Mapping[str, Mapping[int, Ends]]
    certificates: Mapping[str, Certificate]


def reconcile_both(
    origin: Origin, profile: pd.DataFrame, units: Matrix, forecaster: DemandForecaster, engine: Engine
) -> Coherent:
    """Make the series' forecasts coherent, bottom-up for orders and top-down for plans.

    Parameters
    ----------
    units : ndarray of shape (n, H)
        Forecasts of the series.
    """
    tree = Tree.from_frame(profile)
    leaves = np.asarray(units, dtype=np.float64)
    bottom_up = reconcile(tree, {"sku_store": leaves}, method="bottom_up")
    own = _base_forecasts(origin.panel, profile, tree, forecaster.levels or {}, engine)
    recent = np.nan_to_num(origin.panel.y[:, -_SHARE_DAYS:]).mean(axis=1)
    top_down = reconcile(tree, {**bottom_up.values, **own}, method="top_down", shares=recent)

    def with_skus(values: Mapping[str, Floats]) -> dict[str, Floats]:
        return {**values, "sku": level_sums(profile, values["sku_store"], "sku")}

    operational = with_skus(bottom_up.values)
    upper = {level: np.array([str(name) for name in tree.ids(level)], dtype=object) for level in UPPER_LEVELS}
    return Coherent(
        nodes={**upper, "sku": node_codes(profile, "sku")[0], "sku_store": nodes_of(profile, "sku_store")},
        operational=operational,
        strategic=with_skus(top_down.values),
        intervals=_intervals(forecaster.intervals or {}, operational, profile),
        certificates={"operational": bottom_up.certificate, "strategic": top_down.certificate},
    )


def _base_forecasts(
    panel: Panel, profile: pd.DataFrame, tree: Tree, models: Mapping[str, str], engine: Engine
) -> dict[str, Floats]:
    """Forecasts of the nodes of upper levels by models of their own, in the order of the tree's nodes.

    Parameters
    ----------
    models
        Model by level; levels whose model is the sum of the series are left out.
    """
    found = {}
    for level, model in models.items():
        if model == SUMMED:
            continue
        nodes = aggregate(panel, nodes_of(profile, level))
        answer = run_local(nodes, {model: np.arange(len(nodes))}, orders=None, engine=engine)[model]
        place = {name: row for row, name in enumerate(nodes.series["store_id"])}
        order = [place[str(name)] for name in tree.ids(level)]
        found[level] = np.asarray(answer.units[order], dtype=np.float64)
    return found


# ------------------------------------------------------------------------------------------ intervals


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


def stacked(past: Sequence[Past], name: str) -> NDArray[Any]:
    """Matrices of several nights, one below the other."""
    return np.concatenate([getattr(one, name) for one in past])


def calibrate(past: Sequence[Past], profile: pd.DataFrame) -> dict[str, ConformalIntervals]:
    """Intervals by level from past forecasts; those of single series also by cell."""
    return {
        level: ConformalIntervals(INTERVALS).fit(
            *_compared(past, profile, level), groups=_groups(profile, level, len(past))
        )
        for level in INTERVAL_LEVELS
    }


def coverage_by_level(
    intervals: Mapping[str, ConformalIntervals], past: Sequence[Past], profile: pd.DataFrame
) -> pd.DataFrame:
    """Measured coverage on other past days, by level, nominal coverage and horizon (0: all)."""
    parts = []
    for level in INTERVAL_LEVELS:
        actual, units = _compared(past, profile, level)
        found = intervals[level].interval(units, groups=_groups(profile, level, len(past)))
        horizons = [horizon for horizon in HORIZONS if horizon <= actual.shape[1]]
        parts += [
            coverage_table(actual, *ends, horizons=horizons).assign(level=level, nominal=nominal)
            for nominal, ends in found.items()
        ]
    return pd.concat(parts, ignore_index=True).drop(columns=["group", "width"])


def _intervals(
    intervals: Mapping[str, ConformalIntervals], operational: Mapping[str, Floats], profile: pd.DataFrame
) -> dict[str, dict[int, Ends]]:
    """Ends around the forecasts of every level; column 0 is today, horizon 0."""
    return {
        level: intervals[level].interval(
            units, groups=_groups(profile, level, 1), horizons=range(units.shape[1])
        )
        for level, units in operational.items()
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
