"""What training and scoring read: the same tables, placed into the same matrices, and the nodes of the hierarchy."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pa_dataset
from numpy.typing import NDArray

from models.forecasting.accuracy import sum_rows
from models.forecasting.panel import Panel
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

_DAY = np.timedelta64(1, "D")


#: Facts of a product's days ahead beside discount and price, as columns of the table of days ahead.
AHEAD_FACTS = ("promo_day", "promo_days_left", "days_since_promo", "category_promos")


@dataclass(frozen=True)
class Dataset:
    """Everything known at ``as_of`` of the series to forecast.

    Attributes
    ----------
    panel
        History up to yesterday, one row per series of ``profile``; of the days ahead only the dates, see
        :meth:`open`.
    profile
        ``features/demand_profile`` of the day, ordered by store and product.
    versions
        Lake version read of each table.
    horizon_days
        Days to forecast after the day itself.
    """

    lake: Lake
    panel: Panel
    profile: pd.DataFrame
    versions: dict[str, int]
    horizon_days: int

    @cached_property
    def fingerprint(self) -> str:
        """Hash of what was sold and promoted."""
        return hashlib.sha256(self.panel.y.tobytes() + self.panel.promo.tobytes()).hexdigest()[:16]

    def open(self, origin: date) -> Origin:
        """Stand at the start of a day: what was reported by then, and what was known of the days ahead.

        Raises
        ------
        DataContractError
            The origin was not prepared.
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
        places = Places(self.profile, past.days[0], len(past.days))
        _fill_calendar(self.lake, past, places, origin, self.versions[CALENDAR])
        ahead = _fill_ahead(self.lake, past, places, origin, self.versions[AHEAD])
        return Origin(past.as_of, past, ahead)


@dataclass(frozen=True)
class Origin:
    """A day from which is forecast, today or a past one.

    Attributes
    ----------
    day
        The origin.
    panel
        What was known at its start: history, and facts of the days ahead.
    ahead
        Further facts of the products' days ahead by name, shape (n, H).
    """

    day: np.datetime64
    panel: Panel
    ahead: dict[str, NDArray[Any]]


class Places:
    """Where rows of a store, product and day go in the matrices of a panel."""

    def __init__(self, profile: pd.DataFrame, first: np.datetime64, days: int) -> None:
        self.first, self.days = first, days
        self.stores = {name: code for code, name in enumerate(sorted(profile["store_id"].unique()))}
        self.skus = {name: code for code, name in enumerate(sorted(profile["sku_id"].unique()))}
        codes = self._codes(
            profile["store_id"].map(self.stores).to_numpy(), profile["sku_id"].map(self.skus).to_numpy()
        )
        self._order = np.argsort(codes, kind="stable")
        self._sorted = codes[self._order]

    def _codes(self, store: NDArray[Any], sku: NDArray[Any]) -> NDArray[np.int64]:
        return np.asarray(store, dtype=np.int64) * len(self.skus) + np.asarray(sku, dtype=np.int64)

    def series(self, store: pa.Array, sku: pa.Array) -> NDArray[np.intp]:
        """Row of each pair; -1 for pairs that are not forecast."""
        a, b = _lookup(store, self.stores), _lookup(sku, self.skus)
        codes = np.where((a < 0) | (b < 0), -1, self._codes(a, b))
        at = np.minimum(np.searchsorted(self._sorted, codes), len(self._sorted) - 1)
        return np.where(self._sorted[at] == codes, self._order[at], -1)

    def store(self, store: pa.Array) -> NDArray[np.intp]:
        """Row of each store's calendar; -1 for others."""
        return _lookup(store, self.stores)

    def day(self, ds: pa.Array) -> NDArray[np.intp]:
        """Column of each day; outside of 0 .. days - 1 for days of no interest."""
        values = ds.to_numpy(zero_copy_only=False).astype("datetime64[D]")
        return np.asarray((values - self.first) // _DAY, dtype=np.intp)


def read_dataset(run: Run[DemandParams]) -> Dataset:
    """Read the panel, calendar and profile of a day.

    Raises
    ------
    DataContractError
        The day was not prepared.
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
            f"`millrace score demand --as-of {as_of}`, which prepares them"
        )
    if profile["store_cluster"].isna().all():
        # Where stores were never grouped, models see what they always saw.
        profile = profile.drop(columns="store_cluster")
    first = np.datetime64(as_of - timedelta(days=history_days), "D")
    total = history_days + horizon_days + 1
    places = Places(profile, first, total)
    n, n_stores = len(profile), len(places.stores)
    panel = Panel(
        series=profile,
        days=first + np.arange(total) * _DAY,
        n_history=history_days,
        y=np.full((n, history_days), np.nan, dtype=np.float32),
        censored=np.zeros((n, history_days), dtype=bool),
        promo=np.zeros((n, total), dtype=np.float32),
        price=np.full((n, total), np.nan, dtype=np.float32),
        store=profile["store_id"].map(places.stores).to_numpy(np.intp),
        calendar={name: np.full((n_stores, total), np.nan, dtype=np.float32) for name in CALENDAR_FACTS},
        reported_on=np.full((n_stores, history_days), np.datetime64("NaT"), dtype="datetime64[D]"),
    )
    _fill_history(lake, panel, places, as_of, versions[PANEL])
    _fill_calendar(lake, panel, places, as_of, versions[CALENDAR])
    return Dataset(lake, panel, profile, versions, horizon_days)


def _fill_history(lake: Lake, panel: Panel, places: Places, as_of: date, version: int) -> None:
    assert panel.reported_on is not None  # noqa: S101 - for the type checker: made above
    columns = [
        "store_id",
        "sku_id",
        "ds",
        "quantity",
        "is_stockout",
        "promo_discount",
        "price",
        "reported_on",
    ]
    for batch in batches(lake, PANEL, on_day(as_of), columns, version):
        row, day = places.series(batch["store_id"], batch["sku_id"]), places.day(batch["ds"])
        keep = (row >= 0) & (day >= 0) & (day < panel.n_history)
        row, day = row[keep], day[keep]
        panel.y[row, day] = floats(batch["quantity"])[keep]
        panel.censored[row, day] = batch["is_stockout"].to_numpy(zero_copy_only=False)[keep]
        panel.promo[row, day] = floats(batch["promo_discount"])[keep]
        panel.price[row, day] = floats(batch["price"])[keep]
        reported = batch["reported_on"].to_numpy(zero_copy_only=False).astype("datetime64[D]")
        panel.reported_on[panel.store[row], day] = reported[keep]


def _fill_calendar(lake: Lake, panel: Panel, places: Places, as_of: date, version: int) -> None:
    for batch in batches(lake, CALENDAR, on_day(as_of), ["store_id", "ds", *CALENDAR_FACTS], version):
        row, day = places.store(batch["store_id"]), places.day(batch["ds"])
        keep = (row >= 0) & (day >= 0) & (day < len(panel.days))
        for name in CALENDAR_FACTS:
            panel.calendar[name][row[keep], day[keep]] = floats(batch[name])[keep]


def _fill_ahead(
    lake: Lake, panel: Panel, places: Places, as_of: date, version: int
) -> dict[str, NDArray[Any]]:
    """Fill discounts and prices of the days ahead; returns the other facts."""
    shape = (len(panel), panel.horizon)
    facts: dict[str, NDArray[Any]] = {name: np.zeros(shape, dtype=np.float32) for name in AHEAD_FACTS}
    mechanic = np.full(shape, "none", dtype=object)
    columns = ["store_id", "sku_id", "ds", "promo_discount", "price", "promo_mechanic", *AHEAD_FACTS]
    found = False
    for batch in batches(lake, AHEAD, on_day(as_of), columns, version):
        found = True
        row, day = places.series(batch["store_id"], batch["sku_id"]), places.day(batch["ds"])
        keep = (row >= 0) & (day >= panel.n_history) & (day < len(panel.days))
        row, day = row[keep], day[keep]
        panel.promo[row, day] = floats(batch["promo_discount"])[keep]
        panel.price[row, day] = floats(batch["price"])[keep]
        step = day - panel.n_history
        for name in AHEAD_FACTS:
            facts[name][row, step] = floats(batch[name])[keep]
        mechanic[row, step] = batch["promo_mechanic"].to_numpy(zero_copy_only=False)[keep]
    if not found:
        raise DataContractError(
            f"{AHEAD} has no rows for {as_of}: run `millrace train demand`, which prepares past origins"
        )
    return {**facts, "promo_mechanic": mechanic}


def _lookup(values: pa.Array, codes: dict[str, int]) -> NDArray[np.intp]:
    encoded = values.dictionary_encode()
    known = np.array([codes.get(name, -1) for name in encoded.dictionary.to_pylist()], dtype=np.intp)
    return np.asarray(known[encoded.indices.to_numpy(zero_copy_only=False)])


# ----------------------------------------------------------------------------- rows, numbers and nodes


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


#: Column of the profile that names the node of a series, by level above it; none for the whole nation.
_NODE_COLUMNS = {"national": None, "region": "region", "store": "store_id", "sku": "sku_id"}


def node_codes(profile: pd.DataFrame, level: str) -> tuple[NDArray[np.object_], NDArray[np.intp]]:
    """Nodes of a level, sorted by name, and the position of each series' node among them."""
    nodes, codes = np.unique(nodes_of(profile, level), return_inverse=True)
    return nodes, codes


def nodes_of(profile: pd.DataFrame, level: str) -> NDArray[np.object_]:
    """Node of each series at a level; series themselves are ``<store>/<product>``."""
    if level == "sku_store":
        return np.asarray(profile["store_id"] + "/" + profile["sku_id"], dtype=object)
    column = _NODE_COLUMNS[level]
    return np.full(len(profile), "all", dtype=object) if column is None else profile[column].to_numpy(object)


def level_sums(profile: pd.DataFrame, values: NDArray[Any], level: str) -> NDArray[np.float64]:
    """Sums of the series by node, shape (nodes, columns); NaN where one of them is NaN.

    Nodes are sorted by name; the level of the series themselves keeps their order.
    """
    if level == "sku_store":
        return np.asarray(values, dtype=np.float64)
    return sum_rows(values, node_codes(profile, level)[1])
