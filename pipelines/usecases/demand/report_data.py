"""What the parts of the report share: the day's forecasts, the newest sales, and both together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pa_dataset
from numpy.typing import NDArray

from pipelines.io.lake import Lake
from pipelines.reporting.sections import newest_day
from pipelines.usecases.demand.checks_volume import forecast_series, previous_day
from pipelines.usecases.demand.dataset import AHEAD, Places
from pipelines.usecases.demand.names import Names, read_names
from pipelines.usecases.demand.params import DemandParams
from pipelines.usecases.demand.realised import QUANTITIES, WINDOW_DAYS, Realised, read_realised
from pipelines.usecases.demand.realised_levels import LevelErrors, read_levels
from pipelines.usecases.demand.recent import Matrix, Recent, Series, floats, narrowed, read_recent
from pipelines.usecases.demand.schemas import AGGREGATES, FORECASTS, SERIES

#: Days of sales that the page shows.
HISTORY_DAYS = 56

#: Levels that the page names in words.
LEVEL_WORDS = {
    "national": "nation",
    "region": "region",
    "store": "store",
    "sku": "product",
    "sku_store": "product by store",
}


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

    lake: Lake
    as_of: date
    params: DemandParams
    only: Series | None = None
    history_days: int = HISTORY_DAYS

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
        horizon_days = self.params.horizon_days
        return read_realised(self.lake, window, horizon_days=horizon_days, only=self.only)

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
        """One row per series that was forecast, with its model."""
        return forecast_series(self.lake, self.as_of, only=self.only)

    @cached_property
    def previous(self) -> date | None:
        """Newest earlier day with forecasts."""
        return previous_day(self.lake, self.as_of)

    @cached_property
    def aggregates(self) -> pd.DataFrame:
        """Forecasts of the nation, regions and stores, in order of the days."""
        field = pa_dataset.field
        where = (field("as_of") == self.as_of) & (field("level") != "sku")
        rows: pd.DataFrame = self.lake.read(AGGREGATES, where=where, missing_ok=True).to_pandas()
        return rows.sort_values(["level", "node", "ds"], ignore_index=True)

    @cached_property
    def series(self) -> pd.DataFrame:
        """Newest ``predictions/demand_series`` up to the day; empty before the first training."""
        day = newest_day(self.lake, SERIES, self.as_of)
        where = narrowed(pa_dataset.field("as_of") == (day or self.as_of), self.only)
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

    def models(self, made_on: date) -> NDArray[Any]:
        """Model of each series of ``recent`` on a day, shape (n,); empty where it was not forecast."""
        found = np.full(len(self._profile), "", dtype=object)
        rows = self.served if made_on == self.as_of else forecast_series(self.lake, made_on, only=self.only)
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
        if self.lake.exists(AHEAD):
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
            return
        where = narrowed(pa_dataset.field("as_of") == day, self.only)
        for batch in self.lake.dataset(table).to_batches(columns=list(columns), filter=where):
            if batch.num_rows:
                yield batch
