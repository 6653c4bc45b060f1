"""M5 in both of its forms: a product per item in Kaggle's files, a product per department in the sums."""

# ruff: noqa: DTZ001 - times in the lake are UTC without a zone

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import DataContractError
from pipelines.io.lake import Lake
from pipelines.settings import Settings
from pipelines.sources.ingest import IngestReport

Land = Callable[..., IngestReport]

FIRST = date(2015, 12, 21)  # a Monday; Christmas is day 4
DAYS = 14


def calendar(number: str, week: bool) -> str:
    """Calendar of the days, with an event of each type and SNAP days."""
    names = ["date", number, *(["wm_yr_wk"] if week else []), "event_name_1", "event_type_1",
             *(["event_name_2", "event_type_2"] if week else []), "snap_CA", "snap_TX", "snap_WI"]  # fmt: skip
    events = {4: ("Christmas", "National"), 6: ("Derby", "Sporting"), 11: ("NewYear", "National")}
    lines = [",".join(names)]
    for n in range(DAYS):
        name, kind = events.get(n, ("", ""))
        second = ("Fast", "Religious") if n == 6 else ("", "")
        values = [str(FIRST + timedelta(n)), f"d_{n + 1}" if week else str(n + 1)]
        values += [str(11_500 + n // 7)] if week else []
        values += [name, kind, *(second if week else ())]
        values += [str(int(n in (1, 2, 3))), str(int(n in (2, 5))), "0"]
        lines.append(",".join(values))
    return "\n".join(lines) + "\n"


@pytest.fixture
def kaggle(tmp_path: Path) -> Path:
    folder = tmp_path / "kaggle"
    folder.mkdir()
    (folder / "calendar.csv").write_text(calendar("d", week=True))
    days = ",".join(f"d_{n + 1}" for n in range(DAYS))
    header = f"id,item_id,dept_id,cat_id,store_id,state_id,{days}\n"

    def line(item: str, store: str, units: list[int]) -> str:
        sold = ",".join(str(u) for u in units)
        return f"{item}_{store}_evaluation,{item},FOODS_1,FOODS,{store},{store[:2]},{sold}\n"

    closed = [2, 2, 0, 2, 0, *[3] * 9]  # day 4 is Christmas
    rows = [
        line("FOODS_1_001", "CA_1", closed),
        line("FOODS_1_002", "CA_1", [0] * 7 + [5] * 7),
        line("FOODS_1_001", "TX_1", [1] * DAYS),
    ]
    (folder / "sales_train_evaluation.csv").write_text(header + "".join(rows))
    (folder / "sales_train_validation.csv").write_text(header)
    (folder / "sample_submission.csv").write_text("id\n1\n")
    prices = ["store_id,item_id,wm_yr_wk,sell_price", "CA_1,FOODS_1_001,11500,2.00", "CA_1,FOODS_1_001,11501,2.50",
              "TX_1,FOODS_1_001,11500,3.00", "TX_1,FOODS_1_001,11501,2.50", "CA_1,FOODS_1_002,11501,1.10"]  # fmt: skip
    (folder / "sell_prices.csv").write_text("\n".join(prices) + "\n")
    return folder


@pytest.fixture
def departments(tmp_path: Path) -> Path:
    folder = tmp_path / "sums"
    folder.mkdir()
    (folder / "calendar_from_df_model.csv").write_text(calendar("n", week=False))
    rows = [
        {
            "store_id": store, "dept_id": dept, "n": n + 1, "sales": 0 if n == 4 or absent else 10 + n,
            "imputed_zero": n == 4 or absent, "date": datetime.combine(FIRST + timedelta(n), datetime.min.time()),
            "state_id": store[:2], "cat_id": dept[:-2],
        }
        for store in ("CA_1", "WI_2") for dept in ("FOODS_1", "HOBBIES_2") for n in range(DAYS)
        for absent in (dept == "HOBBIES_2" and n < 2,)
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), folder / "m5_store_dept_daily_1913.parquet")
    return folder


def rows(settings: Settings, table: str) -> list[dict[str, Any]]:
    return Lake.of(settings).read(f"raw/demand_{table}").to_pylist()


def day(row: dict[str, Any], column: str = "sold_on") -> int:
    return (row[column] - FIRST).days


def test_items_of_the_wide_file_become_rows(kaggle: Path, land_demand: Land, settings: Settings) -> None:
    report = land_demand(kaggle, source="m5")
    assert {table.table: table.landed for table in report.adapted} == {
        "calendar": DAYS, "sell_prices": 5, "sales_train_evaluation": 3,
    }  # fmt: skip
    sales = {(row["store_id"], row["sku_id"], day(row)): row for row in rows(settings, "sales")}
    assert len(sales) == 12 + 7 + 14
    assert ("CA_1", "FOODS_1_001", 2) not in sales  # nothing sold, no row
    one = sales["CA_1", "FOODS_1_001", 3]
    assert (one["quantity"], one["revenue_eur"], one["stocked_out"], one["on_hand"]) == (2, 4.0, False, None)
    assert one["known_at"] == datetime(2015, 12, 24, 23, 59, 59)
    assert sales["TX_1", "FOODS_1_001", 0]["revenue_eur"] == 3.0
    assert {row["sold_month"] for row in sales.values()} == {"2015-12", "2016-01"}


def test_prices_are_versions_of_the_product(kaggle: Path, land_demand: Land, settings: Settings) -> None:
    land_demand(kaggle, source="m5")
    versions = [
        (row["sku_id"], row["list_price_eur"], day(row, "launched_on"), row["known_at"])
        for row in sorted(rows(settings, "products"), key=lambda row: (row["sku_id"], row["known_at"]))
    ]
    # The median of 2 and 3 is the median of 2.5 and 2.5: no second version of the first.
    assert versions == [
        ("FOODS_1_001", 2.5, 0, datetime(2015, 12, 20)),
        ("FOODS_1_002", 1.1, 7, datetime(2015, 12, 27)),
    ]
    assert {row["subcategory"] for row in rows(settings, "products")} == {"FOODS_1"}


def test_the_calendar_becomes_events_of_nation_state_and_store(
    kaggle: Path, land_demand: Land, settings: Settings
) -> None:
    land_demand(kaggle, source="m5")
    events = rows(settings, "calendar_events")
    found = {
        (row["kind"], row["region"], row["store_id"], row["name"], day(row, "starts_on"), day(row, "ends_on"))
        for row in events
    }
    assert found == {
        ("public_holiday", None, None, "Christmas", 4, 4),
        ("public_holiday", None, None, "NewYear", 11, 11),
        ("local_event", None, None, "Derby", 6, 6),
        ("local_event", None, None, "Fast", 6, 6),
        ("local_event", "CA", None, "SNAP", 1, 3),
        ("local_event", "TX", None, "SNAP", 2, 2),
        ("local_event", "TX", None, "SNAP", 5, 5),
        ("closure", None, "CA_1", "No sales", 2, 2),
        ("closure", None, "CA_1", "No sales", 4, 4),
    }
    for row in events:
        assert row["known_at"] == datetime.combine(row["starts_on"], datetime.min.time()) - timedelta(56)


def test_sums_by_department_become_rows(departments: Path, land_demand: Land, settings: Settings) -> None:
    report = land_demand(departments, source="m5")
    assert report.adapted[1].read == 2 * 2 * DAYS
    sales = rows(settings, "sales")
    assert len(sales) == 2 * (13 + 11)
    assert {row["revenue_eur"] for row in sales} == {None}
    stores = {row["store_id"]: row for row in rows(settings, "stores")}
    assert {key: row["region"] for key, row in stores.items()} == {"CA_1": "CA", "WI_2": "WI"}
    products = {row["sku_id"]: row for row in rows(settings, "products")}
    assert {key: row["category"] for key, row in products.items()} == {
        "FOODS_1": "FOODS",
        "HOBBIES_2": "HOBBIES",
    }
    assert day(products["HOBBIES_2"], "launched_on") == 2
    closures = [row for row in rows(settings, "calendar_events") if row["kind"] == "closure"]
    assert [(row["store_id"], day(row, "starts_on")) for row in closures] == [(None, 4)]


def test_what_is_missing_is_named(kaggle: Path, land_demand: Land) -> None:
    (kaggle / "sell_prices.csv").unlink()
    with pytest.raises(
        DataContractError, match=r"M5 is sales_train_evaluation.csv .* missing \['sell_prices'\]"
    ):
        land_demand(kaggle, source="m5")
