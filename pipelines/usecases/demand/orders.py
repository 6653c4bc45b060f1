"""Orders of the morning: the stock as it was known, what is expected of it, and how many packs come on top.

The stock of a morning is the newest count, less what was sold and written off since, plus what was delivered; of
each only what was known before the day. Orders that were known and have not arrived come on their day. What
categories cost and when they are ordered is a table that planners edit, ``dbt_project/seeds/demand_order_rules.csv``.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pa_dataset
from numpy.typing import NDArray

from models.forecasting.forecaster import DemandForecaster, cells_of
from models.ordering.plan import Planned, plan, sum_until
from models.ordering.rules import Applied, Rules
from models.ordering.stock import Floats, Ints, Lives, sell
from pipelines.errors import ConfigError
from pipelines.io.lake import on_day
from pipelines.reporting.words import short_day, weekday
from pipelines.reporting.xlsx import write_xlsx
from pipelines.settings import Settings
from pipelines.usecase import Record, Run
from pipelines.usecases.demand.dataset import Origin
from pipelines.usecases.demand.params import DemandParams
from pipelines.usecases.demand.schemas import ORDERS

_SEED = "demand_order_rules.csv"
#: A count older than this says nothing of this morning's shelf; an order overdue for longer is lost.
_OLDEST_DAYS = 7
#: Days ahead on which orders on their way are looked at.
_DUE_DAYS = 14
#: Days whose mean sales stand in for those that a store has not reported since its count.
_USUAL_DAYS = 28
#: A day that sells so much more than the others of its window is named in the reason.
_BUSY = 1.2
_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class DayOrders:
    """Orders of a day."""

    #: Rows of ``predictions/demand_orders``; None if no order could be made.
    rows: pd.DataFrame | None
    #: What the step reports: how many, or why none.
    record: Record


def read_rules(settings: Settings) -> Rules:
    """Read the seed table that planners edit; raises ``ConfigError`` if a row makes no sense."""
    path = settings.dbt_project / "seeds" / _SEED
    with path.open(newline="") as file:
        try:
            return Rules(csv.DictReader(file))
        except ValueError as error:
            raise ConfigError(f"{path.name}: {error}") from error


def order_day(
    run: Run[DemandParams],
    origin: Origin,
    profile: pd.DataFrame,
    units: NDArray[np.floating],
    forecaster: DemandForecaster,
) -> DayOrders:
    """Order what categories order on the day, from what was known before it.

    ``units`` are the forecasts of the series of ``profile`` for the day and those after it, shape (n, H).
    """
    sums = getattr(forecaster, "sums", None)
    if sums is None:
        return _none(
            "the model knows no distribution of sums: it was trained before orders were made; train again"
        )
    rules = read_rules(run.settings).of(profile["category"].to_numpy(object))
    held = read_stock(run, origin, profile, rules.lives)
    if held is None:
        return _none(
            "no stock was delivered: stock counts (raw/demand_stock) known before the day are needed"
        )
    day_of_week = run.as_of.weekday()
    ordering = rules.ordering(day_of_week)
    rows = np.flatnonzero(ordering & held.counted)
    own, daily = rules.take(rows), np.asarray(units[rows], dtype=np.float64)
    cells = cells_of(profile)[rows]
    planned = plan(
        own.terms(_prices(origin, rows), day_of_week),
        held.stock[rows] + own.lives.stock(held.due[rows, 0]),
        held.due[rows, 1:],
        daily,
        lambda days: np.asarray(sums.demands(sum_until(daily, days), days, groups=cells)),
    )
    table = _table(run.as_of, profile, rows, own, held, planned)
    table["reason"] = _reasons(run.as_of, origin, rows, table, planned, daily)
    uncounted = int((ordering & ~held.counted).sum())
    record: Record = {
        "products": len(rows),
        "ordered": int((table["packs"] > 0).sum()),
        "packs": int(table["packs"].sum()),
        "not_counted": uncounted,
    }
    if not ordering.any():
        record["words"] = f"no category orders on a {weekday(run.as_of)}"
    elif uncounted:
        record["words"] = (
            f"{uncounted} products have no count of the last {_OLDEST_DAYS} days and get no order"
        )
    return DayOrders(table, record)


def _none(why: str) -> DayOrders:
    return DayOrders(None, {"ordered": 0, "words": why})


# -------------------------------------------------------------------------------------------- stock


@dataclass(frozen=True)
class Held:
    """Stock of n series on the morning, as far as it was known."""

    #: Series that were counted; shape (n,).
    counted: NDArray[np.bool_]
    #: Units by days of life left; deliveries of the morning itself are not known yet; shape (n, A).
    stock: Floats
    #: Units on their way by the day they are due, this morning first; shape (n, 1 + L).
    due: Floats


def read_stock(run: Run[DemandParams], origin: Origin, profile: pd.DataFrame, lives: Lives) -> Held | None:
    """Stock of the morning of ``as_of`` from what was known before it; None if nothing was counted."""
    lots = _known(run, "stock", "counted_on", _NEWEST_COUNT)
    if lots is None or lots.empty:
        return None
    as_of, names = np.datetime64(run.as_of, "D"), ["store_id", "sku_id"]
    places = pd.MultiIndex.from_frame(profile[names])

    def placed(rows: pd.DataFrame | None) -> tuple[pd.DataFrame, NDArray[np.intp]]:
        if rows is None or rows.empty:
            return pd.DataFrame(columns=["units"]), np.empty(0, dtype=np.intp)
        at = places.get_indexer(pd.MultiIndex.from_frame(rows[names]))
        return rows[at >= 0], at[at >= 0]

    lots, at = placed(lots)
    counted_on = np.full(len(profile), np.datetime64("NaT"), dtype="datetime64[D]")
    counted_on[at] = _days(lots["counted_on"])
    counted = ~np.isnat(counted_on)
    stock = lives.stock(np.zeros(len(profile)))
    # What a count says nothing of has lived half of its life.
    half = -(-lives.days[at] // 2)
    _put(stock, at, lots["units"], _left(lots, as_of, half), lives)
    came, at = placed(_known(run, "deliveries", "delivered_on", _DELIVERED))
    if len(at):
        since = _days(came["delivered_on"]) > counted_on[at]
        came, at = came[since], at[since]
        whole = lives.days[at] - (as_of - _days(came["delivered_on"])) // _DAY
        _put(stock, at, came["units"], _left(came, as_of, whole), lives)
    gone = _sold_since(origin, counted_on)
    off, at = placed(_known(run, "write_offs", "written_off_on", _WRITTEN_OFF))
    if len(at):
        since = _days(off["written_off_on"]) > counted_on[at]
        np.add.at(gone, at[since], off["units"].to_numpy(np.float64)[since])
    _, stock = sell(stock, gone)
    due = np.zeros((len(profile), _DUE_DAYS + 1))
    coming, at = placed(_known(run, "open_orders", "due_on", _ON_THEIR_WAY, also="deliveries"))
    if len(at):
        late = np.clip((_days(coming["due_on"]) - as_of) // _DAY, 0, _DUE_DAYS).astype(np.intp)
        np.add.at(due, (at, late), coming["units"].to_numpy(np.float64))
    return Held(counted, stock, due)


def _put(stock: Floats, at: NDArray[np.intp], units: pd.Series[Any], left: Ints, lives: Lives) -> None:
    """Add units with so many days left; those without any are no stock."""
    keeps, fresh = lives.keeps[at], lives.fresh[at]
    column = np.where(keeps, 0, np.clip(left - 1, 0, fresh))
    alive = keeps | (left >= 1)
    np.add.at(stock, (at[alive], column[alive]), units.to_numpy(np.float64)[alive])


def _left(rows: pd.DataFrame, as_of: np.datetime64, otherwise: Ints) -> Ints:
    """Days on which units may still be sold, today included."""
    expires = _days(rows["expires_on"])
    told = ~np.isnat(expires)
    days = (np.where(told, expires, as_of) - as_of) // _DAY + 1
    return np.where(told, days.astype(np.int64), otherwise)


def _sold_since(origin: Origin, counted_on: NDArray[np.datetime64]) -> Floats:
    """Units sold on the days after the count, shape (n,); a day not reported counts as a usual one."""
    panel = origin.panel
    recent = panel.y[:, -_USUAL_DAYS:].astype(np.float64)
    known = np.isfinite(recent)
    usual = np.where(known, recent, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    days = panel.days[panel.n_history - _OLDEST_DAYS : panel.n_history]
    sold = recent[:, -_OLDEST_DAYS:]
    sold = np.where(np.isfinite(sold), sold, usual[:, None])
    return np.asarray(np.where(days[None, :] > counted_on[:, None], sold, 0.0).sum(axis=1))


def _days(values: pd.Series[Any]) -> NDArray[np.datetime64]:
    return pd.to_datetime(values).to_numpy().astype("datetime64[D]")


_NEWEST_COUNT = """
    select store_id, sku_id, counted_on, expires_on, on_hand as units from rows
    where counted_on >= $since and counted_on < $as_of
    qualify counted_on = max(counted_on) over (partition by store_id, sku_id)
    order by store_id, sku_id, lot
"""
_DELIVERED = """
    select store_id, sku_id, delivered_on, expires_on, units from rows
    where delivered_on > $since and delivered_on < $as_of order by store_id, sku_id, delivered_on, order_id
"""
_WRITTEN_OFF = """
    select store_id, sku_id, written_off_on, units from rows
    where written_off_on > $since and written_off_on < $as_of order by store_id, sku_id, written_off_on, cause
"""
_ON_THEIR_WAY = """
    with newest as (
        select * from rows where due_on >= $since
        qualify row_number() over (partition by order_id, store_id, sku_id order by known_at desc) = 1
    ),
    arrived as (
        select order_id, store_id, sku_id, sum(units) as arrived from also group by order_id, store_id, sku_id
    )
    select store_id, sku_id, due_on, units - coalesce(arrived, 0) as units
    from newest left join arrived using (order_id, store_id, sku_id)
    where units > coalesce(arrived, 0) order by store_id, sku_id, due_on, order_id
"""


def _known(
    run: Run[DemandParams], name: str, on: str, query: str, also: str | None = None
) -> pd.DataFrame | None:
    """Rows of a raw table, and of another, that were known before the day; None without the table.

    Of the table, only the last days by its column ``on`` are read, however long the stock has been told.
    """
    since = run.as_of - timedelta(days=_OLDEST_DAYS)
    midnight = pa.scalar(pd.Timestamp(run.as_of).to_pydatetime(), pa.timestamp("us"))
    in_time = pa_dataset.field("known_at") < midnight

    def rows(table: str, where: pa_dataset.Expression, columns: list[str] | None = None) -> pa.Table | None:
        full = f"raw/demand_{table}"
        return run.lake.read(full, columns=columns, where=where) if run.lake.exists(full) else None

    found = rows(name, in_time & (pa_dataset.field(on) >= since))
    if found is None:
        return None
    with duckdb.connect(config={"threads": 2}) as con:
        con.register("rows", found)
        if also is not None:
            keys = ["order_id", "store_id", "sku_id"]
            empty = pa.table(
                {**{key: pa.array([], pa.string()) for key in keys}, "units": pa.array([], pa.float64())}
            )
            came = rows(also, in_time, [*keys, "units"])
            con.register("also", empty if came is None else came)
        con.execute("set timezone = 'UTC'")
        asked = {"as_of": run.as_of, "since": since}
        used = {name: value for name, value in asked.items() if f"${name}" in query}
        return con.execute(query, used).df()


# --------------------------------------------------------------------------------------------- rows


def _prices(origin: Origin, rows: NDArray[np.intp]) -> Floats:
    """Regular price today, shape (n,), else the last one known; orders of a product without one weigh its units."""
    panel = origin.panel
    price = panel.price[rows, panel.n_history].astype(np.float64)
    past = pd.DataFrame(panel.price[rows, max(panel.n_history - _USUAL_DAYS, 0) : panel.n_history])
    price = np.where(price > 0, price, past.ffill(axis=1).iloc[:, -1].to_numpy(np.float64))
    return np.where(price > 0, price, 1.0)


def _table(
    as_of: date, profile: pd.DataFrame, rows: NDArray[np.intp], rules: Applied, held: Held, planned: Planned
) -> pd.DataFrame:
    today, orders = np.datetime64(as_of, "D"), planned.orders
    table = profile.iloc[rows][["store_id", "sku_id", "category"]].reset_index(drop=True)
    return table.assign(
        order_day=today,
        arrives_on=today + rules.lead,
        covers_until=today + planned.cover - 1,
        packs=np.round(orders.packs).astype(np.int64),
        units=orders.units,
        pack_units=rules.pack,
        on_hand=held.stock[rows].sum(axis=1),
        on_order=held.due[rows].sum(axis=1),
        expiring=planned.expiring,
        expected=planned.expected,
        target=orders.target,
        service=orders.service,
        missing=orders.missing,
    )


def _reasons(
    as_of: date,
    origin: Origin,
    rows: NDArray[np.intp],
    table: pd.DataFrame,
    planned: Planned,
    daily: Floats,
) -> list[str]:
    """Why so many, of each order: what drives the demand, service, stock."""
    panel, ahead = origin.panel, daily.shape[1]
    days = [as_of + timedelta(days=step) for step in range(ahead)]
    within = np.arange(ahead) < planned.cover[:, None]
    promoted = np.asarray(((panel.promo[rows, panel.n_history :] > 0) & within).any(axis=1))
    free = panel.calendar["is_public_holiday"][panel.store[rows], panel.n_history :] > 0
    holiday = np.asarray((free & within).any(axis=1))
    peak = np.argmax(np.where(within, daily, -1.0), axis=1)
    mean = planned.expected / np.maximum(np.minimum(planned.cover, ahead), 1)
    busy = daily[np.arange(len(rows)), peak] > _BUSY * mean
    found = []
    told = ["expected", "on_hand", "on_order", "expiring", "service", "covers_until"]
    for row, (units, hand, coming, lost, service, until) in enumerate(table[told].itertuples(index=False)):
        drivers = [weekday(days[peak[row]])] if busy[row] else []
        drivers += ["promotion"] if promoted[row] else []
        drivers += ["holiday"] if holiday[row] else []
        words = [
            " + ".join(drivers) or "usual days",
            f"{_number(units)} expected until {weekday(until)[:3]} {short_day(until).rpartition(' ')[0]}",
            f"{100 * service:.0f} % service",
            f"{_number(hand)} on hand",
        ]
        words += [f"{_number(coming)} on order"] if coming > 0 else []
        words += [f"{_number(lost)} will expire"] if lost >= 0.5 else []
        found.append("; ".join(words))
    return found


def _number(value: float) -> str:
    return f"{value:.1f}" if 0 < value < 10 and value != round(value) else f"{value:.0f}"


# -------------------------------------------------------------------------------------------- files

#: Columns of a store's file, and what they are called there.
_FILE_COLUMNS = {
    "sku_id": "product", "category": "category", "packs": "packs", "units": "units", "pack_units": "units_in_a_pack",
    "order_day": "order_day", "arrives_on": "arrives_on", "covers_until": "covers_until", "on_hand": "on_hand",
    "on_order": "on_order", "expected": "expected", "service": "service", "reason": "reason",
}  # fmt: skip


def order_files(run: Run[DemandParams]) -> Mapping[str, object]:
    """Orders of the day by store, each as a CSV and an XLSX file beside the page; no stores without orders."""
    rows = run.lake.read(ORDERS, where=on_day(run.as_of), missing_ok=True)
    if not rows.num_rows:
        return {"stores": [], "arrives": []}
    below = Path("orders") / str(run.as_of)
    folder = run.settings.report_dir / below
    folder.mkdir(parents=True, exist_ok=True)
    frame = rows.to_pandas().sort_values(["store_id", "packs", "sku_id"], ascending=[True, False, True])
    stores = []
    for store, part in frame.groupby("store_id", sort=True):
        sheet = part[list(_FILE_COLUMNS)].rename(columns=_FILE_COLUMNS)
        sheet = sheet.round({"on_hand": 2, "on_order": 2, "expected": 2, "service": 3})
        name = "".join(sign if sign.isalnum() or sign in "-_" else "_" for sign in str(store))
        sheet.to_csv(folder / f"{name}.csv", index=False)
        write_xlsx(folder / f"{name}.xlsx", str(store), list(sheet), sheet.itertuples(index=False))
        stores.append(
            {
                "store": store,
                "products": len(part),
                "ordered": int((part["packs"] > 0).sum()),
                "packs": int(part["packs"].sum()),
                "units": float(part["units"].sum()),
                "csv": (below / f"{name}.csv").as_posix(),
                "xlsx": (below / f"{name}.xlsx").as_posix(),
            }
        )
    return {"stores": stores, "arrives": sorted(set(frame["arrives_on"]))}
