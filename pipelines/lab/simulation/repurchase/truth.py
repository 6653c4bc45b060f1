"""What the simulator knows and nobody else: households, their repertoires, and what they ordered next."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from features.schemas import Column, DType, Table
from pipelines.lab.simulation.repurchase.households import NEVER, Households
from pipelines.lab.simulation.repurchase.shopping import Orders
from pipelines.lab.simulation.write import encoded

_CUSTOMER = Column("customer_id", DType.STRING, "Customer.", personal=True)
_PRODUCT = Column("product_id", DType.STRING, "Product.")

HOUSEHOLDS = Table(
    name="truth/households",
    description="What each household was drawn with. One row per household.",
    columns=(
        _CUSTOMER,
        Column("people", DType.INTEGER, "Who eats along.", unit="people", minimum=1),
        Column("joined_on", DType.DATE, "Day of the first order; it may lie before the delivery."),
        Column("left_on", DType.DATE, "From this day on it orders no more."),
        Column("gap_days", DType.NUMBER, "Days between orders, at first and on average.", unit="days"),
        Column("regularity", DType.NUMBER, "Shape of the gamma distribution of the gaps."),
        Column("drift", DType.NUMBER, "Log change of the gap within a year."),
        Column("usual_weekday", DType.INTEGER, "Usual weekday, 1 = Monday.", minimum=1, maximum=7),
        Column("habit", DType.NUMBER, "Share of orders that are moved to it.", minimum=0, maximum=1),
        Column("usual_hour", DType.NUMBER, "Usual hour of the day.", unit="hours"),
        Column("tries", DType.NUMBER, "Products per order that are tried for once.", minimum=0),
    ),
    key=("customer_id",),
)

REPERTOIRE = Table(
    name="truth/repertoire",
    description="Products that a household goes through. One row per household and product.",
    columns=(
        _CUSTOMER,
        _PRODUCT,
        Column("lasts_days", DType.NUMBER, "Days that a pack lasts.", unit="days", minimum=0),
        Column(
            "loyalty", DType.NUMBER, "Probability to buy it again once it has run out.", minimum=0, maximum=1
        ),
        Column("taken_up_on", DType.DATE, "First day on which it may be bought."),
        Column(
            "given_up_on",
            DType.DATE,
            "From this day on it is not bought; null while none is set.",
            nullable=True,
        ),
    ),
    key=("customer_id", "product_id"),
)

NEXT_ORDERS = Table(
    name="truth/next_orders",
    description=(
        "First order on or after the end of the delivery, within sixty days, of every customer who had ordered "
        "before. One row per customer who came back."
    ),
    columns=(_CUSTOMER, Column("ordered_on", DType.DATE, "Day of the order.")),
    key=("customer_id",),
)

NEXT_LINES = Table(
    name="truth/next_lines",
    description="What that order held. One row per customer and product.",
    columns=(_CUSTOMER, _PRODUCT),
    key=("customer_id", "product_id"),
)

TABLES = (HOUSEHOLDS, REPERTOIRE, NEXT_ORDERS, NEXT_LINES)


def households_table(customer_ids: pa.Array, households: Households) -> pa.Table:
    """What the households of a block were drawn with."""
    return pa.table(
        {
            "customer_id": customer_ids,
            "people": households.people,
            "joined_on": households.joined.astype("datetime64[D]"),
            "left_on": households.left.astype("datetime64[D]"),
            "gap_days": households.gap.round(3),
            "regularity": households.regularity.round(3),
            "drift": households.drift.round(4),
            "usual_weekday": households.weekday + 1,
            "habit": households.habit.round(4),
            "usual_hour": households.hour.round(2),
            "tries": households.tries.round(4),
        }
    )


def repertoire_table(customer_ids: pa.Array, product_ids: pa.Array, households: Households) -> pa.Table:
    """Repertoires of a block."""
    row, column = np.nonzero(households.product >= 0)
    cell = (row, column)
    given_up = households.given_up[cell]
    return pa.table(
        {
            "customer_id": encoded(customer_ids, row),
            "product_id": encoded(product_ids, households.product[cell].astype(np.int64)),
            "lasts_days": households.lasts[cell].astype(np.float64).round(3),
            "loyalty": households.loyalty[cell].astype(np.float64).round(4),
            "taken_up_on": households.taken_up[cell].astype("datetime64[D]"),
            "given_up_on": pa.array(given_up.astype("datetime64[D]"), mask=given_up >= NEVER),
        }
    )


def next_tables(
    customer_ids: pa.Array, product_ids: pa.Array, orders: Orders, end: int
) -> tuple[pa.Table, pa.Table]:
    """First order of each household of a block on or after ``end``, and its lines."""
    known = np.unique(orders.household[orders.day < end])
    later = np.flatnonzero((orders.day >= end) & np.isin(orders.household, known))
    household, first = np.unique(orders.household[later], return_index=True)
    chosen = later[first]  # orders are sorted by time
    lines = np.flatnonzero(np.isin(orders.line_order, chosen))
    of_line = orders.household[orders.line_order[lines]]
    in_order = np.lexsort((orders.line_position[lines], of_line))
    return (
        pa.table(
            {
                "customer_id": encoded(customer_ids, household),
                "ordered_on": orders.day[chosen].astype("datetime64[D]"),
            }
        ),
        pa.table(
            {
                "customer_id": encoded(customer_ids, of_line[in_order]),
                "product_id": encoded(product_ids, orders.line_product[lines][in_order]),
            }
        ),
    )
