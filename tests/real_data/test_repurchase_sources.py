"""The public sets of purchases through their adapters.

Online Retail: https://archive.ics.uci.edu/dataset/352/online+retail. CDNOW: https://www.brucehardie.com/datasets/.
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
        "repurchase", folder, settings=settings, source=source, ingested_at=arrived, quality_checks=False
    )
    return report, Lake.of(settings)


def test_online_retail(data_dir: Path, tmp_path: Path) -> None:
    report, lake = land("online_retail", data_dir / "online_retail", tmp_path / "var")
    (lines,) = report.adapted
    assert (lines.read, lines.landed, lines.quarantined) == (541_909, 396_337, 145_572)
    # A quarter of the lines names no customer, as the data's page says.
    assert lines.rules["CustomerID must not be null"] == 135_080
    assert lines.rules["InvoiceNo must not begin with C: a return is no order"] == 9_288
    assert {table.table: (table.landed, table.quarantined) for table in report.tables} == {
        "products": (3_659, 0),
        "orders": (16_678, 0),
        "order_lines": (383_920, 0),
    }
    # Counted again from the file, by customer and day.
    file = data_dir / "online_retail" / "Online_Retail.parquet"
    (expected,) = duckdb.sql(
        f"""
        select count(distinct (CustomerID, InvoiceDate::date)),
            count(distinct (CustomerID, InvoiceDate::date, upper(StockCode)))
        from '{file}' where CustomerID is not null and InvoiceNo not like 'C%' and Quantity > 0 and UnitPrice > 0
            and regexp_full_match(StockCode, '[0-9]{{5}}[A-Za-z]{{0,2}}')
        """
    ).fetchall()
    assert expected == (16_678, 383_920)
    orders = lake.read("raw/repurchase_orders")
    assert len(set(orders["customer_key"].to_pylist())) == 4_334
    assert min(orders["ordered_at"].to_pylist()) == datetime(2010, 12, 1, 8, 26)


def test_cdnow(data_dir: Path, tmp_path: Path) -> None:
    report, lake = land("cdnow", data_dir / "cdnow", tmp_path / "var")
    (payments,) = report.adapted
    assert (payments.read, payments.quarantined) == (69_659, 0)
    orders = duckdb.from_arrow(lake.read("raw/repurchase_orders"))
    found = orders.aggregate(
        "count(*), count(distinct customer_key), min(ordered_at), max(ordered_at)"
    ).fetchall()
    # 23,570 customers bought for the first time in the first quarter of 1997, as the data's page says.
    assert found == [(67_591, 23_570, datetime(1997, 1, 1), datetime(1998, 6, 30))]
