"""Any table of daily series with its hierarchy lands as a chain."""

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

HIERARCHY = """unique_id,region,store_id,sku_id,category
a,North,S1,K1,drinks
b,North,S1,K2,
c,South,S2,K1,drinks
d,South,S2,K9,
"""
SERIES = """unique_id,ds,y
a,2024-01-03,1.5
a,2024-01-01,4
a,2024-01-02,0
b,2024-01-02,7
b,2024-01-03,
c,2024-01-05,-2
c,2024-01-06,2
e,2024-01-06,2
"""


@pytest.fixture
def delivery(tmp_path: Path) -> Path:
    folder = tmp_path / "long"
    folder.mkdir()
    (folder / "hierarchy.csv").write_text(HIERARCHY)
    (folder / "series.csv").write_text(SERIES)
    return folder


def rows(settings: Settings, table: str) -> list[dict[str, Any]]:
    return Lake.of(settings).read(f"raw/demand_{table}").to_pylist()


def test_series_become_sales(delivery: Path, land_demand: Land, settings: Settings) -> None:
    report = land_demand(delivery, source="long")
    assert not any(table.quarantined for table in report.tables)
    assert report.adapted[1].rules == {"unique_id must exist in hierarchy.unique_id": 1, "y must be >= 0": 1}
    sales = [
        (row["store_id"], row["sku_id"], row["sold_on"], row["quantity"])
        for row in sorted(
            rows(settings, "sales"), key=lambda row: (row["store_id"], row["sku_id"], row["sold_on"])
        )
    ]
    # A zero is told, what was not reported is no row.
    assert sales == [
        ("S1", "K1", date(2024, 1, 1), 4), ("S1", "K1", date(2024, 1, 2), 0), ("S1", "K1", date(2024, 1, 3), 1.5),
        ("S1", "K2", date(2024, 1, 2), 7), ("S2", "K1", date(2024, 1, 6), 2),
    ]  # fmt: skip
    assert {row["known_at"] for row in rows(settings, "sales") if row["sold_on"] == date(2024, 1, 2)} == {
        datetime(2024, 1, 2, 23, 59, 59)
    }


def test_the_hierarchy_becomes_stores_and_products(
    delivery: Path, land_demand: Land, settings: Settings
) -> None:
    land_demand(delivery, source="long")
    stores = {
        row["store_id"]: (row["region"], row["opened_on"], row["known_at"])
        for row in rows(settings, "stores")
    }
    assert stores == {
        "S1": ("North", date(2024, 1, 1), datetime(2023, 12, 31)),
        "S2": ("South", date(2024, 1, 6), datetime(2024, 1, 5)),
    }
    products = {row["sku_id"]: (row["category"], row["launched_on"]) for row in rows(settings, "products")}
    # K9 has no value, so there is no day on which it was launched.
    assert products == {"K1": ("drinks", date(2024, 1, 1)), "K2": ("all", date(2024, 1, 2))}
    for table in ("promotions", "weather_observed", "weather_forecasts", "calendar_events"):
        assert rows(settings, table) == []


def test_categories_may_be_absent_and_series_may_be_many_files(
    delivery: Path, land_demand: Land, settings: Settings
) -> None:
    lines = HIERARCHY.splitlines()
    (delivery / "hierarchy.csv").write_text("\n".join(line.rpartition(",")[0] for line in lines) + "\n")
    (delivery / "series").mkdir()
    header, *values = SERIES.splitlines()
    (delivery / "series.csv").unlink()
    for number, part in enumerate((values[:3], values[3:])):
        (delivery / "series" / f"{number}.csv").write_text("\n".join([header, *part]) + "\n")
    report = land_demand(delivery, source="long")
    assert [table.read for table in report.adapted] == [4, 8]
    assert len(rows(settings, "sales")) == 5
    assert {row["category"] for row in rows(settings, "products")} == {"all"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("f,East,S1,K7,", r"a store must lie in one region, got S1 with \['East', 'North'\]"),
        (
            "f,North,S1,K1,drinks",
            r"a product in a store must be one series, got .*S1.*K1.* with \['a', 'f'\]",
        ),
        ("f,North,S4,K1,food", r"a product must be in one category, got K1 with \['drinks', 'food'\]"),
    ],
)
def test_a_hierarchy_must_be_a_tree(delivery: Path, land_demand: Land, line: str, words: str) -> None:
    (delivery / "hierarchy.csv").write_text(HIERARCHY + line + "\n")
    with pytest.raises(DataContractError, match=words):
        land_demand(delivery, source="long")


def test_both_tables_are_needed(delivery: Path, land_demand: Land) -> None:
    (delivery / "hierarchy.csv").unlink()
    with pytest.raises(DataContractError, match=r"the long layout is two tables; missing \['hierarchy'\]"):
        land_demand(delivery, source="long")
