"""Past forecasts of stores, regions, the nation and products, beside what was sold since.

A sum cannot leave out the series that had a stock-out or the one store that did not report: some of a large
node always have. So a day of stock-out counts as at least what was sold, and as the forecast if that is
more; a series that was not reported counts as its forecast, as long as these are a small part of the node.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from models.evaluation.bootstrap import Interval
from models.forecasting.accuracy import coverage_table, error_table, sum_rows
from pipelines.io.lake import Lake
from pipelines.usecases.demand.realised import QUANTITIES, Cube, Realised, by_days, past_forecasts
from pipelines.usecases.demand.recent import Recent, floats
from pipelines.usecases.demand.schemas import AGGREGATE_LEVELS, AGGREGATES

#: Largest share of a node's forecast that may stand in for series that were not reported.
MAX_UNKNOWN = 0.02

#: Column of the profile that names the node of a series, by level; none for the whole nation.
_NODE_COLUMN = {"national": None, "region": "region", "store": "store_id", "sku": "sku_id"}


@dataclass(frozen=True)
class LevelErrors:
    """Forecasts of the nodes of a level beside what was sold, k nodes over D days and H horizons.

    Attributes
    ----------
    nodes : ndarray of str, shape (k,)
    actual : ndarray of float64, shape (k, D, H)
        Demand as far as it is known, see the module; NaN where too little was reported.
    predicted : mapping of str to ndarray of float32, shape (k, D, H)
        By column of the forecasts.
    """

    level: str
    nodes: NDArray[Any]
    actual: NDArray[np.float64]
    predicted: Mapping[str, Cube]

    def errors(self, groups: NDArray[Any] | None = None, *, horizons: Iterable[int] = ()) -> pd.DataFrame:
        """Errors by group of nodes and horizon (0: all)."""
        return error_table(
            self._flat(self.actual),
            self._flat(self.predicted["operational"]),
            groups=None if groups is None else np.repeat(groups, self.actual.shape[1]),
            horizons=list(horizons),
        )

    def coverage(self, nominal: int, *, horizons: Iterable[int] = ()) -> pd.DataFrame:
        """Coverage of intervals by horizon (0: all)."""
        lower, upper = (self._flat(self.predicted[f"{side}_{nominal}"]) for side in ("lower", "upper"))
        return coverage_table(self._flat(self.actual), lower, upper, horizons=list(horizons))

    def coverage_interval(self, nominal: int) -> Interval:
        """Coverage of all horizons with its 90 % interval; whole days are drawn."""
        lower, upper = (self.predicted[f"{side}_{nominal}"] for side in ("lower", "upper"))
        judged = np.isfinite(self.actual)
        return by_days(judged & (lower <= self.actual) & (self.actual <= upper), judged)

    def _flat(self, cube: NDArray[Any]) -> NDArray[Any]:
        return cube.reshape(-1, cube.shape[2])


def node_codes(profile: pd.DataFrame, level: str) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Nodes of a level in order, and the position of each series' node among them."""
    column = _NODE_COLUMN[level]
    names = np.full(len(profile), "all") if column is None else profile[column].to_numpy().astype(np.str_)
    nodes, codes = np.unique(names, return_inverse=True)
    return nodes, codes


def read_levels(lake: Lake, realised: Realised) -> dict[str, LevelErrors]:
    """Forecasts of all aggregate levels beside what was sold, by level."""
    recent, horizon_days = realised.recent, realised.horizon_days
    if not lake.exists(AGGREGATES.name):
        return {}
    where = past_forecasts(recent, horizon_days)
    columns = ["level", "node", "ds", "horizon", *QUANTITIES]
    rows = lake.read(AGGREGATES, columns=columns, where=where)
    demand, unknown, forecast = _known_demand(realised)
    found = {}
    for level in AGGREGATE_LEVELS:
        nodes, codes = node_codes(recent.profile, level)
        sums = [_summed(part, codes) for part in (demand, unknown, forecast)]
        own = rows.filter(pc.equal(rows["level"], level))
        values = _placed(own, nodes, recent, horizon_days)
        enough = sums[1] <= MAX_UNKNOWN * sums[2]
        usable = enough & np.isfinite(values["operational"])
        found[level] = LevelErrors(level, nodes, np.where(usable, sums[0], np.nan), values)
    return found


def _known_demand(realised: Realised) -> tuple[Cube, Cube, Cube]:
    """Demand of each series as far as known, forecast that stands in for it, forecast; each (n, D, H)."""
    recent = realised.recent
    forecast = np.nan_to_num(realised.predicted["operational"])
    sold = np.nan_to_num(np.where(recent.is_open, recent.sold, 0))[:, :, None]
    unknown = recent.unknown[:, :, None]
    at_least = np.where(recent.stockout[:, :, None], np.maximum(sold, forecast), sold)
    return np.where(unknown, forecast, at_least), np.where(unknown, forecast, 0), forecast


def _summed(cube: Cube, codes: NDArray[np.intp]) -> NDArray[np.float64]:
    n, days, horizons = cube.shape
    return sum_rows(cube.reshape(n, -1), codes).reshape(-1, days, horizons)


def _placed(rows: pa.Table, nodes: NDArray[Any], recent: Recent, horizon_days: int) -> dict[str, Cube]:
    shape = (len(nodes), len(recent.days), horizon_days)
    values = {name: np.full(shape, np.nan, dtype=np.float32) for name in QUANTITIES}
    known = pa.array(nodes.tolist(), pa.string())
    for batch in rows.to_batches():
        node = np.asarray(pc.fill_null(pc.index_in(batch["node"], value_set=known), -1), dtype=np.intp)
        day = recent.places.day(batch["ds"])
        horizon = batch["horizon"].to_numpy(zero_copy_only=False) - 1
        keep = (node >= 0) & (day >= 0) & (day < len(recent.days))
        at = node[keep], day[keep], horizon[keep]
        for name in QUANTITIES:
            values[name][at] = floats(batch[name])[keep]
    return values
