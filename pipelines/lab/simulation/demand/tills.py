"""What the tills report: the sales rows, a file per month, some days late and some rows bad."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipelines.lab.simulation.days import DAY_US, Ints, to_date
from pipelines.lab.simulation.demand.assortment import Series
from pipelines.lab.simulation.demand.shelf import Sales
from pipelines.lab.simulation.demand.shopping import Demand
from pipelines.lab.simulation.demand.world import World
from pipelines.lab.simulation.write import TableFile, delivered_schema, encoded
from pipelines.usecases.demand.layouts import SALES

#: Share of the store days that are reported some days late.
_LATE = 0.008
_EVENING_US, _HOURS_US = 20 * 3_600_000_000, 3 * 3_600_000_000


class Tills:
    """The files of the months, open until all blocks are written.

    Parameters
    ----------
    rng
        Decides which days are reported when.
    folder
        New folder of the files.
    stack
        Closes the files.
    dirty
        Whether bad rows will follow, so that the files promise less.
    """

    def __init__(
        self, rng: np.random.Generator, world: World, folder: Path, stack: ExitStack, *, dirty: bool
    ) -> None:
        folder.mkdir()
        self._world, self._span = world, world.span
        self._store_ids, self._sku_ids = world.stores.ids, world.products.ids
        #: When each store's day is reported.
        self.reported = _reports(rng, world)
        schema = delivered_schema(SALES.table, dirty=dirty)
        days = (self._span.start, self._span.end - 1)
        first, last = (int(np.datetime64(to_date(day), "M").astype(int)) for day in days)
        self._months = {
            month: stack.enter_context(
                TableFile(
                    folder / f"{np.datetime64(month, 'M')}.parquet", schema, encoded=("store_id", "sku_id")
                )
            )
            for month in range(first, last + 1)
        }
        #: Rows of the last whole month, for bad rows to imitate.
        self.samples: list[pa.Table] = []

    @property
    def rows(self) -> int:
        """Rows written so far."""
        return sum(file.rows for file in self._months.values())

    def append(self, series: Series, demand: Demand, sales: Sales) -> None:
        """Append the rows of a block to the files of the months."""
        span = self._span
        known = self.reported[series.store]
        sent = ((sales.sold > 0) | sales.out) & (known < span.end * DAY_US)
        sent[:, : span.start - span.begin] = False
        sent[:, span.end - span.begin :] = False
        column, row = np.nonzero(sent.T)  # by day, so that a month is a slice
        cell = (row, column)
        day = span.days[column]
        sold = sales.sold[cell].astype(np.float64)
        paid = sold * demand.price[cell] * (1 - demand.discount[cell])
        columns = {
            "sold_on": day.astype("datetime64[D]"),
            "quantity": sold,
            "revenue_eur": paid.round(2),
            "stocked_out": sales.out[cell],
            "on_hand": sales.on_hand[cell].astype(np.float64),
            "known_at": known[cell].astype("datetime64[us]"),
        }
        month = day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
        starts = np.searchsorted(month, list(self._months))
        ends = np.append(starts[1:], len(month))
        for number, begin, end in zip(self._months, starts.tolist(), ends.tolist(), strict=True):
            part = slice(begin, end)
            rows = pa.table(
                {
                    "store_id": encoded(self._store_ids, series.store[row[part]]),
                    "sku_id": encoded(self._sku_ids, series.product[row[part]]),
                    **{name: values[part] for name, values in columns.items()},
                }
            )
            self._months[number].append(rows)
            if number == max(self._months) - 1:
                self.samples.append(rows)


def _reports(rng: np.random.Generator, world: World) -> Ints:
    """When each store's day is reported: that evening, or some days late; shape ``(S, T)``, microseconds."""
    shape = world.open.shape
    late = (rng.random(shape) < _LATE) * rng.integers(1, 7, shape)
    within = (rng.random(shape) * _HOURS_US).astype(np.int64) // 1_000_000 * 1_000_000
    return np.asarray((world.span.days + late) * DAY_US + _EVENING_US + within, dtype=np.int64)
