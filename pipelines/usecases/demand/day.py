"""What pages, checks and explanations read of a day: forecasts, newest sales, both together, and names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset
from numpy.typing import NDArray

from models.forecasting.panel import Matrix
from pipelines.io.lake import Lake, before_day, on_day
from pipelines.reporting.sections import newest_day
from pipelines.usecase import Run
from pipelines.usecases.demand.dataset import AHEAD, Places, batches, floats
from pipelines.usecases.demand.params import DemandParams
from pipelines.usecases.demand.realised import (
    MAX_UNKNOWN,
    QUANTITIES,
    WINDOW_DAYS,
    LevelErrors,
    Realised,
    read_levels,
    read_realised,
)
from pipelines.usecases.demand.recent import Recent, Series, dates, narrowed, read_recent
from pipelines.usecases.demand.schemas import AGGREGATES, FORECASTS, SERIES

#: Days of sales that the page shows.
HISTORY_DAYS = 56

#: Days whose sales a weekday's usual volume is taken from.
USUAL_DAYS = 28

#: Earlier forecasts older than this are not compared with.
_PREVIOUS_DAYS = 7

_STORES, _PRODUCTS = "raw/demand_stores", "raw/demand_products"


@dataclass(frozen=True)
class DayData:
    """Tables of a day, each read when it is first asked for and only the part of it that is needed.

    Attributes
    ----------
    only
        The one series to read; all if None.
    history_days
        Days of sales to read.
    """

    run: Run[DemandParams]
    only: Series | None = None
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
    def levels(self) -> dict[str, LevelErrors]:
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
        where = before_day(self.as_of) & near & (pa_dataset.field("level") == "national")
        return self.lake.newest_day(AGGREGATES, where)

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
        sold = np.nansum(weeks.sold, axis=0)
        weight = weeks.profile["mean_quantity"].to_numpy()[:, None]
        # A series that was not on sale yet weighs as if unreported; there are few.
        unknown = (weight * weeks.unknown).sum(axis=0) / max(float(weight.sum()), 1e-9)
        weekday = np.array([day.weekday() for day in dates(weeks.days)])
        usable = unknown <= MAX_UNKNOWN
        return {
            day: float(sold[usable & (weekday == day)].mean())
            for day in range(7)
            if (usable & (weekday == day)).any()
        }

    @cached_property
    def against_usual(self) -> tuple[float, int] | None:
        """Total over the usual sales of the same weekdays, minus one, and the number of days; None if unknown."""
        shared = [day for day in self.national if day.weekday() in self.usual]
        expected = sum(self.usual[day.weekday()] for day in shared)
        return (sum(self.national[day] for day in shared) / expected - 1, len(shared)) if expected else None

    @cached_property
    def against_previous(self) -> tuple[float, int] | None:
        """Total over that of the forecasts before for the same days, minus one, and the number of these days."""
        earlier = self._national_on(self.previous) if self.previous else {}
        shared = [day for day in self.national if day in earlier]
        was = sum(earlier[day] for day in shared)
        return (sum(self.national[day] for day in shared) / was - 1, len(shared)) if was else None

    @cached_property
    def aggregates(self) -> pd.DataFrame:
        """Forecasts of the nation, regions and stores, in order of the days."""
        where = on_day(self.as_of) & (pa_dataset.field("level") != "sku")
        rows: pd.DataFrame = self.lake.read(AGGREGATES, where=where, missing_ok=True).to_pandas()
        return rows.sort_values(["level", "node", "ds"], ignore_index=True)

    @cached_property
    def series(self) -> pd.DataFrame:
        """Newest ``predictions/demand_series`` up to the day; empty before the first training."""
        day = newest_day(self.lake, SERIES, self.as_of)
        where = narrowed(on_day(day or self.as_of), self.only)
        found: pd.DataFrame = self.lake.read(SERIES, where=where, missing_ok=True).to_pandas()
        return found

    @cached_property
    def forecasts(self) -> dict[str, Matrix]:
        """The day's forecasts of each series, with intervals; see :meth:`leaves`."""
        return self.leaves(self.as_of, [*QUANTITIES, "strategic"])

    @cached_property
    def promotions(self) -> Matrix:
        """Promotions of the days ahead as known on the day; see :meth:`promotions_ahead`."""
        return self.promotions_ahead(self.as_of)

    def served_on(self, day: date) -> pa.Table:
        """One row per series that was forecast: store, product, segment, model, reason and version."""
        columns = ["store_id", "sku_id", "segment", "model", "reason", "model_version"]
        where = narrowed(on_day(day) & (pa_dataset.field("horizon") == 1), self.only)
        return self.lake.read(FORECASTS, columns=columns, where=where, missing_ok=True)

    def leaves(self, made_on: date, columns: Sequence[str]) -> dict[str, Matrix]:
        """Forecasts of each series of ``recent`` for the days after ``as_of``, shape (n, H), made on a day.

        Days for which that forecast says nothing are NaN.
        """
        places, horizon = self._ahead_places, self.params.horizon_days
        values = {name: np.full((len(self._profile), horizon), np.nan, dtype=np.float32) for name in columns}
        for batch in self._batches(FORECASTS.name, made_on, ["store_id", "sku_id", "ds", *columns]):
            row, day = places.series(batch["store_id"], batch["sku_id"]), places.day(batch["ds"]) - 1
            keep = (row >= 0) & (day >= 0) & (day < horizon)
            for name in columns:
                values[name][row[keep], day[keep]] = floats(batch[name])[keep]
        return values

    def models(self, made_on: date) -> NDArray[np.object_]:
        """Model of each series of ``recent`` on a day, shape (n,); empty where it was not forecast."""
        found = np.full(len(self._profile), "", dtype=object)
        rows = self.served if made_on == self.as_of else self.served_on(made_on)
        for batch in rows.to_batches():
            row = self._ahead_places.series(batch["store_id"], batch["sku_id"])
            found[row[row >= 0]] = batch["model"].to_numpy(zero_copy_only=False)[row >= 0]
        return found

    def promotions_ahead(self, known_on: date) -> Matrix:
        """Discounts of each series today and on the days ahead as known on a day, shape (n, 1 + H).

        NaN throughout if that day's table is not kept.
        """
        shape = (len(self._profile), 1 + self.params.horizon_days)
        found = np.full(shape, np.nan, dtype=np.float32)
        places = self._ahead_places
        for batch in self._batches(AHEAD, known_on, ["store_id", "sku_id", "ds", "promo_discount"]):
            row, day = places.series(batch["store_id"], batch["sku_id"]), places.day(batch["ds"])
            keep = (row >= 0) & (day >= 0) & (day < shape[1])
            found[row[keep], day[keep]] = floats(batch["promo_discount"])[keep]
        return found

    @property
    def _profile(self) -> pd.DataFrame:
        return pd.DataFrame({"store_id": [], "sku_id": []}) if self.recent is None else self.recent.profile

    @cached_property
    def _ahead_places(self) -> Places:
        """Places whose first day is ``as_of``."""
        return Places(self._profile, np.datetime64(self.as_of, "D"), 1 + self.params.horizon_days)

    def _batches(self, table: str, day: date, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        if not self.lake.exists(table):
            return iter(())
        return batches(self.lake, table, narrowed(on_day(day), self.only), columns)

    def _national_on(self, day: date) -> dict[date, float]:
        where = on_day(day) & (pa_dataset.field("level") == "national")
        columns = ["ds", "operational"]
        rows = self.lake.read(AGGREGATES, columns=columns, where=where, missing_ok=True).sort_by("ds")
        return dict(zip(rows["ds"].to_pylist(), rows["operational"].to_pylist(), strict=True))


def fallback_share(rows: pa.Table) -> float | None:
    """Share of the series whose forecast is a fallback's; None without series."""
    if not rows.num_rows:
        return None
    share: float = pc.mean(pc.starts_with(rows["model"], "fallback").cast(pa.float64())).as_py()
    return share


@dataclass(frozen=True)
class Names:
    """What people call stores and products, by id; an id without a name stands for itself."""

    stores: Mapping[str, str]
    products: Mapping[str, str]

    def store(self, store_id: str) -> str:
        """Name of a store."""
        return self.stores.get(store_id) or store_id

    def store_with_id(self, store_id: str) -> str:
        """Id and name of a store; the id alone if it has no name."""
        name = self.store(store_id)
        return store_id if name == store_id else f"{store_id} {name}"

    def product(self, sku_id: str) -> str:
        """Name of a product."""
        return self.products.get(sku_id) or sku_id

    def series(self, store_id: str, sku_id: str) -> str:
        """Product in a store."""
        return f"{self.product(sku_id)}, {self.store(store_id)}"

    def node(self, level: str, node: str) -> str:
        """Node of any level."""
        if level == "national":
            return "All stores"
        if level == "sku_store":
            store, _, sku = node.partition("/")
            return self.series(store, sku)
        return self.store(node) if level == "store" else self.product(node) if level == "sku" else node


def read_names(lake: Lake, as_of: date) -> Names:
    """Newest names known before a day; empty if stores and products were never delivered."""

    def newest(table: str, key: str, name: str) -> dict[str, str]:
        if not lake.exists(table):
            return {}
        before = pa_dataset.field("known_at") < datetime.combine(as_of, datetime.min.time())
        rows = lake.read(table, columns=[key, name, "known_at"], where=before).sort_by("known_at")
        return dict(zip(rows[key].to_pylist(), rows[name].to_pylist(), strict=True))

    return Names(newest(_STORES, "store_id", "store_name"), newest(_PRODUCTS, "sku_id", "product_name"))
