"""Adapter of CDNOW (purchases of the customers of a music shop, 1997-01 to 1998-06) to the raw layouts.

One file ``cdnow`` with a row per customer, day and payment. It tells when people came back, not with what;
the rules:

- *Orders.* The rows of a customer on one day are one order, known at the end of the day. Its time of day is
  not in the data: midnight. Orders are numbered by day: a number made from the customer would name a person.
- *Lines, products.* What was bought is not in the data, only how many discs: those files are empty, and
  features of baskets and products are null.
"""

# SQL is put together from constants.

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from features.schemas import Column, DType, Table
from pipelines.sources.adapter import END_OF_DAY, Adapted, Adapter, no_rows, write_raw
from pipelines.sources.delivery import DeliveredFile
from pipelines.sources.layout import History, RawLayout
from pipelines.sources.staging import Staging
from pipelines.usecases.repurchase import layouts as repurchase

PURCHASES = RawLayout(
    Table(
        "cdnow",
        "CDNOW's purchases, the columns that are read. One row per customer, day and payment.",
        (
            Column("customer_id", DType.STRING, "Customer.", personal=True),
            Column("date", DType.DATE, "Day."),
            Column("quantity", DType.INTEGER, "Discs.", unit="units", minimum=1),
        ),
        key=("customer_id", "date"),
    ),
    history=History.IMMUTABLE,
    subject="customer_id",
    subject_key=repurchase.CUSTOMER_KEY,
)

LAYOUTS = (PURCHASES,)


def adapt(staging: Staging, files: Sequence[DeliveredFile], into: Path) -> Adapted:
    """Write CDNOW's purchases as files in the raw layouts of repurchase.

    Parameters
    ----------
    staging
        Scratch space of the ingest; rows that break a rule go to its quarantine.
    files
        The file, checked.
    into
        Folder for the adapted Parquet files. The same input gives the same bytes.

    Raises
    ------
    DataContractError
        The file cannot be read to its end.
    """
    con = staging.con
    outcomes = []
    con.execute("create temp table bought (customer_id varchar, date date)")
    for file in files:
        staging.examine(file)
        outcomes.append(staging.settle(file))
        con.execute("insert into bought select customer_id, date from checked where not is_bad")
    into.mkdir()
    for layout, query in _QUERIES:
        write_raw(con, layout, query, into)
    rows, orders = con.execute("select count(*), count(distinct (customer_id, date)) from bought").fetchall()[
        0
    ]
    return Adapted(
        tuple(outcomes),
        (f"{rows} payments are {orders} orders: those of a customer on one day are one",),
    )


_QUERIES = (
    (repurchase.PRODUCTS, no_rows(repurchase.PRODUCTS)),
    (
        repurchase.ORDERS,
        f"""
        select printf('cd-%07d', row_number() over (order by date, customer_id)) as order_id, customer_id,
            date::timestamp as ordered_at, {END_OF_DAY.format(day="date")} as known_at
        from bought group by customer_id, date order by order_id
        """,
    ),
    (repurchase.ORDER_LINES, no_rows(repurchase.ORDER_LINES)),
)


ADAPTER = Adapter(LAYOUTS, adapt)
