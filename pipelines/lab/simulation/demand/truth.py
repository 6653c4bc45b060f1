"""What the simulator knows and nobody else: the demand behind the sales, and what made it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from features.schemas import Column, DType, Table
from pipelines.lab.simulation.demand.assortment import Series
from pipelines.lab.simulation.demand.products import DISPERSION, SPEEDS, Products
from pipelines.lab.simulation.demand.shelf import Sales
from pipelines.lab.simulation.demand.shopping import Demand
from pipelines.lab.simulation.demand.span import Span
from pipelines.lab.simulation.demand.stores import NEVER
from pipelines.lab.simulation.write import encoded

#: Days before the end of the delivery from which on the demand is kept, unless more are asked for.
KEPT_DAYS = 60

#: Ends that lie so far ahead are none: those that are not set, less the days a store is early by.
_NONE_SET = NEVER - 100

_STORE = Column("store_id", DType.STRING, "Store.")
_SKU = Column("sku_id", DType.STRING, "Product.")

LATENT_DEMAND = Table(
    name="truth/latent_demand",
    description=(
        "Demand of the products on the shelves around the end of the delivery, before and after it."
        " One row per store, product and day."
    ),
    columns=(
        _STORE,
        _SKU,
        Column("ds", DType.DATE, "Day; those from the end of the delivery on were not delivered."),
        Column(
            "expected",
            DType.NUMBER,
            "Mean of the demand given everything, the day's weather and promotions included: what the best"
            " forecast could be. 0 where the store is closed.",
            unit="units",
            minimum=0,
        ),
        Column("demand", DType.NUMBER, "Units that people came for.", unit="units", minimum=0),
        Column(
            "sold", DType.NUMBER, "Units sold: the demand as far as there was stock.", unit="units", minimum=0
        ),
        Column("stocked_out", DType.BOOLEAN, "Whether the shelf was empty in the evening."),
    ),
    key=("store_id", "sku_id", "ds"),
)

SERIES = Table(
    name="truth/series",
    description="What each series was drawn with. One row per store and product.",
    columns=(
        _STORE,
        _SKU,
        Column("speed", DType.STRING, "How fast the product sells.", allowed=SPEEDS),
        Column("promoted", DType.BOOLEAN, "Whether the product lives on promotions."),
        Column("base_units", DType.NUMBER, "Daily units without any effect.", unit="units", minimum=0),
        Column(
            "dispersion",
            DType.NUMBER,
            "The variance of a day is `expected + dispersion * expected ** 2`.",
            minimum=0,
        ),
        Column("first_on", DType.DATE, "First day on the shelf."),
        Column("last_on", DType.DATE, "Last day on the shelf; null while none is set.", nullable=True),
    ),
    key=("store_id", "sku_id"),
)


def latent_table(
    store_ids: pa.Array,
    sku_ids: pa.Array,
    series: Series,
    demand: Demand,
    sales: Sales,
    span: Span,
    kept_days: int,
) -> pa.Table:
    """Demand of a block from ``kept_days`` before the end of the delivery on, on the days on the shelf."""
    columns = np.arange(span.end - kept_days - span.begin, len(span))
    days = span.days[columns]
    row, column = np.nonzero((days >= series.first[:, None]) & (days <= series.last[:, None]))
    cell = (row, columns[column])
    return pa.table(
        {
            "store_id": encoded(store_ids, series.store[row]),
            "sku_id": encoded(sku_ids, series.product[row]),
            "ds": days[column].astype("datetime64[D]"),
            "expected": demand.expected[cell].astype(np.float64).round(4),
            "demand": demand.wanted[cell].astype(np.float64),
            "sold": sales.sold[cell].astype(np.float64),
            "stocked_out": sales.out[cell],
        }
    )


def series_table(store_ids: pa.Array, sku_ids: pa.Array, series: Series, products: Products) -> pa.Table:
    """What the series of a block were drawn with."""
    speed = products.speed[series.product]
    return pa.table(
        {
            "store_id": encoded(store_ids, series.store),
            "sku_id": encoded(sku_ids, series.product),
            "speed": np.array(SPEEDS)[speed],
            "promoted": products.promoted[series.product],
            "base_units": np.exp(series.base).round(4),
            "dispersion": DISPERSION[speed],
            "first_on": series.first.astype("datetime64[D]"),
            "last_on": pa.array(series.last.astype("datetime64[D]"), mask=series.last >= _NONE_SET),
        }
    )
