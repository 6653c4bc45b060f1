"""Ways in which the repurchase tables break their contract, see :mod:`pipelines.lab.simulation.dirt`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from features.schemas import Table
from pipelines.lab.simulation.dirt import CONFLICT, Defect, plant, put
from pipelines.lab.simulation.identifiers import identifiers

_UNUSED = 90_000_000

DEFECTS: dict[str, tuple[Defect, ...]] = {
    "products": (
        Defect("negative_price", "price_eur", -1.0),
        Defect("missing_product_name", "product_name", None),
    ),
    "orders": (
        Defect("missing_customer_id", "customer_id", None),
        Defect("missing_ordered_at", "ordered_at", None),
    ),
    "order_lines": (
        Defect("quantity_zero", "quantity", 0.0),
        Defect("missing_quantity", "quantity", None),
        Defect("position_below_minimum", "position", 0),
        Defect("unknown_product", "product_id", "P-999999"),
        Defect("unknown_order", "order_id", "O-99999999"),
        Defect(CONFLICT, "quantity", 999.0),
    ),
}


def dirty_rows(
    rng: np.random.Generator, table: Table, clean: pa.Table, *, rows: int, never_bought: pa.Array
) -> Iterator[tuple[str, pa.Table]]:
    """Bad rows of one table, by defect.

    Parameters
    ----------
    clean
        Clean rows to imitate, with plain (not dictionary-encoded) strings.
    rows
        About how many bad rows in all; at least one of each defect if positive.
    never_bought
        Products that no clean line holds, at least one per defect.
    """
    yield from plant(
        rng,
        DEFECTS[table.name],
        clean,
        rows=rows,
        unused_key=lambda sample, position: _unused_key(table, sample, position, never_bought),
        models=_one_per_order if table.name == "order_lines" else lambda every: every,
    )


def _one_per_order(rows: pa.Table) -> pa.Table:
    _, first = np.unique(rows["order_id"].combine_chunks().dictionary_encode().indices, return_index=True)
    return rows.take(pa.array(first))


def _unused_key(table: Table, rows: pa.Table, position: int, never_bought: pa.Array) -> pa.Table:
    """Give rows keys that no clean row has; ``position`` tells the defects of a table apart."""
    n = len(rows)
    if table.name == "products":
        known_us = rows["known_at"].to_numpy().astype("datetime64[us]").astype(np.int64) + 1 + position
        return put(rows, rows.schema.field("known_at"), pa.array(known_us.astype("datetime64[us]")))
    if table.name == "orders":
        number = _UNUSED + position * 1_000_000 + np.arange(n, dtype=np.int64)
        return put(rows, rows.schema.field("order_id"), identifiers("X", number, 8))
    products = pa.array([never_bought[position].as_py()] * n)
    return put(rows, rows.schema.field("product_id"), products)
