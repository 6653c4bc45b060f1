"""Orders and lines as the shop delivers them: a file per month, some rows known late."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.lab.simulation.days import DAY_US, Ints, to_date
from pipelines.lab.simulation.identifiers import identifiers
from pipelines.lab.simulation.repurchase.shopping import Orders
from pipelines.lab.simulation.write import TableFile, delivered_schema, encoded
from pipelines.sources.layout import RawLayout
from pipelines.usecases.repurchase.layouts import ORDER_LINES, ORDERS

#: Shares of the orders, and of the lines of others, that the shop's system knows some days late.
_LATE_ORDERS, _LATE_LINES = 0.004, 0.0005
_LATEST_DAYS = 4
_MINUTE_US = 60_000_000
#: Rows kept for bad rows to imitate.
_SAMPLE_ROWS = 200_000


@dataclass(frozen=True)
class BlockRows:
    """Orders of a block and the names in them."""

    orders: Orders
    customer_ids: pa.Array
    product_ids: pa.Array


class Months:
    """The files of the months, open until all blocks are written.

    Parameters
    ----------
    folder
        Folder of the delivery.
    start, end
        First delivered day, and first day that is not.
    stack
        Closes the files.
    dirty
        Whether bad rows will follow, so that the files promise less.
    """

    def __init__(self, folder: Path, start: int, end: int, stack: ExitStack, *, dirty: bool) -> None:
        self._end = end
        self._next_order = 1
        self._samples: dict[str, list[pa.Table]] = {}
        first, last = (int(np.datetime64(to_date(day), "M").astype(np.int64)) for day in (start, end - 1))
        self._months = np.arange(first, last + 1)
        self._files: dict[str, list[TableFile]] = {}
        for layout, names in (
            (ORDERS, ("customer_id",)),
            (ORDER_LINES, ("order_id", "product_id")),
        ):
            name = layout.table.name
            (folder / name).mkdir()
            schema = delivered_schema(layout.table, dirty=dirty)
            self._files[name] = [
                stack.enter_context(
                    TableFile(
                        folder / name / f"{np.datetime64(int(month), 'M')}.parquet", schema, encoded=names
                    )
                )
                for month in self._months
            ]

    @property
    def rows(self) -> dict[str, int]:
        """Rows written so far, by table."""
        return {name: sum(file.rows for file in files) for name, files in self._files.items()}

    def sample(self, layout: RawLayout) -> pa.Table:
        """Rows of the last month but one, for bad rows to imitate."""
        schema = delivered_schema(layout.table, dirty=True)
        return pa.concat_tables([rows.cast(schema) for rows in self._samples[layout.table.name]])

    def append(self, rng: np.random.Generator, block: BlockRows) -> None:
        """Append the orders of a block that are known before the end, and their lines."""
        orders = block.orders
        n = len(orders.day)
        order_known = orders.at_us + (rng.gamma(2.0, 6.0, n) * _MINUTE_US).astype(np.int64)
        order_known += _late(rng, n, _LATE_ORDERS)
        line_known = order_known[orders.line_order] + _late(rng, len(orders.line_order), _LATE_LINES)
        sent = (orders.day < self._end) & (order_known < self._end * DAY_US)
        line_sent = sent[orders.line_order] & (line_known < self._end * DAY_US)
        number = np.cumsum(sent) - 1
        order_ids = identifiers("O", self._next_order + np.arange(int(sent.sum())), 8)
        self._next_order += len(order_ids)

        kept = np.flatnonzero(sent)
        self._write(
            ORDERS,
            orders.day[kept],
            lambda part: {
                "order_id": order_ids[part],
                "customer_id": encoded(block.customer_ids, orders.household[kept[part]]),
                "ordered_at": orders.at_us[kept[part]].astype("datetime64[us]"),
                "known_at": order_known[kept[part]].astype("datetime64[us]"),
            },
        )
        lines = np.flatnonzero(line_sent)
        order = orders.line_order[lines]
        self._write(
            ORDER_LINES,
            orders.day[order],
            lambda part: {
                "order_id": encoded(order_ids, number[order[part]]),
                "product_id": encoded(block.product_ids, orders.line_product[lines[part]]),
                "quantity": orders.line_quantity[lines[part]].astype(np.float64),
                "position": orders.line_position[lines[part]],
                "ordered_on": orders.day[order[part]].astype("datetime64[D]"),
                "known_at": line_known[lines[part]].astype("datetime64[us]"),
            },
        )

    def _write(self, layout: RawLayout, day: Ints, columns: Callable[[slice], dict[str, Any]]) -> None:
        """Write rows that are sorted by day to the files of their months."""
        month = day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
        edges = np.searchsorted(month, np.append(self._months, self._months[-1] + 1)).tolist()
        name = layout.table.name
        for index, file in enumerate(self._files[name]):
            part = slice(edges[index], edges[index + 1])
            if part.start == part.stop:
                continue
            rows = pa.table(columns(part))
            file.append(rows)
            kept = self._samples.setdefault(name, [])
            if index == max(len(self._months) - 2, 0) and sum(map(len, kept)) < _SAMPLE_ROWS:
                kept.append(rows)


def _late(rng: np.random.Generator, n: int, share: float) -> Ints:
    """Microseconds by which rows become known late; 0 for most."""
    late = rng.random(n) < share
    return np.asarray(late * (rng.random(n) * _LATEST_DAYS * DAY_US), dtype=np.int64)
