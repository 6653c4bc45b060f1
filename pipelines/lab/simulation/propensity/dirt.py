"""Ways in which the propensity tables break their contract, see :mod:`pipelines.lab.simulation.dirt`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.schemas import Table
from pipelines.lab.simulation.dirt import CONFLICT, Defect, plant, put
from pipelines.lab.simulation.identifiers import identifiers

_UNUSED = 90_000_000

DEFECTS: dict[str, tuple[Defect, ...]] = {
    "customers": (
        Defect("missing_joined_on", "joined_on", None),
        Defect("unknown_employment", "employment", "astronaut"),
        Defect("negative_income", "income_eur", -1.0),
    ),
    "holdings": (
        Defect("missing_opened_on", "opened_on", None),
        Defect("opened_after_the_month", "opened_on", date(2098, 1, 1)),
        Defect("unknown_customer", "customer_id", "K-99999999"),
        Defect(CONFLICT, "balance_eur", 123_456.78, lambda: pc.field("balance_eur").is_valid()),
    ),
    "campaigns": (
        Defect("unknown_response", "response", "maybe"),
        Defect("missing_product", "product", None),
        Defect("unknown_customer", "customer_id", "K-99999999"),
    ),
}


def dirty_rows(
    rng: np.random.Generator, table: Table, clean: pa.Table, *, rows: int
) -> Iterator[tuple[str, pa.Table]]:
    """Bad rows of one table, by defect.

    Parameters
    ----------
    clean
        Clean rows to imitate, with plain (not dictionary-encoded) strings.
    rows
        About how many bad rows in all; at least one of each defect if positive.
    """
    yield from plant(
        rng,
        DEFECTS[table.name],
        clean,
        rows=rows,
        unused_key=lambda sample, position: _unused_key(table, sample, position),
        models=_one_per_customer if table.name == "holdings" else lambda every: every,
    )


def _one_per_customer(rows: pa.Table) -> pa.Table:
    _, first = np.unique(rows["customer_id"].combine_chunks().dictionary_encode().indices, return_index=True)
    return rows.take(pa.array(first))


def _unused_key(table: Table, rows: pa.Table, position: int) -> pa.Table:
    """Give rows keys that no clean row has; ``position`` tells the defects of a table apart."""
    if table.name == "campaigns":
        number = _UNUSED + position * 1_000_000 + np.arange(len(rows), dtype=np.int64)
        return put(rows, rows.schema.field("contact_id"), identifiers("X", number, 8))
    if table.name == "customers":
        known = rows["known_at"].to_numpy().astype("datetime64[us]").astype(np.int64) + 1 + position
        return put(rows, rows.schema.field("known_at"), pa.array(known.astype("datetime64[us]")))
    product = pa.array([f"product of defect {position}"] * len(rows))
    return put(rows, rows.schema.field("product"), product)
