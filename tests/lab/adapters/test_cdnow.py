"""CDNOW tells when people came back, and nothing else."""

# ruff: noqa: DTZ001 - times in the lake are UTC without a zone

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from pipelines.io.lake import Lake
from pipelines.settings import Settings
from pipelines.sources.ingest import IngestReport

ROWS = """customer_id,date,quantity,price
00001,1997-01-01,1,11.77
00002,1997-01-12,1,12.00
00002,1997-01-12,5,77.00
00003,1997-01-02,2,20.76
00003,1997-03-30,2,20.76
00003,1997-04-02,0,0.00
"""


def test_payments_of_a_day_are_one_order(
    tmp_path: Path, land_repurchase: Callable[..., IngestReport], settings: Settings
) -> None:
    folder = tmp_path / "cdnow"
    folder.mkdir()
    (folder / "cdnow.csv").write_text(ROWS)
    report = land_repurchase(folder, source="cdnow")
    lake = Lake.of(settings)
    orders = {
        (row["customer_id"], row["ordered_at"], row["known_at"]): row["order_id"]
        for row in lake.read("raw/repurchase_orders").to_pylist()
    }
    expected = [
        ("00001", datetime(1997, 1, 1)),
        ("00003", datetime(1997, 1, 2)),
        ("00002", datetime(1997, 1, 12)),
        ("00003", datetime(1997, 3, 30)),
    ]
    # Numbers by day, so that an order names nobody.
    assert orders == {
        (customer, at, at.replace(hour=23, minute=59, second=59)): f"cd-{number:07d}"
        for number, (customer, at) in enumerate(expected, start=1)
    }
    (adapted,) = report.adapted
    assert (adapted.read, adapted.quarantined, adapted.rules) == (6, 1, {"quantity must be >= 1": 1})
    assert report.notes == ("5 payments are 4 orders: those of a customer on one day are one",)
    for table in ("products", "order_lines"):
        assert lake.read(f"raw/repurchase_{table}").num_rows == 0
