"""A retailer's files land as they are: about no person, with times of their own, within the stores' lives."""

# ruff: noqa: DTZ001 - times in the lake are UTC without a zone; rows read best as rows

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pytest

from pipelines.errors import ConfigError, DataContractError
from pipelines.io.lake import Lake
from pipelines.settings import Settings
from pipelines.sources import staging
from pipelines.sources.delivery import discover
from pipelines.sources.ingest import IngestReport
from pipelines.sources.landed import QUARANTINE, landed_table
from pipelines.sources.layout import RawLayout
from pipelines.usecases.demand.layouts import LAYOUTS, PROMOTIONS, SALES, STORES

Land = Callable[..., IngestReport]

HEADERS = {layout.table.name: ",".join(layout.table.column_names) for layout in LAYOUTS}
#: Rows of the files, without their headers.
FILES = {
    "stores": """S1,One,North,residential,city,compact,300,1200.5,2020-05-01,false,2015-01-01,,2014-12-01 09:00:00
S2,Two,South,,,,,,,true,2024-02-01,2024-03-10,2024-02-20 10:00:00
S2,Two,South,,,,,,,true,2024-02-01,,2024-01-01 09:00:00
""",
    "products": """K1,Milk 1 l,dairy,milk,Maison,low,1000,1.10,2010-01-01,,2009-12-01 18:00:00
K1,Milk 1 l,dairy,milk,Maison,low,1000,1.15,2010-01-01,,2024-01-31 18:00:00
K2,Cola,drinks,,,,,,2024-01-15,,2023-12-01 18:00:00
""",
    "sales": """S1,K1,2024-01-30,12,13.20,false,30,2024-01-30 21:30:00
S1,K1,2024-02-01,0,0,true,0,2024-02-01 21:30:00
S2,K1,2024-01-31,3,3.30,false,,2024-01-31 21:30:00
S2,K1,2024-02-01,3,3.45,false,,2024-02-01 21:30:00
S2,K2,2024-03-10,2.5,,false,,2024-03-10 21:30:00
S2,K2,2024-03-11,1,,false,,2024-03-11 21:30:00
S3,K2,2024-03-11,1,,false,,2024-03-11 21:30:00
S1,K2,2024-02-02,4,8.00,false,,2024-02-02 00:00:00
S1,K2,2024-02-03,0,8.00,false,,2024-02-03 21:30:00
""",
    "promotions": """P1,,,K1,,2024-02-07,2024-02-13,leaflet,0.25,planned,2024-01-02 09:00:00
P1,,,K1,,2024-02-14,2024-02-20,leaflet,0.25,planned,2024-01-20 09:00:00
P2,,South,,drinks,2024-02-07,2024-02-07,coupon,0.1,planned,2024-01-02 09:00:00
P3,,East,,drinks,2024-02-07,2024-02-13,coupon,0.1,planned,2024-01-02 09:00:00
P4,,,,toys,2024-02-07,2024-02-13,coupon,0.1,planned,2024-01-02 09:00:00
P5,S1,North,,,2024-02-07,2024-02-13,coupon,0.1,planned,2024-01-02 09:00:00
P6,,,K1,dairy,2024-02-07,2024-02-13,coupon,0.1,planned,2024-01-02 09:00:00
P7,,,K1,,2024-02-07,2024-02-13,coupon,0.1,planned,2024-02-14 00:00:00
P8,,,K1,,2024-02-07,2024-02-06,coupon,0.1,planned,2024-01-02 09:00:00
""",
    "weather_observed": """North,2024-02-01,8.5,0,2024-02-01 23:00:00
North,2024-02-02,8.5,0,2024-02-02 00:00:00
""",
    "weather_forecasts": """North,2024-02-01 18:00:00,2024-02-02,8.5,0
North,2024-02-01 18:00:00,2024-01-31,8.5,0
""",
    "calendar_events": """E1,public_holiday,,,New Year,2024-01-01,2024-01-01,2022-07-01 00:00:00
E2,school_holiday,West,,Winter,2024-02-10,2024-02-25,2022-07-01 00:00:00
E3,closure,North,S1,Flood,2024-02-10,2024-02-10,2024-02-10 06:00:00
E4,closure,,S9,Flood,2024-02-10,2024-02-10,2024-02-10 06:00:00
""",
}  # fmt: skip


@pytest.fixture
def delivery(tmp_path: Path) -> Path:
    return written(tmp_path / "retailer", FILES)


def written(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir()
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(f"{HEADERS.get(name, 'a')}\n{text}")
    return folder


def quarantined(settings: Settings) -> dict[tuple[str, int], list[str]]:
    rows = Lake.of(settings).read(QUARANTINE).to_pylist()
    return {(row["table_name"], row["row_number"]): json.loads(row["rules"]) for row in rows}


def test_rows_that_break_a_rule_are_quarantined_with_it(
    delivery: Path, land_demand: Land, settings: Settings
) -> None:
    report = land_demand(delivery)
    assert quarantined(settings) == {
        ("sales", 3): ["sold_on must not be before stores.opened_on"],
        ("sales", 6): ["sold_on must not be after stores.closed_on"],
        ("sales", 7): ["store_id must exist in stores.store_id"],
        ("sales", 8): ["known_at must be after the start of sold_on"],
        ("sales", 9): ["revenue_eur must be 0 where nothing was sold"],
        ("promotions", 4): ["region must exist in stores.region"],
        ("promotions", 5): ["category must exist in products.category"],
        ("promotions", 6): ["region must be null where a store is given"],
        ("promotions", 7): ["category must be null where a product is given"],
        ("promotions", 8): ["announced_at must not be after ends_on"],
        ("promotions", 9): ["ends_on must not be before starts_on"],
        ("weather_observed", 2): ["known_at must be after the start of observed_on"],
        ("weather_forecasts", 2): ["valid_on must not be before the day of issued_at"],
        ("calendar_events", 3): ["region must be null where a store is given"],
        ("calendar_events", 4): ["store_id must exist in stores.store_id"],
    }
    assert [(table.table, table.landed) for table in report.tables] == [
        ("stores", 3), ("products", 3), ("sales", 4), ("promotions", 3), ("weather_observed", 1),
        ("weather_forecasts", 1), ("calendar_events", 2),
    ]  # fmt: skip


def test_what_is_about_nobody_lands_without_a_pseudonym(
    delivery: Path, land_demand: Land, settings: Settings
) -> None:
    land_demand(delivery)
    lake = Lake.of(settings)
    sales = lake.read("raw/demand_sales").sort_by([("sold_on", "ascending"), ("store_id", "ascending")])
    assert sales.column_names == [
        "store_id", "sku_id", "sold_on", "quantity", "revenue_eur", "stocked_out", "on_hand", "known_at",
        "sold_month", "ingested_at",
    ]  # fmt: skip
    assert sales.to_pylist()[0] == {
        "store_id": "S1", "sku_id": "K1", "sold_on": date(2024, 1, 30), "quantity": 12.0, "revenue_eur": 13.2,
        "stocked_out": False, "on_hand": 30.0, "known_at": datetime(2024, 1, 30, 21, 30), "sold_month": "2024-01",
        "ingested_at": datetime(2024, 6, 1, 12),
    }  # fmt: skip
    bad = next(
        row
        for row in lake.read(QUARANTINE).to_pylist()
        if (row["table_name"], row["row_number"]) == ("sales", 6)
    )
    assert bad["account_key"] is None
    assert json.loads(bad["row_key"]) == {"store_id": "S2", "sku_id": "K2", "sold_on": "2024-03-11"}
    assert json.loads(bad["payload"])["quantity"] == "1"
    assert bad["reasons"] == "sold_on must not be after stores.closed_on, got 2024-03-11 (2024-03-10)"


def test_promotions_are_told_apart_by_when_they_were_announced(
    delivery: Path, land_demand: Land, settings: Settings
) -> None:
    land_demand(delivery)
    versions = Lake.of(settings).read("raw/demand_promotions").to_pylist()
    assert [str(row["starts_on"]) for row in versions if row["promo_id"] == "P1"] == [
        "2024-02-07",
        "2024-02-14",
    ]
    assert landed_table("demand", PROMOTIONS).key == ("promo_id", "announced_at")


def test_the_newest_version_tells_how_long_a_store_trades_and_a_later_one_cures(
    delivery: Path, land_demand: Land, settings: Settings, tmp_path: Path
) -> None:
    # Without the row of an unknown store, for which the file would be read again in any case.
    lines = [line for line in FILES["sales"].splitlines() if not line.startswith("S3")]
    (delivery / "sales.csv").write_text("\n".join([HEADERS["sales"], *lines]) + "\n")
    first = land_demand(delivery)
    sales = first.tables[2]
    assert (sales.table, sales.quarantined, sales.landed) == ("sales", 4, 4)
    last = FILES["stores"].splitlines()[-1]
    put_off = last.replace(",2024-02-01,,2024-01-01 09", ",2024-02-01,2024-03-31,2024-03-01 09")
    assert put_off != last
    later = written(tmp_path / "later", {"stores": put_off})
    land_demand(later)
    # The sales file had rows that another table may cure: it is read again, and one more row lands.
    again = land_demand(delivery)
    sales = again.tables[2]
    assert (sales.landed, sales.already_landed, sales.quarantined) == (1, 4, 3)
    assert len(Lake.of(settings).read("raw/demand_sales")) == 5


def test_large_files_land_in_parts_without_losing_a_row(
    delivery: Path, land_demand: Land, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        f"S1,K1,2024-01-{day:02d},{-day if day % 5 == 0 else day},,false,,2024-01-{day:02d} 21:00:00"
        for day in range(1, 31)
    ]
    (delivery / "sales.csv").write_text("\n".join([HEADERS["sales"], *rows]) + "\n")
    monkeypatch.setattr(staging, "_ROWS_PER_COMMIT", 7)
    report = land_demand(delivery)
    sales = next(table for table in report.tables if table.table == "sales")
    assert (sales.read, sales.landed, sales.quarantined) == (30, 24, 6)
    lake = Lake.of(settings)
    landed = lake.read("raw/demand_sales").column("quantity").to_pylist()
    assert sorted(landed) == [day for day in range(1, 31) if day % 5 > 0]
    commits = lake.open("raw/demand_sales").history()
    assert len([commit for commit in commits if commit["operation"] == "WRITE"]) == 5


def test_optional_columns_may_be_absent_and_known_strangers_are_not_read(tmp_path: Path) -> None:
    layout = replace(STORES, optional=("clientele",))
    folder = written(tmp_path / "short", {"notes": "1"})
    names = [name for name in STORES.table.column_names if name != "clientele"]
    (folder / "stores.csv").write_text(",".join(names) + "\n")
    (file,) = discover(folder, (layout,), ignored=("notes",))
    assert "clientele" not in file.header
    with pytest.raises(DataContractError, match=r"missing \['clientele'\]"):
        discover(folder, (STORES,), ignored=("notes",))
    with pytest.raises(DataContractError, match=r"notes\.csv: its name must be one of"):
        discover(folder, (layout,))


def test_declarations_must_make_sense() -> None:
    with pytest.raises(
        ValueError, match="promotions: versions are told apart by known_at, which must be in the key"
    ):
        replace(PROMOTIONS, known="known_at")
    with pytest.raises(ValueError, match="sales: without a subject there is none to keep"):
        replace(SALES, keeps_subject=True)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.table.name)
def test_every_table_says_when_a_row_was_known(layout: RawLayout) -> None:
    column = layout.table.column(layout.known)
    assert column.dtype.value == "timestamp"
    assert not column.nullable
    assert layout.subject is None
    assert not any(c.personal for c in layout.table.columns)


def test_sources_of_another_use_case_are_refused(delivery: Path, land_demand: Land) -> None:
    with pytest.raises(
        ConfigError, match="source of demand must be one of long, m5, native, rossmann, got 'ravenstack'"
    ):
        land_demand(delivery, source="ravenstack")
