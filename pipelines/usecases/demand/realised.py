"""Past forecasts beside what was sold since: the join, and the errors and coverage that follow from it.

A forecast of day *d* with the horizon *h* was made on the day *d - h*. Days of stock-out say that at least so
much was wanted, so a single series is not judged by them; days that a store has not reported are left out.

A sum cannot leave out the series that had a stock-out or the one store that did not report: some of a large
node always have. So a day of stock-out counts as at least what was sold, and as the forecast if that is
more; a series that was not reported counts as its forecast, as long as these are a small part of the node.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset
from numpy.typing import NDArray

from models.evaluation.bootstrap import Interval
from models.evaluation.ratios import ratio_interval
from models.forecasting.accuracy import coverage_table, error_table, judged_days, sum_rows
from models.forecasting.panel import Mask
from pipelines.io.lake import Lake, before_day
from pipelines.usecases.demand.dataset import batches, floats, node_codes
from pipelines.usecases.demand.recent import Recent, Series, narrowed
from pipelines.usecases.demand.schemas import AGGREGATE_LEVELS, AGGREGATES, FORECASTS, INTERVALS

Cube: TypeAlias = NDArray[np.float32]

#: Days that errors are measured on: two of each weekday.
WINDOW_DAYS = 14

#: Largest share of a node's forecast that may stand in for series that were not reported.
MAX_UNKNOWN = 0.02

#: Value columns of forecasts that are compared.
QUANTITIES = ("operational", *(f"{side}_{nominal}" for nominal in INTERVALS for side in ("lower", "upper")))


@dataclass(frozen=True)
class Realised:
    """Forecasts of the last D days, by how many days ahead they were made.

    Attributes
    ----------
    recent : Recent
        Series, days and sales.
    predicted : mapping of str to ndarray of float32, shape (n, D, H)
        By column of the forecasts (:data:`QUANTITIES`): what was forecast of the day, 1 .. H days ahead; NaN
        where no forecast was made.
    strangers : int
        Series that were forecast then and are not any more; they are not judged.
    """

    recent: Recent
    predicted: Mapping[str, Cube]
    strangers: int = 0

    @property
    def horizon_days(self) -> int:
        """H."""
        return int(self.predicted["operational"].shape[2])

    @cached_property
    def actual(self) -> Cube:
        """Sales beside each forecast, shape (n, D, H); NaN where there is nothing to compare."""
        sales = self.recent.actual[:, :, None]
        return np.where(np.isnan(self.predicted["operational"]), np.float32("nan"), sales)

    @cached_property
    def judged(self) -> Mask:
        """Forecasts that are judged, shape (n, D, H)."""
        return judged_days(self.actual, self.recent.stockout[:, :, None])

    def days_judged(self, horizon: int) -> int:
        """Days on which any forecast of a horizon is judged."""
        return int(self.judged[:, :, horizon - 1].any(axis=0).sum())

    def errors(
        self, groups: NDArray[Any] | None = None, *, rows: Mask | None = None, horizons: Iterable[int] = ()
    ) -> pd.DataFrame:
        """Errors by group of series and horizon (0: all), as :func:`models.forecasting.accuracy.error_table`.

        Parameters
        ----------
        groups : ndarray of shape (n,), optional
            Group of each series.
        rows : ndarray of bool, shape (n,), optional
            Series that count.
        """
        chosen = np.ones(len(self.recent), dtype=bool) if rows is None else rows
        actual, forecast = self._flat(self.actual, chosen), self._flat(self.predicted["operational"], chosen)
        return error_table(
            actual,
            forecast,
            censored=self._censored(chosen),
            groups=None if groups is None else self._each_day(groups[chosen]),
            series=self._each_day(np.flatnonzero(chosen)),
            horizons=list(horizons),
        )

    def coverage(
        self, nominal: int, groups: NDArray[Any] | None = None, *, horizons: Iterable[int] = ()
    ) -> pd.DataFrame:
        """Coverage of intervals, as :func:`models.forecasting.accuracy.coverage_table`."""
        chosen = np.ones(len(self.recent), dtype=bool)
        return coverage_table(
            self._flat(self.actual, chosen),
            self._flat(self.predicted[f"lower_{nominal}"], chosen),
            self._flat(self.predicted[f"upper_{nominal}"], chosen),
            censored=self._censored(chosen),
            groups=None if groups is None else self._each_day(groups),
            horizons=list(horizons),
        )

    def coverage_interval(self, nominal: int) -> Interval:
        """Coverage of all horizons with its 90 % interval; whole days are drawn."""
        lower, upper = (self.predicted[f"{side}_{nominal}"] for side in ("lower", "upper"))
        inside = self.judged & (lower <= self.actual) & (self.actual <= upper)
        return _by_days(inside, self.judged)

    def mape_interval(self, horizon: int, rows: Mask) -> Interval:
        """MAPE of some series at a horizon with its 90 % interval; whole products are drawn.

        The days and stores of a product are wrong together, so they are drawn together.
        """
        sales, error = self._at(horizon, rows)
        sold = sales > 0  # NaN where not judged
        relative = np.divide(np.abs(error), sales, out=np.zeros_like(error), where=sold)
        return ratio_interval(relative.sum(axis=1), sold.sum(axis=1), self._products(rows))

    def bias_interval(self, rows: Mask) -> Interval:
        """Bias of some series over all horizons with its 90 % interval; whole products are drawn."""
        top, bottom = np.zeros(int(rows.sum())), np.zeros(int(rows.sum()))
        for horizon in range(1, self.horizon_days + 1):  # one at a time keeps the memory small
            sales, error = self._at(horizon, rows)
            top += np.nansum(error, axis=1)
            bottom += np.nansum(sales, axis=1)
        return ratio_interval(top, bottom, self._products(rows))

    def _at(self, horizon: int, rows: Mask) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Sales and errors of a horizon, shape (rows, D); NaN where not judged."""
        judged = self.judged[rows, :, horizon - 1]
        sales = np.where(judged, self.actual[rows, :, horizon - 1], np.nan).astype(np.float64)
        return sales, self.predicted["operational"][rows, :, horizon - 1] - sales

    def _products(self, rows: Mask) -> NDArray[Any]:
        return self.recent.profile["sku_id"].to_numpy()[rows]

    def _flat(self, cube: Cube, rows: Mask) -> NDArray[np.float32]:
        return cube[rows].reshape(-1, self.horizon_days)

    def _censored(self, rows: Mask) -> Mask:
        flat = self.recent.stockout[rows].reshape(-1, 1)
        return np.broadcast_to(flat, (len(flat), self.horizon_days))

    def _each_day(self, values: NDArray[Any]) -> NDArray[Any]:
        return np.repeat(values, len(self.recent.days))


def _by_days(part: Mask, whole: Mask) -> Interval:
    """Share of forecasts, both of shape (k, D, H), with the interval from drawing whole days.

    What happens on a day happens to many nodes at once, at all horizons.
    """
    top, bottom = (values.sum(axis=(0, 2)) for values in (part, whole))
    return ratio_interval(top, bottom, np.arange(len(top)))


def join(recent: Recent, forecasts: Iterable[pa.RecordBatch], *, horizon_days: int) -> Realised:
    """Place past forecasts beside the sales of their days.

    Parameters
    ----------
    recent
        Sales of the days to judge.
    forecasts
        Rows of ``predictions/demand_forecasts`` with store, product, ``ds``, ``horizon`` and
        :data:`QUANTITIES`, of any ``as_of``; rows of other days and series are left out.
    """
    shape = (*recent.sold.shape, horizon_days)
    values = {name: np.full(shape, np.nan, dtype=np.float32) for name in QUANTITIES}
    strangers: set[tuple[str, str]] = set()
    for batch in forecasts:
        row = recent.places.series(batch["store_id"], batch["sku_id"])
        day = recent.places.day(batch["ds"])
        horizon = batch["horizon"].to_numpy(zero_copy_only=False) - 1
        inside = (day >= 0) & (day < len(recent.days)) & (horizon >= 0) & (horizon < horizon_days)
        lost = pa.Table.from_batches([batch.select(["store_id", "sku_id"])]).filter(
            pa.array(inside & (row < 0))
        )
        strangers |= set(zip(*(column.to_pylist() for column in lost.columns), strict=True))
        keep = inside & (row >= 0)
        at = row[keep], day[keep], horizon[keep]
        for name in QUANTITIES:
            values[name][at] = floats(batch[name])[keep]
    return Realised(recent, values, len(strangers))


def read_realised(
    lake: Lake, recent: Recent, *, horizon_days: int, only: Series | None = None
) -> Realised | None:
    """Join the days of ``recent`` with the forecasts that were made of them.

    Parameters
    ----------
    only
        The one series that ``recent`` holds; all if None.

    Returns
    -------
    None if none was made.
    """
    if not lake.exists(FORECASTS.name):
        return None
    columns = ["store_id", "sku_id", "ds", "horizon", *QUANTITIES]
    rows = batches(lake, FORECASTS.name, narrowed(_past_forecasts(recent, horizon_days), only), columns)
    found = join(recent, rows, horizon_days=horizon_days)
    return found if np.isfinite(found.predicted["operational"]).any() else None


def _past_forecasts(recent: Recent, horizon_days: int) -> pa_dataset.Expression:
    """Filter for forecasts of the days of ``recent`` that were made before ``as_of``."""
    field = pa_dataset.field
    first: date = recent.days[0].item()
    return (
        (field("as_of") >= first - timedelta(days=horizon_days))
        & before_day(recent.as_of)
        & (field("ds") >= first)
        & (field("ds") < recent.as_of)
        & (field("horizon") <= horizon_days)
    )


# --------------------------------------------------------------------------------------------- levels


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
    nodes: NDArray[np.object_]
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
        return _by_days(judged & (lower <= self.actual) & (self.actual <= upper), judged)

    def _flat(self, cube: NDArray[Any]) -> NDArray[Any]:
        return cube.reshape(-1, cube.shape[2])


def read_levels(lake: Lake, realised: Realised) -> dict[str, LevelErrors]:
    """Forecasts of all aggregate levels beside what was sold, by level."""
    recent, horizon_days = realised.recent, realised.horizon_days
    if not lake.exists(AGGREGATES.name):
        return {}
    where = _past_forecasts(recent, horizon_days)
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


def _placed(rows: pa.Table, nodes: NDArray[np.object_], recent: Recent, horizon_days: int) -> dict[str, Cube]:
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
