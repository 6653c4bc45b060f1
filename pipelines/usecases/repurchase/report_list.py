"""Report, first part: who comes this week, and with what; for marketing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset

from pipelines.io.lake import Lake
from pipelines.reporting.figure import Figure
from pipelines.reporting.site import Missing
from pipelines.reporting.tables import Grid, GridColumn
from pipelines.reporting.words import short_day
from pipelines.usecases.repurchase.contracts import ORDERS_TABLE
from pipelines.usecases.repurchase.plots import arrivals
from pipelines.usecases.repurchase.schemas import NEXT_ORDERS

PRODUCTS = "raw/repurchase_products"

#: Customers on the page; all of them are in Salesforce, DynamoDB and the lake.
SHOWN = 2_000

_WEEK = 7

GRID = Grid(
    name="repurchase-list",
    caption=(
        "Customers expected within the next seven days, likeliest first. A chance of 80 % means: of 100 such customers, "
        "80 order within the horizon. Where the list has length 0, the best guess is that nothing is bought again, and "
        "the products are only the likeliest."
    ),
    columns=(
        GridColumn("Customer", "two_lines", ("customer_id", "customer_line"), "18%"),
        GridColumn("Chance of an order", "percent", ("return_probability",), "12%", "Chance"),
        GridColumn("Expected", "two_lines", ("expected_on", "window"), "22%"),
        GridColumn("Likeliest products", "list", ("product_1", "product_2", "product_3"), "36%"),
        GridColumn("Length of the list", "number", ("products",), "12%", "Length"),
    ),
    filters={"weekday": ("Expected on a", None)},
    search=("customer_id", "product_1", "product_2", "product_3"),
    export={
        "customer_id": "customer_id",
        "return_probability": "chance",
        "expected_on": "expected_on",
        "window_from": "window_from",
        "window_to": "window_to",
        "products": "products_on_list",
        "product_1": "product_1",
        "product_2": "product_2",
        "product_3": "product_3",
    },
    hint="customer, product",
)

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True)
class Headline:
    """The figures above the list, the list, and who comes when.

    Attributes
    ----------
    customers
        Customers in scope.
    expected
        Expected orders within the horizon: sum of the probabilities.
    this_week, week_customers
        The same of the customers expected within seven days, and how many they are.
    unsure
        Customers who are more likely not to come within the horizon: those to win back.
    nothing
        Customers of whom no product is expected again.
    mean_products
        Mean size of the other lists.
    payload
        Data of the grid.
    shown
        Rows of it.
    """

    customers: int
    model_version: str
    expected: float
    this_week: float
    week_customers: int
    unsure: int
    nothing: int
    mean_products: float
    payload: dict[str, Any]
    shown: int
    arrivals: Figure


def headline(lake: Lake, as_of: date) -> Headline | Missing:
    """Predictions of the day, and the customers expected first with their ids in the shop."""
    day = pa_dataset.field("as_of") == as_of
    columns = ["return_probability", "expected_on", "products", "model_version"]
    rows = lake.read(NEXT_ORDERS, columns=columns, where=day, missing_ok=True)
    if not rows.num_rows:
        return Missing(f"There are no predictions of {as_of}.", f"millrace score repurchase --as-of {as_of}")
    chance = rows["return_probability"].to_numpy()
    ahead = np.array([(each - as_of).days for each in rows["expected_on"].to_pylist()])
    named = rows["products"].to_numpy()
    soon = ahead < _WEEK
    counts = np.bincount(np.clip(ahead, 0, None), weights=chance).astype(np.float64)
    days = [as_of + timedelta(days=number) for number in range(len(counts))]
    listed = _list(lake, as_of)
    return Headline(
        customers=rows.num_rows,
        model_version=rows["model_version"][0].as_py(),
        expected=float(chance.sum()),
        this_week=float(chance[soon].sum()),
        week_customers=int(soon.sum()),
        unsure=int((chance < 0.5).sum()),
        nothing=int((named == 0).sum()),
        mean_products=float(named[named > 0].mean()) if (named > 0).any() else 0.0,
        payload=GRID.payload(listed),
        shown=listed.num_rows,
        arrivals=arrivals(days, counts, [each.weekday() >= 5 for each in days]),
    )


def _list(lake: Lake, as_of: date) -> pa.Table:
    """Rows of the grid: the likeliest of those expected within a week."""
    until = as_of + timedelta(days=_WEEK)
    where = (pa_dataset.field("as_of") == as_of) & (pa_dataset.field("expected_on") < until)
    columns = [
        "customer_key", "return_probability", "expected_on", "window_from", "window_to", "orders",
        "days_since_last", "products", "top_products",
    ]  # fmt: skip
    rows = lake.read(NEXT_ORDERS, columns=columns, where=where)
    order = [("return_probability", "descending"), ("customer_key", "ascending")]
    rows = rows.sort_by(order).slice(0, SHOWN)
    ids = customer_ids(lake, rows["customer_key"])
    names = product_names(lake, as_of)
    shown = []
    for row in rows.to_pylist():
        likeliest = [names.get(each, each) for each in json.loads(row["top_products"])[:3]]
        likeliest += [""] * (3 - len(likeliest))
        weekday = _WEEKDAYS[row["expected_on"].weekday()]
        shown.append(
            {
                "customer_id": ids.get(row["customer_key"], row["customer_key"]),
                "customer_line": f"{_orders(row['orders'])}, last {_ago(row['days_since_last'])}",
                "return_probability": row["return_probability"],
                "expected_on": str(row["expected_on"]),
                "window": f"{weekday}; between {short_day(row['window_from'])} and {short_day(row['window_to'])}",
                "weekday": weekday,
                "window_from": str(row["window_from"]),
                "window_to": str(row["window_to"]),
                "products": row["products"],
                "product_1": likeliest[0],
                "product_2": likeliest[1],
                "product_3": likeliest[2],
            }
        )
    return pa.Table.from_pylist(shown, schema=_SHOWN)


_SHOWN = pa.schema(
    [
        ("customer_id", pa.string()), ("customer_line", pa.string()), ("return_probability", pa.float64()),
        ("expected_on", pa.string()), ("window", pa.string()), ("weekday", pa.string()),
        ("window_from", pa.string()), ("window_to", pa.string()), ("products", pa.int64()),
        ("product_1", pa.string()), ("product_2", pa.string()), ("product_3", pa.string()),
    ]
)  # fmt: skip


def customer_ids(lake: Lake, keys: pa.ChunkedArray) -> dict[str, str]:
    """Natural ids of some customers, by pseudonym."""
    if not lake.exists(ORDERS_TABLE.name):
        return {}
    mine = pc.is_in(pa_dataset.field("customer_key"), value_set=pc.unique(keys))
    rows = lake.read(ORDERS_TABLE, columns=["customer_key", "customer_id"], where=mine)
    pairs = rows.group_by(["customer_key", "customer_id"]).aggregate([])
    return dict(zip(pairs["customer_key"].to_pylist(), pairs["customer_id"].to_pylist(), strict=True))


def product_names(lake: Lake, as_of: date) -> dict[str, str]:
    """Newest names of the products known before ``as_of``."""
    if not lake.exists(PRODUCTS):
        return {}
    start = pa.scalar(datetime.combine(as_of, datetime.min.time()), pa.timestamp("us"))
    rows = lake.read(
        PRODUCTS,
        columns=["product_id", "product_name", "known_at"],
        where=pa_dataset.field("known_at") < start,
    ).sort_by("known_at")
    return dict(zip(rows["product_id"].to_pylist(), rows["product_name"].to_pylist(), strict=True))


def _orders(count: int) -> str:
    return f"{count} order" if count == 1 else f"{count} orders"


def _ago(days: int) -> str:
    return {0: "today", 1: "yesterday"}.get(days, f"{days} days ago")
