"""Rossmann's files become stores, sales, promotions and a calendar that is known in advance."""

# ruff: noqa: DTZ001 - times in the lake are UTC without a zone; rows read best as rows

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import DataContractError
from pipelines.io.lake import Lake
from pipelines.settings import Settings
from pipelines.sources.ingest import IngestReport

Land = Callable[..., IngestReport]

STORE = """"Store","StoreType","Assortment","CompetitionDistance","CompetitionOpenSinceMonth","CompetitionOpenSinceYear","Promo2","Promo2SinceWeek","Promo2SinceYear","PromoInterval"
1,"c","a",1270,9,2008,0,,,""
2,"a","c",,,,1,6,2015,"Jan,Apr,Jul,Sept"
3,"b","b",300,,,1,2,2016,"Jan,Apr,Jul,Oct"
"""  # noqa: E501

HEADER = '"Store","DayOfWeek","Date","Sales","Customers","Open","Promo","StateHoliday","SchoolHoliday"\n'
FIRST = date(2015, 3, 2)  # a Monday
DAYS = 42


def day_row(store: int, day: date) -> dict[str, Any]:
    """An ordinary day: closed on Sundays but for store 3, a promotion every other week."""
    n = (day - FIRST).days
    is_open = day.weekday() < 6 or store == 3
    return {
        "Store": store, "DayOfWeek": day.isoweekday(), "Date": day, "Sales": 100 * store + n if is_open else 0,
        "Customers": 9, "Open": int(is_open), "Promo": int(n // 7 % 2 == 1 and day.weekday() < 5),
        "StateHoliday": "0", "SchoolHoliday": 0,
    }  # fmt: skip


@pytest.fixture
def delivery(tmp_path: Path) -> Path:
    rows = {(s, n): day_row(s, FIRST + timedelta(n)) for s in (1, 2, 3) for n in range(DAYS)}
    shut = {"Open": 0, "Sales": 0}
    # Good Friday (3 April, day 32) everywhere, Easter Monday with the school holidays of store 1.
    for store in (1, 2, 3):
        rows[store, 32] |= shut | {"StateHoliday": "b"}
    for n in (35, 36, 37):
        rows[1, n] |= {"SchoolHoliday": 1}
    # Store 2 is renewed from Friday to Tuesday over a closed Sunday; store 3 lacks three days.
    for n in (4, 5, 7, 8):
        rows[2, n] |= shut
    for n in (10, 11, 12):
        del rows[3, n]
    rows[1, 14] |= {"Sales": 0}  # open without turnover
    rows[1, 15] |= {"Open": 0}  # turnover though closed
    rows[2, 16] |= {"StateHoliday": "x"}
    del rows[2, 21]  # the first day of the second week of promotions
    folder = tmp_path / "rossmann"
    folder.mkdir()
    (folder / "store.csv").write_text(STORE)
    lines = [",".join(str(value) for value in row.values()) for row in rows.values()]
    (folder / "train.csv").write_text(HEADER + "\n".join(lines) + "\n")
    (folder / "test.csv").write_text("Id,Store\n1,1\n")
    return folder


def rows(settings: Settings, table: str) -> list[dict[str, Any]]:
    return Lake.of(settings).read(f"raw/demand_{table}").to_pylist()


def span(row: dict[str, Any]) -> tuple[int, int]:
    """First and last day of an event as numbers of days."""
    return (row["starts_on"] - FIRST).days, (row["ends_on"] - FIRST).days


def test_stores_form_a_tree_of_type_and_assortment(
    delivery: Path, land_demand: Land, settings: Settings
) -> None:
    land_demand(delivery, source="rossmann")
    stores = {row["store_id"]: row for row in rows(settings, "stores")}
    assert {key: row["region"] for key, row in stores.items()} == {"1": "ca", "2": "ac", "3": "bb"}
    assert {key: row["opens_sunday"] for key, row in stores.items()} == {"1": False, "2": False, "3": True}
    assert stores["1"]["assortment"] == "basic"
    assert (stores["1"]["competition_distance_m"], stores["1"]["competition_opened_on"]) == (
        1270,
        date(2008, 9, 1),
    )
    assert (stores["2"]["competition_distance_m"], stores["3"]["competition_opened_on"]) == (None, None)
    assert stores["1"]["opened_on"] == FIRST
    assert stores["1"]["known_at"] == datetime(2015, 3, 1)
    (product,) = rows(settings, "products")
    assert (product["sku_id"], product["category"]) == ("ALL", "all")


def test_turnover_of_open_days_is_the_quantity_and_customers_are_counts_of_their_own(
    delivery: Path, land_demand: Land, settings: Settings
) -> None:
    report = land_demand(delivery, source="rossmann")
    (store, train) = report.adapted
    assert (store.read, train.read, train.quarantined) == (3, 3 * DAYS - 4, 2)
    assert train.rules == {
        "Sales must be 0 where the store is closed": 1,
        "StateHoliday must be one of 0, a, b, c": 1,
    }
    assert "Customers" not in train.undeclared
    counts = {(row["store_id"], row["counted_on"]): row for row in rows(settings, "customers")}
    assert {row["customers"] for row in counts.values()} == {9}
    sales = {(row["store_id"], (row["sold_on"] - FIRST).days): row for row in rows(settings, "sales")}
    open_days = sum(
        1 for s in (1, 2, 3) for n in range(DAYS) if day_row(s, FIRST + timedelta(n))["Open"]
    )  # fmt: skip
    assert len(sales) == len(counts) == open_days - 3 - 4 - 3 - 2 - 1
    assert sales["3", 6]["quantity"] == sales["3", 6]["revenue_eur"] == 306
    assert sales["1", 0]["known_at"] == datetime(2015, 3, 2, 23, 59, 59)
    assert sales["1", 14]["quantity"] == 0
    assert report.notes[0] == "1 days were open without turnover: rows with quantity 0"


def test_promotions_are_runs_announced_eight_weeks_ahead(
    delivery: Path, land_demand: Land, settings: Settings
) -> None:
    land_demand(delivery, source="rossmann")
    promotions = rows(settings, "promotions")
    shared = [row for row in promotions if row["mechanic"] == "leaflet" and row["store_id"] is None]
    # In the first such week store 3 lacks days and in the second store 2 does, so that its runs are its own.
    assert sorted(span(row) for row in shared) == [(35, 39)]
    own = {
        (row["store_id"], *span(row))
        for row in promotions
        if row["mechanic"] == "leaflet" and row["store_id"]
    }
    assert own == {
        ("1", 7, 11), ("2", 7, 11), ("3", 7, 9),
        ("1", 21, 25),  ("2", 22, 25), ("3", 21, 25),
    }  # fmt: skip
    coupons = [row for row in promotions if row["mechanic"] == "coupon"]
    # Store 2 takes part from the week of 2 February 2015 on: April comes, January was before; store 3 next year.
    assert [(row["store_id"], row["starts_on"], row["ends_on"]) for row in coupons] == [
        ("2", date(2015, 4, 1), date(2015, 4, 30))
    ]
    assert {row["discount"] for row in promotions} == {0.1, 0.2}
    for row in promotions:
        assert row["announced_at"] == datetime.combine(row["starts_on"], datetime.min.time()) - timedelta(56)
        assert (row["region"], row["sku_id"], row["category"], row["status"]) == (None, None, None, "planned")


def test_holidays_and_closures_are_events_known_ahead(
    delivery: Path, land_demand: Land, settings: Settings
) -> None:
    land_demand(delivery, source="rossmann")
    events = rows(settings, "calendar_events")
    by_kind: dict[str, set[Any]] = {}
    for row in events:
        by_kind.setdefault(row["kind"], set()).add((row["store_id"], row["name"], *span(row)))
        assert row["known_at"] == datetime.combine(row["starts_on"], datetime.min.time()) - timedelta(56)
    assert by_kind["public_holiday"] == {(None, "Easter", 32, 32)}
    assert by_kind["school_holiday"] == {("1", "School holidays", 35, 37)}
    assert by_kind["closure"] == {
        (None, "Closed", 32, 32),
        ("2", "Closed", 4, 8),  # over the Sunday
        ("3", "Not in the data", 10, 12),
        ("1", "Not in the data", 15, 15),  # quarantined
        ("2", "Not in the data", 16, 16),  # quarantined
        ("2", "Not in the data", 21, 21),
    }


def test_both_files_are_needed(delivery: Path, land_demand: Land) -> None:
    (delivery / "store.csv").unlink()
    with pytest.raises(DataContractError, match=r"Rossmann is two files; missing \['store.csv'\]"):
        land_demand(delivery, source="rossmann")


def test_the_same_files_land_once(delivery: Path, land_demand: Land) -> None:
    first = land_demand(delivery, source="rossmann")
    again = land_demand(delivery, source="rossmann")
    assert [table.landed for table in again.tables] == [0] * 8
    assert [table.already_landed for table in again.tables] == [table.landed for table in first.tables]
