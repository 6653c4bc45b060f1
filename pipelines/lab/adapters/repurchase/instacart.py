"""Adapter of Instacart's data (Kaggle's Market Basket Analysis) to the raw layouts of repurchase.

The files are ``orders``, ``order_products__prior``, ``order_products__train``, ``products``, ``aisles`` and
``departments``. Orders tell the days since the customer's one before, the weekday and the hour, but no date;
the rules:

- *Clock.* Each customer has a clock of their own: the first order is in the week that begins on
  ``EPOCH``, on its weekday (``order_dow`` 0 is taken as Saturday), later ones follow by adding up
  ``days_since_prior_order``. 30 means 30 or more, so that the clock of someone who stayed away is slow. Weekdays
  and gaps are the data's; seasons are not, since all begin in one week. As nobody's history is cut at one day, a
  day to score should lie early enough for most clocks to go on.
- *Lines.* Products in the order in which they were put into the basket, one unit each: amounts are not in the
  data. Orders of the test set have none: what they hold is not published.
- *Products.* Names, aisles and departments are known before the first order; there are no prices.
- *Times.* Orders and lines are known at the end of their day.
"""

# SQL is put together from declared names and constants.

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from features.schemas import Column, DType, Table
from pipelines.errors import DataContractError
from pipelines.sources.adapter import END_OF_DAY, Adapted, Adapter, write_raw
from pipelines.sources.delivery import DeliveredFile
from pipelines.sources.layout import History, RawLayout
from pipelines.sources.staging import Staging
from pipelines.usecases.repurchase import layouts as repurchase

#: A Saturday: the first day of the week in which everybody's clock starts.
EPOCH = "2016-01-02"


def _layout(
    name: str, columns: tuple[Column, ...], *, references: tuple[tuple[str, str, str], ...] = ()
) -> RawLayout:
    words = f"Instacart's file {name}.csv, the columns that are read."
    key = ("order_id", "product_id") if name.startswith("order_products") else (columns[0].name,)
    return RawLayout(Table(name, words, columns, key), history=History.IMMUTABLE, references=references)


def _id(name: str) -> Column:
    return Column(name, DType.STRING, "As in the source.")


AISLES = _layout("aisles", (_id("aisle_id"), _id("aisle")))
DEPARTMENTS = _layout("departments", (_id("department_id"), _id("department")))
PRODUCTS = _layout(
    "products",
    (_id("product_id"), _id("product_name"), _id("aisle_id"), _id("department_id")),
    references=(("aisle_id", "aisles", "aisle_id"), ("department_id", "departments", "department_id")),
)
ORDERS = _layout(
    "orders",
    (
        _id("order_id"),
        Column("user_id", DType.STRING, "Customer.", personal=True),
        Column("order_number", DType.INTEGER, "Number of the customer's order.", minimum=1),
        Column("order_dow", DType.INTEGER, "Weekday, 0 = Saturday.", minimum=0, maximum=6),
        Column("order_hour_of_day", DType.INTEGER, "Hour.", minimum=0, maximum=23),
        Column(
            "days_since_prior_order",
            DType.NUMBER,
            "Days since the order before; null for the first, 30 = 30 or more.",
            nullable=True,
            minimum=0,
            maximum=30,
        ),
    ),
)
PRIOR, TRAIN = (
    _layout(
        f"order_products__{part}",
        (
            _id("order_id"),
            _id("product_id"),
            Column("add_to_cart_order", DType.INTEGER, "Place in the basket.", minimum=1),
        ),
        references=(("order_id", "orders", "order_id"), ("product_id", "products", "product_id")),
    )
    for part in ("prior", "train")
)

#: In reading order.
LAYOUTS = (AISLES, DEPARTMENTS, PRODUCTS, ORDERS, PRIOR, TRAIN)
#: Files of the competition that are not read.
IGNORED = ("sample_submission",)

#: Tables without which there is nothing to predict; the train file may be held back.
_NEEDED = {layout.table.name for layout in LAYOUTS} - {TRAIN.table.name}


def adapt(staging: Staging, files: Sequence[DeliveredFile], into: Path) -> Adapted:
    """Write Instacart's rows as files in the raw layouts of repurchase.

    Parameters
    ----------
    staging
        Scratch space of the ingest; rows that break a rule go to its quarantine.
    files
        The files, checked.
    into
        Folder for the adapted Parquet files. The same input gives the same bytes.

    Raises
    ------
    DataContractError
        A file is absent or cannot be read to its end, or the orders of a customer are not numbered one by one:
        the days between them could not be added up.
    """
    missing = _NEEDED - {file.layout.table.name for file in files}
    if missing:
        raise DataContractError(
            f"Instacart is {len(LAYOUTS)} files; missing {sorted(f'{n}.csv' for n in missing)}"
        )
    con, outcomes = staging.con, []
    for file in files:
        name = file.layout.table.name
        if name.startswith("order_products"):
            outcomes.append(staging.admit(file, "order_products"))
            continue
        outcomes.append(staging.admit(file, name))
        staging.make_known(name, file.layout.table.key[0], name)
    _check_numbers(con)
    con.execute(_CLOCK)
    into.mkdir()
    for layout, query in _QUERIES:
        write_raw(con, layout, query, into)
    without, capped = con.execute(
        "select (select count(*) from dated anti join order_products using (order_id)),"
        " (select count(*) from orders where days_since_prior_order = 30)"
    ).fetchall()[0]
    return Adapted(
        tuple(outcomes),
        (
            f"{without} orders have no lines: what they hold is not published",
            f"{capped} gaps of 30 days may be longer: the clocks behind them are slow",
        ),
    )


def _check_numbers(con: duckdb.DuckDBPyConnection) -> None:
    """Refuse customers whose orders are not numbered 1, 2, 3, or lack the days between them."""
    found = con.execute(
        "select count(*), count(*) filter (where numbers <> last or first <> 1 or unknown > 0) from ("
        " select count(distinct order_number) as numbers, max(order_number) as last, min(order_number) as first,"
        "  count(*) filter (where order_number > 1 and days_since_prior_order is null) as unknown"
        " from orders group by user_id)"
    ).fetchall()[0]
    if found[1]:
        raise DataContractError(
            "orders: each customer's orders must be numbered from 1 without a gap, all but the first with"
            f" days_since_prior_order; {found[1]} of {found[0]} customers are not: is the file complete?"
        )


_CLOCK = f"""
    create temp table dated as
    select *, ordered_on::timestamp + to_hours(order_hour_of_day::int) as ordered_at
    from (
        select order_id, user_id, order_hour_of_day,
            date '{EPOCH}' + (first_value(order_dow) over so_far
                + sum(coalesce(days_since_prior_order, 0)) over so_far)::int as ordered_on
        from orders
        window so_far as (partition by user_id order by order_number rows unbounded preceding)
    )
"""

_KNOWN = END_OF_DAY.format(day="ordered_on")

_QUERIES = (
    (
        repurchase.PRODUCTS,
        f"""
        select product_id, product_name, aisle, department, null as price_eur,
            timestamp '{EPOCH}' - interval 1 day as known_at
        from products join aisles using (aisle_id) join departments using (department_id) order by product_id
        """,
    ),
    (
        repurchase.ORDERS,
        f"""
        select order_id, user_id as customer_id, ordered_at, {_KNOWN} as known_at
        from dated order by order_id
        """,
    ),
    (
        repurchase.ORDER_LINES,
        f"""
        select order_id, product_id, 1.0 as quantity, add_to_cart_order as position, ordered_on, {_KNOWN} as known_at
        from order_products join dated using (order_id) order by ordered_on, order_id, position
        """,
    ),
)  # fmt: skip


ADAPTER = Adapter(LAYOUTS, adapt, ignored=IGNORED)
