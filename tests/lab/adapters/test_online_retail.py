"""Invoice lines of Online Retail become orders of known customers; everything else is told why not."""

# ruff: noqa: DTZ001 - times in the lake are UTC without a zone

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.io.lake import Lake
from pipelines.settings import Settings
from pipelines.sources.ingest import IngestReport

Land = Callable[..., IngestReport]
Line = tuple[str, str, str | None, int, datetime, float, float | None]

MORNING, NOON, NEXT_WEEK = datetime(2011, 3, 1, 9, 30), datetime(2011, 3, 1, 12), datetime(2011, 3, 8, 16, 5)

LINES: list[Line] = [
    # Two invoices of one customer on one day, a product twice and once in the other case.
    ("540002", "22720", "TINS ", 3, NOON, 4.95, 17850.0),
    ("540001", "85123A", "HOLDER", 6, MORNING, 2.55, 17850.0),
    ("540001", "22720", "SET OF TINS", 2, MORNING, 4.90, 17850.0),
    ("540001", "85123a", "holder", 1, MORNING, 2.95, 17850.0),
    ("540010", "85123A", "HOLDER", 12, NEXT_WEEK, 2.10, 17850.0),
    ("540003", "10002", None, 1, NOON, 0.85, 12346.0),
    # What is no order of a known customer.
    ("540004", "22720", "TINS", 1, NOON, 9.95, None),
    ("C540005", "22720", "TINS", -2, NOON, 4.90, 17850.0),
    ("540006", "POST", "POSTAGE", 1, NOON, 18.0, 12346.0),
    ("540007", "22720", "TINS", 1, NOON, 0.0, 12346.0),
    ("540008", "C2", "CARRIAGE", -1, NOON, 50.0, None),
]


@pytest.fixture
def delivery(tmp_path: Path) -> Path:
    names = ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID"]
    columns: dict[str, Any] = dict(zip(names, map(list, zip(*LINES, strict=True)), strict=True))
    columns["InvoiceDate"] = pa.array(columns["InvoiceDate"], pa.timestamp("ns"))
    columns["Country"] = ["United Kingdom"] * len(LINES)
    folder = tmp_path / "online_retail"
    folder.mkdir()
    pq.write_table(pa.table(columns), folder / "Online_Retail.parquet")
    return folder


def rows(settings: Settings, table: str) -> list[dict[str, Any]]:
    return Lake.of(settings).read(f"raw/repurchase_{table}").to_pylist()


def test_invoices_of_a_day_are_one_order(delivery: Path, land_repurchase: Land, settings: Settings) -> None:
    report = land_repurchase(delivery, source="online_retail")
    orders = {row["order_id"]: row for row in rows(settings, "orders")}
    assert {key: (row["customer_id"], row["ordered_at"]) for key, row in orders.items()} == {
        "540001": ("17850", MORNING),
        "540010": ("17850", NEXT_WEEK),
        "540003": ("12346", NOON),
    }
    assert orders["540001"]["customer_key"] == orders["540010"]["customer_key"] != "17850"
    assert orders["540010"]["known_at"] == datetime(2011, 3, 8, 23, 59, 59)
    assert report.notes == (
        "4 invoices are 3 orders: those of a customer on one day are one",
        "6 invoice lines are 4 order lines: a product is one line of an order",
    )


def test_a_product_is_one_line_of_an_order(delivery: Path, land_repurchase: Land, settings: Settings) -> None:
    land_repurchase(delivery, source="online_retail")
    lines = {
        (row["order_id"], row["product_id"]): (row["quantity"], row["position"], row["ordered_on"])
        for row in rows(settings, "order_lines")
    }
    assert lines == {
        ("540001", "85123A"): (7, 1, date(2011, 3, 1)),
        ("540001", "22720"): (5, 2, date(2011, 3, 1)),
        ("540003", "10002"): (1, 1, date(2011, 3, 1)),
        ("540010", "85123A"): (12, 1, date(2011, 3, 8)),
    }


def test_products_are_as_first_sold(delivery: Path, land_repurchase: Land, settings: Settings) -> None:
    land_repurchase(delivery, source="online_retail")
    products = {row["product_id"]: row for row in rows(settings, "products")}
    assert {key: (row["product_name"], row["price_eur"]) for key, row in products.items()} == {
        "10002": ("10002", 0.85),
        "22720": ("SET OF TINS", 4.90),
        "85123A": ("HOLDER", 2.55),
    }
    assert products["85123A"]["known_at"] == datetime(2011, 3, 1, 23, 59, 59)
    assert products["22720"]["aisle"] is None


def test_the_others_are_quarantined_with_their_reasons(
    delivery: Path, land_repurchase: Land, settings: Settings
) -> None:
    (report,) = land_repurchase(delivery, source="online_retail").adapted
    assert (report.read, report.landed, report.quarantined) == (11, 6, 5)
    assert report.rules == {
        "CustomerID must not be null": 2,
        "InvoiceNo must not begin with C: a return is no order": 1,
        "Quantity must be above 0: a return is no order": 2,
        "StockCode must be five digits and up to two letters: others are no products": 2,
        "UnitPrice must be above 0: what costs nothing is not sold": 1,
    }
    for row in Lake.of(settings).read("ops/quarantine").to_pylist():
        assert "CustomerID" not in json.loads(row["payload"])
        assert "17850" not in row["payload"] + row["reasons"] + row["row_key"]


def test_the_same_file_lands_once(delivery: Path, land_repurchase: Land) -> None:
    land_repurchase(delivery, source="online_retail")
    again = land_repurchase(delivery, source="online_retail")
    assert [table.landed for table in again.tables] == [0, 0, 0]
