"""What pages, checks and explanations read of a day: forecasts, newest sales, both together, and names.

A forecast of day *d* with the horizon *h* was made on the day *d - h*. Days of stock-out say that at least so
much was wanted, so a single series is not judged by them; days that a store has not reported are left out.

A sum cannot leave out the series that had a stock-out or the one store that did not report: some of a large
node always have. So a day of stock-out counts as at least what was sold, and as the forecast if that is
more; a series that was not reported counts as its forecast, as long as these are a small part of the node.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset
from numpy.typing import NDArray

from models.forecasting.accuracy import sum_rows
from models.forecasting.compared import Compared, Cube
from models.forecasting.levels import node_codes
from models.forecasting.panel import Matrix
from pipelines.io.lake import Lake, before_day, on_day
from pipelines.usecase import Run
from pipelines.usecases.demand.dataset import (
    AHEAD,
    Places,
    Recent,
    Series,
    batches,
    floats,
    narrowed,
    read_recent,
    weekday_means,
)
from pipelines.usecases.demand.names import Names, read_names
from pipelines.usecases.demand.params import DemandParams
from pipelines.usecases.demand.schemas import AGGREGATE_LEVELS, AGGREGATES, COMPARED, FORECASTS, SERIES

#: Days of sales that the page shows.
HISTORY_DAYS = 56

#: Days that errors are measured on: two of each weekday.
WINDOW_DAYS = 14

#: Days whose sales a weekday's usual volume is taken from.
USUAL_DAYS = 28

#: Largest part of a node's forecast that may stand in for series that were not reported.
MAX_UNKNOWN = 0.02

#: Earlier forecasts older than this are not compared with.
_PREVIOUS_DAYS = 7


@dataclass(frozen=True)
class DayData:
    """Tables of a day, each read when it is first asked for and only the part of it that is needed."""

    run: Run[DemandParams]
    #: The one series to read; all if None.
    only: Series | None = None
    #: Days of sales to read.
    history_days: int = HISTORY_DAYS

    @property
    def as_of(self) -> date:
        """The day."""
        return self.run.as_of

    @property
    def params(self) -> DemandParams:
        """Parameters of the use case."""
        return self.run.params

    @property
    def lake(self) -> Lake:
        """Where the tables lie."""
        return self.run.lake

    @cached_property
    def recent(self) -> Recent | None:
        """Newest sales of the series that are forecast; None if the day was not prepared."""
        return read_recent(self.lake, self.as_of, self.history_days, only=self.only)

    @cached_property
    def realised(self) -> Realised | None:
        """Past forecasts beside sales; None if there are none."""
        if self.recent is None:
            return None
        window = self.recent.last(WINDOW_DAYS)
        return read_realised(self.lake, window, horizon_days=self.params.horizon_days, only=self.only)

    @cached_property
    def levels(self) -> dict[str, Compared]:
        """The same for stores, regions, the nation and products."""
        return {} if self.realised is None else read_levels(self.lake, self.realised)

    @cached_property
    def names(self) -> Names:
        """What stores and products are called."""
        return read_names(self.lake, self.as_of)

    @cached_property
    def served(self) -> pa.Table:
        """One row per series that was forecast, see :meth:`served_on`."""
        return self.served_on(self.as_of)

    @cached_property
    def previous(self) -> date | None:
        """Newest earlier day with forecasts, not older than a week; None if there is none."""
        near = pa_dataset.field("as_of") >= self.as_of - timedelta(days=_PREVIOUS_DAYS)
        where = near & (pa_dataset.field("level") == "national")
        return self.lake.newest_day(AGGREGATES, self.as_of - timedelta(days=1), where)

    @cached_property
    def national(self) -> dict[date, float]:
        """Units forecast for the nation by day, in order; empty without forecasts of the day."""
        return self._national_on(self.as_of)

    @cached_property
    def usual(self) -> dict[int, float]:
        """Mean units sold by the whole chain on each weekday (0 is Monday) of the last four weeks.

        Days of which an open store has not reported a notable part are left out.
        """
        if self.recent is None:
            return {}
        weeks = self.recent.last(USUAL_DAYS)
        weight = weeks.profile["mean_quantity"].to_numpy()[:, None]
        # A series that was not on sale yet weighs as if unreported; there are few.
        unknown = (weight * weeks.unknown).sum(axis=0) / max(float(weight.sum()), 1e-9)
        sold = np.nansum(weeks.sold, axis=0)
        return weekday_means(np.where(unknown <= MAX_UNKNOWN, sold, np.nan), weeks.days)

    @cached_property
    def against_usual(self) -> tuple[float, int] | None:
        """Total over the usual sales of the same weekdays, minus one, and the number of days; None if unknown."""
        usual = {day: self.usual[day.weekday()] for day in self.national if day.weekday() in self.usual}
        return self._against(usual)

    @cached_property
    def against_previous(self) -> tuple[float, int] | None:
        """Total over that of the forecasts before for the same days, minus one, and the number of these days."""
        return self._against(self._national_on(self.previous) if self.previous else {})

    @cached_property
    def aggregates(self) -> pd.DataFrame:
        """Forecasts of the nation, regions and stores, in order of the days."""
        where = on_day(self.as_of) & (pa_dataset.field("level") != "sku")
        rows: pd.DataFrame = self.lake.read(AGGREGATES, where=where, missing_ok=True).to_pandas()
        return rows.sort_values(["level", "node", "ds"], ignore_index=True)

    @cached_property
    def series(self) -> pd.DataFrame:
        """Newest ``predictions/demand_series`` up to the day; empty before the first training."""
        day = self.lake.newest_day(SERIES, self.as_of)
        where = narrowed(on_day(day or self.as_of), self.only)
        found: pd.DataFrame = self.lake.read(SERIES, where=where, missing_ok=True).to_pandas()
        return found

    @cached_property
    def forecasts(self) -> dict[str, Matrix]:
        """The day's forecasts of each series, with intervals; see :meth:`forecasts_made_on`."""
        return self.forecasts_made_on(self.as_of, [*COMPARED, "strategic"])

    @cached_property
    def promotions(self) -> Matrix:
        """Promotions of the days ahead as known on the day; see :meth:`promotions_ahead`."""
        return self.promotions_ahead(self.as_of)

    def served_on(self, day: date) -> pa.Table:
        """One row per series that was forecast: store, product, segment, model, reason and version."""
        columns = ["store_id", "sku_id", "segment", "model", "reason", "model_version"]
        where = narrowed(on_day(day) & (pa_dataset.field("horizon") == 1), self.only)
        return self.lake.read(FORECASTS, columns=columns, where=where, missing_ok=True)

    def forecasts_made_on(self, day: date, columns: Sequence[str]) -> dict[str, Matrix]:
        """Forecasts of each series of ``recent`` for the days after ``as_of``, shape (n, H), made on a day.

        Days for which that forecast says nothing are NaN.
        """
        found = self._ahead(FORECASTS.name, day, columns)
        return {name: values[:, 1:] for name, values in found.items()}

    def promotions_ahead(self, known_on: date) -> Matrix:
        """Discounts of each series today and on the days ahead as known on a day, shape (n, 1 + H).

        NaN throughout if that day's table is not kept.
        """
        return self._ahead(AHEAD, known_on, ["promo_discount"])["promo_discount"]

    def models(self, made_on: date) -> NDArray[np.object_]:
        """Model of each series of ``recent`` on a day, shape (n,); empty where it was not forecast."""
        found = np.full(len(self._profile), "", dtype=object)
        rows = self.served if made_on == self.as_of else self.served_on(made_on)
        for batch in rows.to_batches():
            row = self._places_ahead.series(batch)
            found[row[row >= 0]] = batch["model"].to_numpy(zero_copy_only=False)[row >= 0]
        return found

    def described(self, row: int) -> dict[str, Any]:
        """Store and product of a series of ``recent``, as tables of the page name them."""
        store, sku = (str(self._profile[name].iloc[row]) for name in ("store_id", "sku_id"))
        return {
            "choice": f"{store}/{sku}",
            "store": self.names.store_with_id(store),
            "sku": sku,
            "product": self.names.product(sku),
        }

    @property
    def _profile(self) -> pd.DataFrame:
        return pd.DataFrame({"store_id": [], "sku_id": []}) if self.recent is None else self.recent.profile

    @cached_property
    def _places_ahead(self) -> Places:
        """Places whose first day is ``as_of``."""
        return Places(self._profile, np.datetime64(self.as_of, "D"), 1 + self.params.horizon_days)

    def _ahead(self, table: str, day: date, columns: Sequence[str]) -> dict[str, Matrix]:
        """Columns of a table of days ahead as written on a day, each of shape (n, 1 + H); NaN where it has none."""
        shape = (len(self._profile), 1 + self.params.horizon_days)
        found = {name: np.full(shape, np.nan, dtype=np.float32) for name in columns}
        if self.lake.exists(table):
            where = narrowed(on_day(day), self.only)
            for rows, row, step in self._places_ahead.read(self.lake, table, where, columns):
                for name in columns:
                    found[name][row, step] = floats(rows[name])
        return found

    def _national_on(self, day: date) -> dict[date, float]:
        where = on_day(day) & (pa_dataset.field("level") == "national")
        columns = ["ds", "operational"]
        rows = self.lake.read(AGGREGATES, columns=columns, where=where, missing_ok=True).sort_by("ds")
        return dict(zip(rows["ds"].to_pylist(), rows["operational"].to_pylist(), strict=True))

    def _against(self, expected: Mapping[date, float]) -> tuple[float, int] | None:
        """Total over what was expected of the same days, minus one, and their number."""
        shared = [day for day in self.national if day in expected]
        whole = sum(expected[day] for day in shared)
        return (sum(self.national[day] for day in shared) / whole - 1, len(shared)) if whole else None


def fallback_share(rows: pa.Table) -> float | None:
    """Share of the series whose forecast is a fallback's; None without series."""
    share: float | None = pc.mean(pc.starts_with(rows["model"], "fallback").cast(pa.float64())).as_py()
    return share


# ------------------------------------------------------------------------- past forecasts beside sales


@dataclass(frozen=True)
class Realised(Compared):
    """Forecasts of the series beside what was sold."""

    #: Series, days and sales.
    recent: Recent
    #: Series that were forecast then and are not any more; they are not judged.
    strangers: int = 0

    @classmethod
    def of(cls, recent: Recent, predicted: Mapping[str, Cube], strangers: int = 0) -> Realised:
        """Compare with the sales of the days; an error's interval draws whole products.

        The days and stores of a product are wrong together.
        """
        made = ~np.isnan(predicted["operational"])
        actual = np.where(made, recent.actual[:, :, None], np.float32("nan"))
        products = recent.profile["sku_id"].to_numpy()
        return cls(predicted, actual, recent.stockout, products, recent, strangers)


def read_realised(
    lake: Lake, recent: Recent, *, horizon_days: int, only: Series | None = None
) -> Realised | None:
    """Join the days of ``recent``, which holds the one series ``only`` if given, with the forecasts made of them.

    None if none was made.
    """
    if not lake.exists(FORECASTS.name):
        return None
    columns = ["store_id", "sku_id", "ds", "horizon", *COMPARED]
    where = narrowed(_past_forecasts(recent, horizon_days), only)
    found = join(recent, batches(lake, FORECASTS.name, where, columns), horizon_days=horizon_days)
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


def join(recent: Recent, forecasts: Iterable[pa.RecordBatch], *, horizon_days: int) -> Realised:
    """Place past forecasts beside the sales of their days.

    ``forecasts`` are rows of ``predictions/demand_forecasts`` with store, product, ``ds``, ``horizon`` and
    :data:`COMPARED`, of any ``as_of``; rows of other days and series are left out.
    """
    strangers: set[tuple[str, str]] = set()

    def rows() -> Iterator[tuple[pa.RecordBatch, NDArray[np.intp]]]:
        for batch in forecasts:
            row, day = recent.places.series(batch), recent.places.day(batch)
            lost = batch.filter(pa.array((row < 0) & (day >= 0) & (day < len(recent.days))))
            strangers.update(zip(lost["store_id"].to_pylist(), lost["sku_id"].to_pylist(), strict=True))
            yield batch, row

    predicted = _cubes(recent, rows(), len(recent), horizon_days)
    return Realised.of(recent, predicted, len(strangers))


def _cubes(
    recent: Recent, found: Iterable[tuple[pa.RecordBatch, NDArray[np.intp]]], count: int, horizon_days: int
) -> dict[str, Cube]:
    """Forecasts by column, day and horizon, shape (count, D, H), from batches and the matrix row of each row."""
    shape = (count, len(recent.days), horizon_days)
    values = {name: np.full(shape, np.nan, dtype=np.float32) for name in COMPARED}
    for batch, row in found:
        day = recent.places.day(batch)
        horizon = batch["horizon"].to_numpy(zero_copy_only=False) - 1
        keep = (row >= 0) & (day >= 0) & (day < shape[1]) & (horizon >= 0) & (horizon < horizon_days)
        at = row[keep], day[keep], horizon[keep]
        for name in COMPARED:
            values[name][at] = floats(batch[name])[keep]
    return values


def read_levels(lake: Lake, realised: Realised) -> dict[str, Compared]:
    """Forecasts of the nodes of all aggregate levels beside what was sold, by level.

    What was sold is the demand as far as it is known, see the module; NaN where too little was reported.
    """
    recent, horizon_days = realised.recent, realised.horizon_days
    if not lake.exists(AGGREGATES.name):
        return {}
    columns = ["level", "node", "ds", "horizon", *COMPARED]
    rows = lake.read(AGGREGATES, columns=columns, where=_past_forecasts(recent, horizon_days))
    # Of each series: the demand as far as known, the forecast that stands in for it, and the forecast.
    forecast = np.nan_to_num(realised.predicted["operational"])
    sold = np.nan_to_num(np.where(recent.is_open, recent.sold, 0))[:, :, None]
    at_least = np.where(recent.stockout[:, :, None], np.maximum(sold, forecast), sold)
    demand = np.where(recent.unknown[:, :, None], forecast, at_least)
    unknown = np.where(recent.unknown[:, :, None], forecast, 0)
    found = {}
    for level in AGGREGATE_LEVELS:
        nodes, codes = node_codes(recent.profile, level)
        known = pa.array(nodes.tolist(), pa.string())
        own = [
            (batch, np.asarray(pc.fill_null(pc.index_in(batch["node"], value_set=known), -1), dtype=np.intp))
            for batch in rows.filter(pc.equal(rows["level"], level)).to_batches()
        ]
        values = _cubes(recent, own, len(nodes), horizon_days)
        whole, missing, made = (
            sum_rows(part.reshape(len(recent), -1), codes).reshape(values["operational"].shape)
            for part in (demand, unknown, forecast)
        )
        usable = (missing <= MAX_UNKNOWN * made) & np.isfinite(values["operational"])
        censored = np.zeros(usable.shape[:2], dtype=bool)
        found[level] = Compared(values, np.where(usable, whole, np.nan), censored, nodes)
    return found
