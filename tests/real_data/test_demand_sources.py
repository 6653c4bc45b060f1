"""The public sets of daily sales through their adapters.

Rossmann Store Sales: https://www.kaggle.com/c/rossmann-store-sales. M5, summed by store and department from
https://www.kaggle.com/c/m5-forecasting-accuracy.
"""

# ruff: noqa: DTZ001 - times in the lake are UTC without a zone

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from pipelines.io.lake import Lake
from pipelines.settings import Settings
from pipelines.sources.ingest import IngestReport, ingest

pytestmark = pytest.mark.real_data


def land(source: str, folder: Path, var: Path) -> tuple[IngestReport, Lake]:
    settings = Settings(var=var)
    arrived = datetime(2026, 1, 5, 3)
    report = ingest(
        "demand", folder, settings=settings, source=source, ingested_at=arrived, quality_checks=False
    )
    return report, Lake.of(settings)


def test_rossmann(data_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "rossmann"
    folder.mkdir()
    # Every 37th store, which keeps all types and some of the stores that lack half of 2014.
    for name in ("train.csv.gz", "store.csv"):
        source = f"read_csv('{data_dir / 'rossmann' / name}', all_varchar = true)"
        duckdb.execute(
            f"copy (from {source} where Store::int % 37 = 13) to '{folder / name.removesuffix('.gz')}' (header)"
        )
    report, lake = land("rossmann", folder, tmp_path / "var")
    assert {table.table: (table.read, table.quarantined) for table in report.adapted} == {
        "store": (30, 0),
        "train": (27_156, 0),
    }
    landed = {table.table: table.landed for table in report.tables}
    assert (landed["stores"], landed["products"], landed["sales"]) == (30, 1, 22_630)
    stores = lake.read("raw/demand_stores")
    assert set(stores["region"].to_pylist()) >= {"aa", "ac", "cc", "da", "dc"}
    promotions = duckdb.from_arrow(lake.read("raw/demand_promotions"))
    shared = promotions.filter("store_id is null").aggregate(
        "count(*), min(starts_on)::varchar, max(ends_on)::varchar"
    )
    count, first, last = shared.fetchall()[0]
    assert 60 < count <= 71
    assert (first, last) == ("2013-01-07", "2015-07-31")
    # What Kaggle's test file gives is known more than its 48 days ahead.
    assert promotions.aggregate("min(starts_on - announced_at::date)").fetchall() == [(56,)]
    events = duckdb.from_arrow(lake.read("raw/demand_calendar_events"))
    absent = events.filter("name = 'Not in the data'").aggregate("count(*), min(ends_on - starts_on + 1)")
    assert absent.fetchall()[0] == (6, 184)


def test_m5_by_department(data_dir: Path, tmp_path: Path) -> None:
    report, lake = land("m5", data_dir / "m5", tmp_path / "var")
    sums = next(table for table in report.adapted if table.table.startswith("m5"))
    assert (sums.read, sums.quarantined) == (133_910, 0)
    landed = {table.table: table.landed for table in report.tables}
    assert (landed["stores"], landed["products"], landed["sales"]) == (10, 7, 133_449)
    sales = duckdb.from_arrow(lake.read("raw/demand_sales"))
    days, first, last = sales.aggregate(
        "count(distinct sold_on), min(sold_on)::varchar, max(sold_on)::varchar"
    ).fetchall()[0]
    assert (days, first, last) == (1_913, "2011-01-29", "2016-04-24")
    stores = duckdb.from_arrow(lake.read("raw/demand_stores"))
    assert stores.aggregate("region, count(*)", "region").order("region").fetchall() == [
        ("CA", 4), ("TX", 3), ("WI", 3),
    ]  # fmt: skip
    events = duckdb.from_arrow(lake.read("raw/demand_calendar_events"))
    closed = events.filter("kind = 'closure'").aggregate(
        "count(*), count(distinct strftime(starts_on, '%m-%d'))"
    )
    assert closed.fetchall()[0] == (24, 1)  # Christmas
