"""What is read of a day: the panel that models learn and forecast from, and the newest sales for pages and checks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pa_dataset
from numpy.typing import NDArray

from features.lags import origin_frame
from models.forecasting.panel import Mask, Matrix, Panel
from pipelines.errors import DataContractError
from pipelines.io.lake import Lake, on_day
from pipelines.usecase import Run
from pipelines.usecases.demand.params import DemandParams

PANEL = "features/demand_panel"
CALENDAR = "features/demand_calendar"
AHEAD = "features/demand_ahead"
PROFILE = "features/demand_profile"
OUT_OF_SCOPE = "features/demand_out_of_scope"

#: Facts of a store's day that models may use, as columns of the calendar table.
CALENDAR_FACTS = (
    "is_open",
    "is_public_holiday",
    "is_school_holiday",
    "has_local_event",
    "days_to_holiday",
    "days_since_holiday",
    "temperature_c",
    "rain_mm",
)

#: Facts of a product's days ahead beside discount and price, as columns of the table of days ahead.
AHEAD_FACTS = ("promo_day", "promo_days_left", "days_since_promo", "category_promos")

#: What pages and checks read of a series' profile.
_PROFILE_COLUMNS = (
    "store_id",
    "sku_id",
    "region",
    "category",
    "segment",
    "mean_quantity",
    "days_since_first_sale",
)

_DAY = np.timedelta64(1, "D")

#: Store and product.
Series: TypeAlias = tuple[str, str]


class Places:
    """Where rows of a store, product and day go in matrices: a row per series or store, a column per day."""

    def __init__(self, profile: pd.DataFrame, first: np.datetime64, days: int) -> None:
        self.first, self.days = first, days
        self.stores = {name: code for code, name in enumerate(sorted(profile["store_id"].unique()))}
        self.skus = {name: code for code, name in enumerate(sorted(profile["sku_id"].unique()))}
        #: Store of each series.
        self.store_of = profile["store_id"].map(self.stores).to_numpy(np.intp)
        codes = self._codes(self.store_of, profile["sku_id"].map(self.skus).to_numpy())
        self._order = np.argsort(codes, kind="stable")
        self._sorted = codes[self._order]

    def _codes(self, store: NDArray[Any], sku: NDArray[Any]) -> NDArray[np.int64]:
        return np.asarray(store, dtype=np.int64) * len(self.skus) + np.asarray(sku, dtype=np.int64)

    def series(self, rows: pa.RecordBatch) -> NDArray[np.intp]:
        """Series of each row; -1 for those that are not forecast."""
        store, sku = _lookup(rows["store_id"], self.stores), _lookup(rows["sku_id"], self.skus)
        codes = np.where((store < 0) | (sku < 0), -1, self._codes(store, sku))
        at = np.minimum(np.searchsorted(self._sorted, codes), len(self._sorted) - 1)
        return np.where(self._sorted[at] == codes, self._order[at], -1)

    def day(self, rows: pa.RecordBatch) -> NDArray[np.intp]:
        """Column of each row's day; outside of 0 .. days - 1 for days of no interest."""
        values = rows["ds"].to_numpy(zero_copy_only=False).astype("datetime64[D]")
        return np.asarray((values - self.first) // _DAY, dtype=np.intp)

    def read(
        self,
        lake: Lake,
        table: str,
        where: pa_dataset.Expression,
        columns: Sequence[str],
        *,
        version: int | None = None,
        by_store: bool = False,
    ) -> Iterator[tuple[pa.RecordBatch, NDArray[np.intp], NDArray[np.intp]]]:
        """Rows of a table, batch by batch, with the matrix row and column of each; others are left out.

        ``columns`` are read beside store, product and day; ``by_store`` says that the table has no products, and a
        matrix row is a store.
        """
        keys = ["store_id", "ds"] if by_store else ["store_id", "sku_id", "ds"]
        for batch in batches(lake, table, where, [*keys, *columns], version):
            row = _lookup(batch["store_id"], self.stores) if by_store else self.series(batch)
            day = self.day(batch)
            keep = (row >= 0) & (day >= 0) & (day < self.days)
            yield batch.filter(pa.array(keep)), row[keep], day[keep]


def _lookup(values: pa.Array, codes: dict[str, int]) -> NDArray[np.intp]:
    encoded = values.dictionary_encode()
    known = np.array([codes.get(name, -1) for name in encoded.dictionary.to_pylist()], dtype=np.intp)
    return np.asarray(known[encoded.indices.to_numpy(zero_copy_only=False)])


def batches(
    lake: Lake, name: str, where: pa_dataset.Expression, columns: Sequence[str], version: int | None = None
) -> Iterator[pa.RecordBatch]:
    """Batches of a table's rows; memory holds a few of them at a time."""
    for batch in lake.dataset(name, version).to_batches(columns=list(columns), filter=where):
        if batch.num_rows:
            yield batch


def floats(values: pa.Array) -> NDArray[np.float32]:
    """Column of numbers, null as NaN."""
    return np.asarray(values.cast(pa.float32()).to_numpy(zero_copy_only=False), dtype=np.float32)


def narrowed(where: pa_dataset.Expression, only: Series | None) -> pa_dataset.Expression:
    """Filter of one series' rows among those of ``where``."""
    if only is None:
        return where
    field = pa_dataset.field
    return where & (field("store_id") == only[0]) & (field("sku_id") == only[1])


def dates(days: NDArray[np.datetime64]) -> list[date]:
    """Days as Python's."""
    found: list[date] = days.astype("datetime64[D]").tolist()
    return found


def weekday_means(values: NDArray[Any], days: NDArray[np.datetime64]) -> dict[int, float]:
    """Mean of the known values of each weekday, 0 being Monday; without those that have none."""
    weekday = np.array([day.weekday() for day in dates(days)])
    known = np.isfinite(values)
    return {
        day: float(values[known & (weekday == day)].mean())
        for day in range(7)
        if (known & (weekday == day)).any()
    }


# ------------------------------------------------------------------------------- what models read


@dataclass(frozen=True)
class Origin:
    """A day from which is forecast, today or a past one."""

    #: The origin.
    day: np.datetime64
    #: What was known at its start: history, and facts of the days ahead.
    panel: Panel
    #: Further facts of the products' days ahead by name, shape (n, H).
    ahead: dict[str, NDArray[Any]]

    def features(self, rows: NDArray[np.intp], steps: NDArray[np.intp]) -> pd.DataFrame:
        """Features of days ahead for the global models, by series and step of each."""
        return origin_frame(self.panel, self.day, self.panel.horizon, ahead=self.ahead, cells=(rows, steps))


@dataclass(frozen=True)
class Dataset:
    """Everything known at ``as_of`` of the series to forecast."""

    lake: Lake
    #: History up to yesterday, one row per series of ``profile``; of the days ahead only the dates, see
    #: :meth:`open`.
    panel: Panel
    #: ``features/demand_profile`` of the day, ordered by store and product.
    profile: pd.DataFrame
    #: Lake version read of each table.
    versions: dict[str, int]
    #: Days to forecast after the day itself.
    horizon_days: int

    @cached_property
    def fingerprint(self) -> str:
        """Hash of what was sold and promoted."""
        return hashlib.sha256(self.panel.y.tobytes() + self.panel.promo.tobytes()).hexdigest()[:16]

    @property
    def first_day(self) -> date:
        """First day of which sales of any series are known; the day of the forecast if none are."""
        known = np.isfinite(self.panel.y).any(axis=0)
        return dates(self.panel.days[[int(known.argmax()) if known.any() else self.panel.n_history]])[0]

    def open(self, origin: date) -> Origin:
        """Stand at the start of a day: what was reported by then, and what was known of the days ahead.

        Raises ``DataContractError`` if the origin was not prepared.
        """
        past = self.panel.at(np.datetime64(origin, "D"), self.horizon_days + 1)
        past = replace(
            past,
            promo=past.promo.copy(),
            price=past.price.copy(),
            calendar={name: values.copy() for name, values in past.calendar.items()},
        )
        # What is known today of those days was not known then.
        past.promo[:, past.n_history :] = 0
        past.price[:, past.n_history :] = np.nan
        _fill_calendar(self.lake, past, origin, self.versions[CALENDAR])
        ahead = _fill_ahead(self.lake, past, origin, self.versions[AHEAD])
        return Origin(past.as_of, past, ahead)


def read_dataset(run: Run[DemandParams]) -> Dataset:
    """Read the panel, calendar and profile of a day.

    Raises ``DataContractError`` if the day was not prepared, or sales are not reported by day.
    """
    lake, as_of, horizon_days = run.lake, run.as_of, run.params.horizon_days
    history_days = run.params.features.history_days
    versions = {name: lake.version(name) for name in (PANEL, CALENDAR, AHEAD, PROFILE)}
    profile = (
        lake.read(PROFILE, where=on_day(as_of), version=versions[PROFILE])
        .to_pandas()
        .sort_values(["store_id", "sku_id"], ignore_index=True)
    )
    if profile.empty:
        raise DataContractError(
            f"{PROFILE} has no rows for {as_of}: trigger demand_forecast with as_of={as_of} or run "
            f"`{run.command('score')}`, which prepares them"
        )
    if profile["store_cluster"].isna().all():
        # Where stores were never grouped, models see what they always saw.
        profile = profile.drop(columns="store_cluster")
    first = np.datetime64(as_of - timedelta(days=history_days), "D")
    total = history_days + horizon_days + 1
    places = Places(profile, first, history_days)
    n, n_stores = len(profile), len(places.stores)
    panel = Panel(
        series=profile,
        days=first + np.arange(total) * _DAY,
        n_history=history_days,
        y=np.full((n, history_days), np.nan, dtype=np.float32),
        censored=np.zeros((n, history_days), dtype=bool),
        promo=np.zeros((n, total), dtype=np.float32),
        price=np.full((n, total), np.nan, dtype=np.float32),
        store=places.store_of,
        calendar={name: np.full((n_stores, total), np.nan, dtype=np.float32) for name in CALENDAR_FACTS},
        reported_on=np.full((n_stores, history_days), np.datetime64("NaT"), dtype="datetime64[D]"),
    )
    assert panel.reported_on is not None  # noqa: S101 - for the type checker: made above
    columns = ["quantity", "is_stockout", "promo_discount", "price", "reported_on"]
    for rows, row, day in places.read(lake, PANEL, on_day(as_of), columns, version=versions[PANEL]):
        panel.y[row, day] = floats(rows["quantity"])
        panel.censored[row, day] = rows["is_stockout"].to_numpy(zero_copy_only=False)
        panel.promo[row, day] = floats(rows["promo_discount"])
        panel.price[row, day] = floats(rows["price"])
        reported = rows["reported_on"].to_numpy(zero_copy_only=False).astype("datetime64[D]")
        panel.reported_on[panel.store[row], day] = reported
    _check_daily(panel.reported_on)
    _fill_calendar(lake, panel, as_of, versions[CALENDAR])
    return Dataset(lake, panel, profile, versions, horizon_days)


def _check_daily(reported_on: NDArray[np.datetime64]) -> None:
    """Refuse weekly or monthly sales: taken for those of a day, each would be forecast for every day."""
    days = [np.flatnonzero(~np.isnat(store)) for store in reported_on]
    gaps = [float(np.median(np.diff(known))) for known in days if len(known) > 2]
    usual = float(np.median(gaps)) if gaps else 1.0
    if usual > 1:
        raise DataContractError(
            f"raw/demand_sales: the usual store reports every {usual:g} days, and forecasts are of single days: "
            "deliver `sold_on` by day"
        )


def _fill_calendar(lake: Lake, panel: Panel, as_of: date, version: int) -> None:
    places = Places(panel.series, panel.days[0], len(panel.days))
    found = places.read(lake, CALENDAR, on_day(as_of), CALENDAR_FACTS, version=version, by_store=True)
    for rows, store, day in found:
        for name in CALENDAR_FACTS:
            panel.calendar[name][store, day] = floats(rows[name])


def _fill_ahead(lake: Lake, panel: Panel, as_of: date, version: int) -> dict[str, NDArray[Any]]:
    """Fill discounts and prices of the days ahead; returns the other facts."""
    shape = (len(panel), panel.horizon)
    facts: dict[str, NDArray[Any]] = {name: np.zeros(shape, dtype=np.float32) for name in AHEAD_FACTS}
    mechanic = np.full(shape, "none", dtype=object)
    promo, price = panel.promo[:, panel.n_history :], panel.price[:, panel.n_history :]
    columns = ["promo_discount", "price", "promo_mechanic", *AHEAD_FACTS]
    places = Places(panel.series, panel.as_of, panel.horizon)
    found = False
    for rows, row, day in places.read(lake, AHEAD, on_day(as_of), columns, version=version):
        found = True
        promo[row, day] = floats(rows["promo_discount"])
        price[row, day] = floats(rows["price"])
        for name in AHEAD_FACTS:
            facts[name][row, day] = floats(rows[name])
        mechanic[row, day] = rows["promo_mechanic"].to_numpy(zero_copy_only=False)
    if not found:
        raise DataContractError(
            f"{AHEAD} has no rows for {as_of}: run `millrace train demand`, which prepares past origins"
        )
    return {**facts, "promo_mechanic": mechanic}


# ------------------------------------------------------------------------ what pages and checks read


@dataclass(frozen=True)
class Recent:
    """The last D days before ``as_of`` of all series that are forecast on that day."""

    as_of: date
    #: ``features/demand_profile`` of the day, ordered by store and product.
    profile: pd.DataFrame
    #: Consecutive; the last one is the day before ``as_of``; shape (D,).
    days: NDArray[np.datetime64]
    #: Units; NaN where the store did not report or the series was not on sale yet; shape (n, D).
    sold: Matrix
    #: ``sold`` is a lower bound of the demand; shape (n, D).
    stockout: Mask
    #: Discount, 0 without promotion; shape (n, D).
    promo: Matrix
    #: Whether the store was open; shape (n, D).
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

    @cached_property
    def unknown(self) -> Mask:
        """Days that an open store has not reported, shape (n, D); before its first sale a series lacks none."""
        before = np.datetime64(self.as_of, "D") - self.days
        begun = before / _DAY <= self.profile["days_since_first_sale"].to_numpy()[:, None]
        return self.is_open & begun & np.isnan(self.sold)

    @property
    def has_sales(self) -> bool:
        """Whether anything is known of the sales of these days."""
        return bool(np.isfinite(self.sold).any())

    def last(self, days: int) -> Recent:
        """Only the newest days."""
        newest = {name: getattr(self, name)[:, -days:] for name in ("sold", "stockout", "promo", "is_open")}
        return replace(self, days=self.days[-days:], **newest)


def read_recent(lake: Lake, as_of: date, days: int, *, only: Series | None = None) -> Recent | None:
    """Read the newest ``days`` days known at ``as_of``, of all series that are forecast or of one.

    None if the features of the day were not built; without sales if its panel is no longer kept.
    """
    if not all(lake.exists(name) for name in (PROFILE, PANEL, CALENDAR)):
        return None
    profile = lake.read(PROFILE, columns=list(_PROFILE_COLUMNS), where=narrowed(on_day(as_of), only))
    profile = profile.to_pandas().sort_values(["store_id", "sku_id"], ignore_index=True)
    if profile.empty:
        return None
    first = np.datetime64(as_of - timedelta(days=days), "D")
    places, shape = Places(profile, first, days), (len(profile), days)
    sold = np.full(shape, np.nan, dtype=np.float32)
    stockout, promo = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=np.float32)
    is_open = np.ones((len(places.stores), days), dtype=bool)
    field = pa_dataset.field
    since = on_day(as_of) & (field("ds") >= as_of - timedelta(days=days)) & (field("ds") < as_of)
    columns = ["quantity", "is_stockout", "promo_discount"]
    for rows, row, day in places.read(lake, PANEL, narrowed(since, only), columns):
        sold[row, day] = floats(rows["quantity"])
        stockout[row, day] = rows["is_stockout"].to_numpy(zero_copy_only=False)
        promo[row, day] = floats(rows["promo_discount"])
    for rows, store, day in places.read(lake, CALENDAR, since, ["is_open"], by_store=True):
        is_open[store, day] = rows["is_open"].to_numpy(zero_copy_only=False)
    days_read = first + np.arange(days) * _DAY
    return Recent(as_of, profile, days_read, sold, stockout, promo, is_open[places.store_of])
