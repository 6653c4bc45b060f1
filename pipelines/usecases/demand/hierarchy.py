"""Coherent forecasts of all levels from the forecasts of single series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.forecasting.aggregate import aggregate
from models.forecasting.forecaster import DemandForecaster
from models.forecasting.panel import Matrix, Panel
from models.forecasting.reconcile import Certificate, Tree, reconcile
from pipelines.engines import Engine
from pipelines.usecases.demand.dataset import Origin
from pipelines.usecases.demand.forecasting import run_local
from pipelines.usecases.demand.intervals import Ends, intervals_of
from pipelines.usecases.demand.nodes import level_sums, nodes_of

Floats = NDArray[np.float64]

#: Levels above the series, each of whose nodes has a base forecast of its own for the strategic view.
UPPER_LEVELS = ("national", "region", "store")

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


def tree_of(profile: pd.DataFrame) -> Tree:
    """Hierarchy nation, region, store, series; the leaves keep the order of the profile."""
    return Tree.from_frame(profile)


def base_forecasts(
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


def reconcile_both(
    origin: Origin, profile: pd.DataFrame, units: Matrix, forecaster: DemandForecaster, engine: Engine
) -> Coherent:
    """Make the series' forecasts coherent, bottom-up for orders and top-down for plans.

    Parameters
    ----------
    units : ndarray of shape (n, H)
        Forecasts of the series.
    """
    tree = tree_of(profile)
    leaves = np.asarray(units, dtype=np.float64)
    bottom_up = reconcile(tree, {"sku_store": leaves}, method="bottom_up")
    own = base_forecasts(origin.panel, profile, tree, forecaster.levels or {}, engine)
    recent = np.nan_to_num(origin.panel.y[:, -_SHARE_DAYS:]).mean(axis=1)
    top_down = reconcile(tree, {**bottom_up.values, **own}, method="top_down", shares=recent)

    def with_skus(values: Mapping[str, Floats]) -> dict[str, Floats]:
        return {**values, "sku": level_sums(profile, values["sku_store"], "sku")}

    operational = with_skus(bottom_up.values)
    nodes = {
        **{
            level: np.asarray([str(name) for name in tree.ids(level)], dtype=object) for level in UPPER_LEVELS
        },
        "sku": np.unique(nodes_of(profile, "sku")),
        "sku_store": nodes_of(profile, "sku_store"),
    }
    return Coherent(
        nodes=nodes,
        operational=operational,
        strategic=with_skus(top_down.values),
        intervals=intervals_of(forecaster.intervals or {}, operational, profile),
        certificates={"operational": bottom_up.certificate, "strategic": top_down.certificate},
    )
