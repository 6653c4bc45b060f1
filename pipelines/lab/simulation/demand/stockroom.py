"""What the stores' stock systems report of the last days: counts, orders on their way, deliveries, write-offs."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.lab.simulation.days import DAY_US, Ints
from pipelines.lab.simulation.demand.assortment import Series
from pipelines.lab.simulation.demand.shelf import Sales
from pipelines.lab.simulation.demand.world import World
from pipelines.lab.simulation.identifiers import identifiers
from pipelines.lab.simulation.write import TableFile, delivered_schema, encoded
from pipelines.usecases.demand.layouts import STOCK_LAYOUTS

#: Evenings before the end of the delivery of which stock is told, and days of deliveries.
COUNTED_DAYS, DELIVERED_DAYS = 8, 14

#: Share of the deliveries of which a unit breaks on the way to the shelf.
_BROKEN = 0.01

_HOUR_US = 3_600_000_000


class Stockroom:
    """The files of the stock, open until all blocks are written.

    Parameters
    ----------
    folder
        Folder of the delivery.
    stack
        Closes the files.
    reported
        When each store's day is reported, shape ``(S, T)``, microseconds.
    """

    def __init__(self, world: World, folder: Path, stack: ExitStack, reported: Ints) -> None:
        self._span, self._reported = world.span, reported
        self._ids = world.stores.ids, world.products.ids
        self._files = {
            layout.table.name: stack.enter_context(
                TableFile(
                    folder / f"{layout.table.name}.parquet",
                    delivered_schema(layout.table, dirty=False),
                    encoded=("store_id", "sku_id"),
                )
            )
            for layout in STOCK_LAYOUTS
        }

    @property
    def rows(self) -> dict[str, int]:
        """Rows written so far, by table."""
        return {name: file.rows for name, file in self._files.items()}

    def append(self, rng: np.random.Generator, series: Series, sales: Sales) -> None:
        """Append the rows of a block of series."""
        end = self._span.end
        self._count(series, sales)
        self._order(series, sales, end)
        arrived = self._cells(sales.delivered > 0, end - DELIVERED_DAYS, end)
        row, column = arrived
        units = sales.delivered[arrived].astype(np.float64)
        broken = rng.random(len(row)) < _BROKEN
        day = self._span.days[column]
        ordered = day - sales.lead[row]
        known = day * DAY_US + 7 * _HOUR_US
        self._write(
            "deliveries", series, row, order_id=self._order_ids(ordered, series, row), delivered_on=_dates(day),
            units=units + broken, expires_on=_no_dates(len(row)), known_at=_moments(known),
        )  # fmt: skip
        row, day, known = row[broken], day[broken], known[broken] + 2 * _HOUR_US
        self._write(
            "write_offs", series, row, written_off_on=_dates(day), cause=np.full(len(row), "damaged"),
            units=np.ones(len(row)), known_at=_moments(known),
        )  # fmt: skip

    def _count(self, series: Series, sales: Sales) -> None:
        end = self._span.end
        known = self._reported[series.store]
        told = self._span.within(series.first, series.last) & (known < end * DAY_US)
        row, column = cell = self._cells(told, end - COUNTED_DAYS, end)
        self._write(
            "stock", series, row, counted_on=_dates(self._span.days[column]), lot=np.full(len(row), "all"),
            on_hand=sales.on_hand[cell].astype(np.float64), expires_on=_no_dates(len(row)),
            known_at=_moments(known[cell]),
        )  # fmt: skip

    def _order(self, series: Series, sales: Sales, end: int) -> None:
        """Orders of the last evenings that have not arrived by the end."""
        row, column = cell = self._cells(sales.delivered > 0, end, end + int(sales.lead.max(initial=0)))
        day = self._span.days[column]
        ordered = day - sales.lead[row]
        placed = ordered < end
        row, day, ordered = row[placed], day[placed], ordered[placed]
        self._write(
            "open_orders", series, row, order_id=self._order_ids(ordered, series, row),
            ordered_on=_dates(ordered), due_on=_dates(day), units=sales.delivered[cell][placed].astype(np.float64),
            known_at=_moments(ordered * DAY_US + 21 * _HOUR_US),
        )  # fmt: skip

    def _cells(self, wanted: NDArray[np.bool_], first: int, stop: int) -> tuple[Ints, Ints]:
        """Rows and columns of the wanted cells of the days from ``first`` to before ``stop``."""
        start = first - self._span.begin
        row, column = np.nonzero(wanted[:, start : stop - self._span.begin])
        return row, column + start

    def _order_ids(self, ordered: Ints, series: Series, row: Ints) -> pa.Array:
        """One order a store and evening."""
        return identifiers("O", ordered * 10_000 + series.store[row], 9)

    def _write(self, name: str, series: Series, row: Ints, **columns: object) -> None:
        stores, skus = self._ids
        rows = {
            "store_id": encoded(stores, series.store[row]),
            "sku_id": encoded(skus, series.product[row]),
            **columns,
        }
        layout = next(each for each in STOCK_LAYOUTS if each.table.name == name)
        self._files[name].append(pa.table(rows).select(layout.table.column_names))


def _dates(day: Ints) -> NDArray[np.datetime64]:
    return np.asarray(day.astype("datetime64[D]"))


def _no_dates(count: int) -> pa.Array:
    return pa.nulls(count, pa.date32())


def _moments(microseconds: Ints) -> NDArray[np.datetime64]:
    return np.asarray(microseconds.astype("datetime64[us]"))
