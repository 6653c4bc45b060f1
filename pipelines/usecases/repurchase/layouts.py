"""Raw layouts of the repurchase use case: what an online grocer's shop delivers.

The *business* time of a row (``ordered_at``) says when the customer ordered; ``known_at`` says when
the source system had recorded the row. A feature at ``as_of`` uses rows with ``known_at < as_of`` only.

Only orders name a customer. Lines are about the person whose order they belong to, so whoever looks
for the rows of a person follows the reference ``order_id`` from the lines to the orders.
"""

from __future__ import annotations

from features.schemas import KNOWN_AT, Table, day, integer, number, text, timestamp
from pipelines.sources.layout import History, Period, RawLayout, RowRule

#: Column of the pseudonym, in raw tables as in features.
CUSTOMER_KEY = "customer_key"

CUSTOMER_ID = text("customer_id", "Natural id of the customer in the shop and the CRM.", personal=True)
ORDER_ID = text("order_id", "Key of the order.")
PRODUCT_ID = text("product_id", "Product.")

ORDERS = RawLayout(
    Table(
        name="orders",
        description="Orders that were placed and not withdrawn at once. One row per order.",
        columns=(
            ORDER_ID,
            CUSTOMER_ID,
            timestamp(
                "ordered_at",
                "When the customer ordered, by the shop's clock: hours and weekdays are read from it.",
                unit="shop time",
            ),
            KNOWN_AT,
        ),
        key=("order_id",),
    ),
    history=History.IMMUTABLE,
    subject="customer_id",
    subject_key=CUSTOMER_KEY,
    keeps_subject=True,
    rules=(RowRule("known_at", "not be before ordered_at", "known_at >= ordered_at"),),
)

PRODUCTS = RawLayout(
    Table(
        name="products",
        description=(
            "Product as known from `known_at` on; a change of its price is a further version. "
            "One row per product and version."
        ),
        columns=(
            PRODUCT_ID,
            text("product_name", "Name of the product."),
            text("aisle", "Aisle, the finer group; null if not stated.", nullable=True),
            text("department", "Department; null if not stated.", nullable=True),
            number(
                "price_eur",
                "Price of one unit from `known_at` on, in the shop's currency; null if unknown.",
                unit="EUR",
                nullable=True,
                minimum=0,
            ),
            KNOWN_AT,
        ),
        key=("product_id", "known_at"),
    ),
    history=History.VERSIONED,
)

ORDER_LINES = RawLayout(
    Table(
        name="order_lines",
        description=(
            "What was ordered: a product once per order, and no returns. One row per order and product."
        ),
        columns=(
            ORDER_ID,
            PRODUCT_ID,
            number("quantity", "Units ordered.", unit="units", minimum=0),
            integer(
                "position",
                "Place in the order in which products were put into the basket, 1 = first; null if unknown.",
                nullable=True,
                minimum=1,
            ),
            day("ordered_on", "Day of the order."),
            KNOWN_AT,
        ),
        key=("order_id", "product_id"),
    ),
    history=History.IMMUTABLE,
    month_of="ordered_on",
    references=(("order_id", "orders", "order_id"), ("product_id", "products", "product_id")),
    # The line's day is the order's day: lines are partitioned by it, and an order has one.
    periods=(Period("ordered_on", "order_id", "orders", "ordered_at", "ordered_at"),),
    rules=(
        RowRule("quantity", "be above 0", "quantity > 0"),
        RowRule("known_at", "not be before ordered_on", "known_at >= ordered_on"),
    ),
)

#: In landing order: referenced tables first.
LAYOUTS: tuple[RawLayout, ...] = (PRODUCTS, ORDERS, ORDER_LINES)
