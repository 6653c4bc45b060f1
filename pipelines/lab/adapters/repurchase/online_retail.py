"""Adapter of UCI's Online Retail (invoice lines of a British retailer, 2010-12 to 2011-12) to the raw layouts.

One file ``Online_Retail`` (Parquet or CSV) with a row per invoice line. What is not an order of a known
customer goes to the quarantine with its reason, nothing is dropped in silence; the rules:

- *Missing customers.* A line without ``CustomerID`` (a quarter of them) belongs to nobody.
- *Returns.* Lines of cancelled invoices (their number begins with C) and lines without a positive quantity
  or price are no orders. A return does not undo the order before it: the customer did come back for it.
- *Non-product codes.* A product's code is five digits and up to two letters, whose case is ignored; postage,
  bank charges, discounts, manual entries and samples are none.
- *Orders.* The invoices of a customer on one day are one order: they were printed apart, not ordered apart.
  It has the number and time of the first. A product listed twice is one line with the sum of its quantities.
- *Products.* Name and price are those of the first sale, known that day: later ones would be knowledge of the
  future. There are neither aisles nor departments.
- *Times.* The clock is the shop's; a day's orders are known at its end.
"""

# SQL is put together from declared names and constants.

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from features.schemas import Column, DType, Table
from pipelines.sources.adapter import END_OF_DAY, Adapted, Adapter, write_raw
from pipelines.sources.delivery import DeliveredFile
from pipelines.sources.layout import History, RawLayout, RowRule
from pipelines.sources.staging import Staging
from pipelines.usecases.repurchase import layouts as repurchase

LINES = RawLayout(
    Table(
        "Online_Retail",
        "UCI's Online Retail, the columns that are read. One row per invoice line.",
        (
            Column("InvoiceNo", DType.STRING, "Number of the invoice."),
            Column("StockCode", DType.STRING, "Code of the product, or of what is none."),
            Column("Description", DType.STRING, "Name of the product.", nullable=True),
            Column("Quantity", DType.INTEGER, "Units; negative for returns.", unit="units"),
            Column("InvoiceDate", DType.TIMESTAMP, "When the invoice was made.", unit="shop time"),
            Column("UnitPrice", DType.NUMBER, "Price of a unit.", unit="GBP"),
            Column("CustomerID", DType.INTEGER, "Customer.", personal=True),
        ),
        key=("InvoiceNo", "StockCode"),
    ),
    history=History.IMMUTABLE,
    rules=(
        RowRule("InvoiceNo", "not begin with C: a return is no order", "not starts_with(InvoiceNo, 'C')"),
        RowRule("Quantity", "be above 0: a return is no order", "Quantity > 0"),
        RowRule("UnitPrice", "be above 0: what costs nothing is not sold", "UnitPrice > 0"),
        RowRule(
            "StockCode",
            "be five digits and up to two letters: others are no products",
            "regexp_full_match(StockCode, '[0-9]{5}[A-Za-z]{0,2}')",
        ),
    ),
)

LAYOUTS = (LINES,)


def adapt(staging: Staging, files: Sequence[DeliveredFile], into: Path) -> Adapted:
    """Write Online Retail's lines as files in the raw layouts of repurchase.

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
    for number, file in enumerate(files):
        staging.examine(file)
        outcomes.append(staging.settle(file))
        rows = f"select * exclude (is_bad), {number} as file_number from checked where not is_bad"
        con.execute(f"insert into sold {rows}" if number else f"create temp table sold as {rows}")
    con.execute(_PURCHASES)
    into.mkdir()
    for layout, query in _QUERIES:
        write_raw(con, layout, query, into)
    taken, invoices, orders, lines = con.execute(
        "select count(*), count(distinct InvoiceNo), count(distinct order_id),"
        " count(distinct (order_id, product_id)) from purchases"
    ).fetchall()[0]
    return Adapted(
        tuple(outcomes),
        (
            f"{invoices} invoices are {orders} orders: those of a customer on one day are one",
            f"{taken} invoice lines are {lines} order lines: a product is one line of an order",
        ),
    )


_PURCHASES = """
    create temp table purchases as
    select *, upper(StockCode) as product_id, CustomerID::varchar as customer_id, InvoiceDate::date as ordered_on,
        first_value(InvoiceNo) over same_day as order_id, first_value(InvoiceDate) over same_day as ordered_at,
        row_number() over same_day as place
    from sold
    window same_day as (
        partition by CustomerID, InvoiceDate::date order by InvoiceDate, InvoiceNo, file_number, row_number
    )
"""

_FIRST = "(InvoiceDate, InvoiceNo, file_number, row_number)"

_QUERIES = (
    (
        repurchase.PRODUCTS,
        f"""
        select product_id, coalesce(arg_min(trim(Description), {_FIRST}), product_id) as product_name,
            null as aisle, null as department, arg_min(UnitPrice, {_FIRST}) as price_eur,
            {END_OF_DAY.format(day="min(ordered_on)")} as known_at
        from purchases group by product_id order by product_id
        """,
    ),
    (
        repurchase.ORDERS,
        f"""
        select order_id, any_value(customer_id) as customer_id, any_value(ordered_at) as ordered_at,
            {END_OF_DAY.format(day="any_value(ordered_on)")} as known_at
        from purchases group by order_id order by order_id
        """,
    ),
    (
        repurchase.ORDER_LINES,
        f"""
        select order_id, product_id, sum(Quantity) as quantity,
            row_number() over (partition by order_id order by min(place)) as position,
            any_value(ordered_on) as ordered_on, {END_OF_DAY.format(day="any_value(ordered_on)")} as known_at
        from purchases group by order_id, product_id order by order_id, position
        """,
    ),
)  # fmt: skip


ADAPTER = Adapter(LAYOUTS, adapt)
