"""Ways in which the demand tables break their contract, see :mod:`pipelines.lab.simulation.dirt`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.lab.simulation.days import DAY_US, Ints
from pipelines.lab.simulation.dirt import CONFLICT, Defect, plant, put
from pipelines.sources.layout import RawLayout

#: Rows sent twice: no defect, they are counted as duplicates.
REPEATED = "repeated"
AFTER_CLOSURE = "sold_after_closure"

DEFECTS: dict[str, tuple[Defect, ...]] = {
    "stores": (Defect("clientele_not_allowed", "clientele", "locals"),),
    "products": (
        Defect("negative_price", "list_price_eur", -1.0),
        Defect("missing_category", "category", None),
    ),
    "sales": (
        Defect("negative_quantity", "quantity", -3.0, lambda: pc.field("revenue_eur") == 0),
        Defect("unknown_sku", "sku_id", "K-999999"),
        Defect("missing_sku", "sku_id", None),
        Defect(CONFLICT, "quantity", 99_999.0, lambda: pc.field("quantity") > 0),
    ),
    "promotions": (
        Defect("starts_after_its_end", "starts_on", date(2090, 1, 1)),
        Defect("discount_in_percent", "discount", 30.0),
        Defect("unknown_sku", "sku_id", "K-999999", lambda: pc.field("category").is_null()),
    ),
    "weather_observed": (Defect("broken_sensor", "temperature_c", 999.0),),
    "weather_forecasts": (Defect("negative_rain", "rain_mm", -1.0),),
    "customers": (Defect("negative_count", "customers", -1),),
    "calendar_events": (Defect("kind_not_allowed", "kind", "bank_holiday"),),
}


def dirty_rows(
    rng: np.random.Generator,
    layout: RawLayout,
    clean: pa.Table,
    *,
    rows: int,
    start: int,
    old_stores: pa.Array,
) -> Iterator[tuple[str, pa.Table]]:
    """Bad rows of one table, by defect.

    Parameters
    ----------
    clean
        Clean rows to imitate, with plain strings.
    rows
        About how many bad rows in all; at least one of each defect if positive.
    start
        First delivered day; keys that no clean row has lie on the days before.
    old_stores
        Stores that had opened by then.
    """
    name = layout.table.name
    day = {"sales": "sold_on", "weather_observed": "observed_on", "customers": "counted_on"}.get(name)
    things = {
        "sales": ["store_id", "sku_id"],
        "weather_observed": ["region"],
        "customers": ["store_id"],
    }.get(name)

    def unused_key(sample: pa.Table, position: int) -> pa.Table:
        if day is None:
            return _later(sample, layout.known, 1 + position)
        return _on(sample, day, layout.known, np.full(len(sample), start - 1 - position))

    def models(suited: pa.Table) -> pa.Table:
        if name in ("sales", "customers"):
            suited = suited.filter(pc.is_in(suited["store_id"], old_stores))
        return suited if things is None else _one_of_each(suited, things)

    yield from plant(rng, DEFECTS[name], clean, rows=rows, unused_key=unused_key, models=models)


def repeated(rng: np.random.Generator, clean: pa.Table, rows: int) -> pa.Table:
    """Sales that are sent twice."""
    return clean.take(pa.array(np.sort(rng.choice(len(clean), min(rows, len(clean)), replace=False))))


def after_closure(clean: pa.Table, store: str, closed: int, rows: int) -> pa.Table:
    """Sales booked on a store after its last day."""
    sample = _one_of_each(clean, ["sku_id"])[:rows]
    sample = put(sample, sample.schema.field("store_id"), pa.array([store] * len(sample)))
    return _on(sample, "sold_on", "known_at", np.full(len(sample), closed + 1))


def _on(rows: pa.Table, day: str, known: str, days: Ints) -> pa.Table:
    rows = put(rows, rows.schema.field(day), pa.array(days.astype("datetime64[D]")))
    moments = pa.array(((days + 1) * DAY_US).astype("datetime64[us]"))
    return put(rows, rows.schema.field(known), moments)


def _later(rows: pa.Table, column: str, microseconds: int) -> pa.Table:
    later = rows[column].to_numpy().astype("datetime64[us]").astype(np.int64) + microseconds
    return put(rows, rows.schema.field(column), pa.array(later.astype("datetime64[us]")))


def _one_of_each(rows: pa.Table, columns: list[str]) -> pa.Table:
    numbered = rows.append_column("_row", pa.array(np.arange(len(rows))))
    first = numbered.group_by(columns, use_threads=False).aggregate([("_row", "min")])["_row_min"]
    return rows.take(first.combine_chunks().sort())
