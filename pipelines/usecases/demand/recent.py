"""What was sold of late: the newest days of the panel, as monitoring and reports read them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from typing import TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pa_dataset
from numpy.typing import NDArray

from models.forecasting.panel import Mask, Matrix
from pipelines.io.lake import Lake, on_day
from pipelines.usecases.demand.dataset import CALENDAR, PANEL, PROFILE, Places, batches, floats

#: Store and product.
Series: TypeAlias = tuple[str, str]

#: What is read of a series' profile.
PROFILE_COLUMNS = (
    "store_id",
    "sku_id",
    "region",
    "category",
    "segment",
    "mean_quantity",
    "days_since_first_sale",
)

_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Recent:
    """The last D days before ``as_of`` of all series that are forecast on that day.

    Attributes
    ----------
    profile : pandas.DataFrame of n rows
        ``features/demand_profile`` of the day, ordered by store and product.
    days : ndarray of datetime64[D], shape (D,)
        Consecutive; the last one is the day before ``as_of``.
    sold : ndarray of float32, shape (n, D)
        Units; NaN where the store did not report or the series was not on sale yet.
    stockout : ndarray of bool, shape (n, D)
        ``sold`` is a lower bound of the demand.
    promo : ndarray of float32, shape (n, D)
        Discount, 0 without promotion.
    is_open : ndarray of bool, shape (n, D)
        Whether the store was open.
    """

    as_of: date
    profile: pd.DataFrame
    days: NDArray[np.datetime64]
    sold: Matrix
    stockout: Mask
    promo: Matrix
    is_open: Mask

    def __len__(self) -> int:
        return len(self.profile)

    @cached_property
    def places(self) -> Places:
        """Where rows of a store, product and day belong."""
        return Places(self.profile, self.days[0], len(self.days))

    @cached_property
    def actual(self) -> Matrix:
        """Sales to compare forecasts with, shape (n, D): NaN on closed days too, where nothing is at stake."""
        return np.where(self.is_open, self.sold, np.float32("nan"))

    @property
    def has_sales(self) -> bool:
        """Whether anything is known of the sales of these days."""
        return bool(np.isfinite(self.sold).any())

    @cached_property
    def unknown(self) -> Mask:
        """Days that an open store has not reported, shape (n, D); before its first sale a series lacks none."""
        before = np.datetime64(self.as_of, "D") - self.days
        begun = before / _DAY <= self.profile["days_since_first_sale"].to_numpy()[:, None]
        return self.is_open & begun & np.isnan(self.sold)

    def last(self, days: int) -> Recent:
        """Only the newest days."""
        return replace(
            self,
            days=self.days[-days:],
            sold=self.sold[:, -days:],
            stockout=self.stockout[:, -days:],
            promo=self.promo[:, -days:],
            is_open=self.is_open[:, -days:],
        )


def read_recent(lake: Lake, as_of: date, days: int, *, only: Series | None = None) -> Recent | None:
    """Read the newest ``days`` days known at ``as_of``.

    Parameters
    ----------
    only
        The one series to read; all that are forecast if None.

    Returns
    -------
    None if the features of the day were not built. Without sales if its panel is no longer kept.
    """
    field = pa_dataset.field
    if not all(lake.exists(name) for name in (PROFILE, PANEL, CALENDAR)):
        return None
    profile = _read_profile(lake, as_of, only=only)
    since = on_day(as_of) & (field("ds") >= as_of - timedelta(days=days)) & (field("ds") < as_of)
    columns = ["store_id", "sku_id", "ds", "quantity", "is_stockout", "promo_discount"]
    panel = batches(lake, PANEL, narrowed(since, only), columns)
    calendar = lake.read(CALENDAR, columns=["store_id", "ds", "is_open"], where=since)
    return None if profile.empty else _place(as_of, profile, panel, calendar, days)


def _read_profile(lake: Lake, as_of: date, *, only: Series | None = None) -> pd.DataFrame:
    """Profiles of the series that are forecast on a day, ordered by store and product."""
    where = narrowed(on_day(as_of), only)
    rows: pd.DataFrame = lake.read(PROFILE, columns=list(PROFILE_COLUMNS), where=where).to_pandas()
    return rows.sort_values(["store_id", "sku_id"], ignore_index=True)


def narrowed(where: pa_dataset.Expression, only: Series | None) -> pa_dataset.Expression:
    """Filter of one series' rows among those of ``where``."""
    if only is None:
        return where
    field = pa_dataset.field
    return where & (field("store_id") == only[0]) & (field("sku_id") == only[1])


def _place(
    as_of: date,
    profile: pd.DataFrame,
    panel: Iterable[pa.RecordBatch],
    calendar: pa.Table,
    days: int,
) -> Recent:
    """Put rows of the panel and the calendar into matrices; rows of other series and days are left out."""
    first = np.datetime64(as_of - timedelta(days=days), "D")
    shape = (len(profile), days)
    places = Places(profile, first, days)
    sold = np.full(shape, np.nan, dtype=np.float32)
    stockout, promo = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=np.float32)
    for batch in panel:
        row, day = places.series(batch["store_id"], batch["sku_id"]), places.day(batch["ds"])
        keep = (row >= 0) & (day >= 0) & (day < days)
        row, day = row[keep], day[keep]
        sold[row, day] = floats(batch["quantity"])[keep]
        stockout[row, day] = batch["is_stockout"].to_numpy(zero_copy_only=False)[keep]
        promo[row, day] = floats(batch["promo_discount"])[keep]
    is_open = np.ones((len(places.stores), days), dtype=bool)
    for batch in calendar.to_batches():
        row, day = places.store(batch["store_id"]), places.day(batch["ds"])
        keep = (row >= 0) & (day >= 0) & (day < days)
        is_open[row[keep], day[keep]] = batch["is_open"].to_numpy(zero_copy_only=False)[keep]
    store = profile["store_id"].map(places.stores).to_numpy(np.intp)
    return Recent(as_of, profile, first + np.arange(days) * _DAY, sold, stockout, promo, is_open[store])


def dates(days: NDArray[np.datetime64]) -> list[date]:
    """Days as Python's."""
    found: list[date] = days.astype("datetime64[D]").tolist()
    return found
