"""Instacart's days between orders become dates on a clock of each customer's own."""

# ruff: noqa: DTZ001 - times in the lake are UTC without a zone

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import DataContractError
from pipelines.io.lake import Lake
from pipelines.settings import Settings
from pipelines.sources.ingest import IngestReport

Land = Callable[..., IngestReport]

FILES = {
    "aisles": "aisle_id,aisle\n24,fresh fruits\n84,milk\n",
    "departments": "department_id,department\n4,produce\n16,dairy eggs\n",
    "products": "product_id,product_name,aisle_id,department_id\n"
    '196,"Bananas, organic",24,4\n10258,Milk,84,16\n77,Nowhere,99,4\n',
    "orders": "order_id,user_id,eval_set,order_number,order_dow,order_hour_of_day,days_since_prior_order\n"
    "2539329,1,prior,1,2,08,\n2398795,1,prior,2,3,07,15.0\n473747,1,train,3,3,12,21.0\n"
    "2168274,2,prior,1,0,11,\n1501582,2,test,2,2,10,30.0\n",
    "order_products__prior": "order_id,product_id,add_to_cart_order,reordered\n"
    "2539329,196,1,0\n2539329,10258,2,0\n2398795,196,1,1\n2168274,10258,1,0\n2168274,555,2,0\n",
    "order_products__train": "order_id,product_id,add_to_cart_order,reordered\n473747,196,2,1\n473747,10258,1,1\n",
}


@pytest.fixture
def delivery(tmp_path: Path) -> Path:
    folder = tmp_path / "instacart"
    folder.mkdir()
    for name, text in {**FILES, "sample_submission": "order_id,products\n17,39276\n"}.items():
        (folder / f"{name}.csv").write_text(text)
    return folder


def rows(settings: Settings, table: str) -> list[dict[str, Any]]:
    return Lake.of(settings).read(f"raw/repurchase_{table}").to_pylist()


def test_days_between_orders_are_added_up_from_the_weekday_of_the_first(
    delivery: Path, land_repurchase: Land, settings: Settings
) -> None:
    report = land_repurchase(delivery, source="instacart")
    orders = {row["order_id"]: (row["customer_id"], row["ordered_at"]) for row in rows(settings, "orders")}
    assert orders == {
        "2539329": ("1", datetime(2016, 1, 4, 8)),  # day 2 of the week that begins on Saturday 2 January
        "2398795": ("1", datetime(2016, 1, 19, 7)),
        "473747": ("1", datetime(2016, 2, 9, 12)),
        "2168274": ("2", datetime(2016, 1, 2, 11)),
        "1501582": ("2", datetime(2016, 2, 1, 10)),
    }
    # The weekday agrees with the data's where no gap was cut at 30.
    assert orders["473747"][1].strftime("%A") == "Tuesday"
    assert report.notes == (
        "1 orders have no lines: what they hold is not published",
        "1 gaps of 30 days may be longer: the clocks behind them are slow",
    )


def test_lines_and_products(delivery: Path, land_repurchase: Land, settings: Settings) -> None:
    report = land_repurchase(delivery, source="instacart")
    lines = {
        (r["order_id"], r["product_id"]): (r["position"], r["ordered_on"])
        for r in rows(settings, "order_lines")
    }
    assert lines == {
        ("2539329", "196"): (1, date(2016, 1, 4)),
        ("2539329", "10258"): (2, date(2016, 1, 4)),
        ("2398795", "196"): (1, date(2016, 1, 19)),
        ("2168274", "10258"): (1, date(2016, 1, 2)),
        ("473747", "10258"): (1, date(2016, 2, 9)),
        ("473747", "196"): (2, date(2016, 2, 9)),
    }
    products = {
        r["product_id"]: (r["product_name"], r["aisle"], r["department"]) for r in rows(settings, "products")
    }
    assert products == {
        "196": ("Bananas, organic", "fresh fruits", "produce"),
        "10258": ("Milk", "milk", "dairy eggs"),
    }
    assert {r["known_at"] for r in rows(settings, "products")} == {datetime(2016, 1, 1)}
    broken = {table.table: table.rules for table in report.adapted if table.rules}
    assert broken == {
        "products": {"aisle_id must exist in aisles.aisle_id": 1},
        "order_products__prior": {"product_id must exist in products.product_id": 1},
    }


def test_a_gap_in_the_numbers_of_orders_is_refused(delivery: Path, land_repurchase: Land) -> None:
    text = FILES["orders"].replace("2398795,1,prior,2,3,07,15.0\n", "")
    (delivery / "orders.csv").write_text(text)
    with pytest.raises(DataContractError, match="1 of 2 customers are not"):
        land_repurchase(delivery, source="instacart")


def test_files_that_are_needed(delivery: Path, land_repurchase: Land) -> None:
    (delivery / "aisles.csv").unlink()
    with pytest.raises(DataContractError, match=r"Instacart is 6 files; missing \['aisles.csv'\]"):
        land_repurchase(delivery, source="instacart")
