"""A company small enough to read, as the text of its delivered files."""

from __future__ import annotations

import copy
import csv
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pipelines.usecases.churn.layouts import LAYOUTS

Rows = list[dict[str, str | None]]
Company = dict[str, Rows]

HEADERS = {layout.table.name: layout.table.column_names for layout in LAYOUTS}


def _company() -> Company:
    company: Company = {name: [] for name in HEADERS}
    for i in range(1, 6):
        account, known = f"ACC-{i}", "2024-01-05 09:30:00"
        company["accounts"].append(
            {
                "account_id": account, "account_name": f"Company {i}", "sector": "retail" if i > 1 else None,
                "country": "FR", "employees": str(10 * i), "founded_on": "2001-05-04",
                "signed_up_on": "2024-01-05", "known_at": known,
            }
        )  # fmt: skip
        for month in (1, 2, 3):
            company["subscriptions"].append(
                {
                    "term_id": f"T-{i}-{month}", "account_id": account, "subscription_id": f"S-{i}",
                    "plan_tier": "growth", "billing_period": "monthly", "is_trial": "false", "seats": "3",
                    "mrr_eur": "150.5", "term_start": f"2024-0{month}-06", "term_end": f"2024-0{month + 1}-06",
                    "known_at": f"2024-0{month}-04 08:00:00",
                }
            )  # fmt: skip
            company["usage_events"].append(
                {
                    "account_id": account, "used_on": f"2024-0{month}-10", "logins": "4", "duration_min": "32.25",
                    "features_used": "api|reports" if i > 1 else "", "known_at": f"2024-0{month}-11 02:00:00",
                }
            )  # fmt: skip
            company["invoices"].append(
                {
                    "invoice_id": f"I-{i}-{month}", "account_id": account, "issued_on": f"2024-0{month}-06",
                    "due_on": f"2024-0{month}-20", "amount_eur": "150.5", "status": "paid",
                    "paid_on": f"2024-0{month}-12", "known_at": f"2024-0{month}-13 00:00:00",
                }
            )  # fmt: skip
        company["support_tickets"].append(
            {
                "ticket_id": f"K-{i}", "account_id": account, "opened_at": "2024-02-01 10:00:00", "kind": "bug",
                "priority": "normal", "status": "closed", "closed_at": "2024-02-02 10:00:00", "csat": "4",
                "known_at": "2024-02-03 00:00:00",
            }
        )  # fmt: skip
    return company


def write(folder: Path, company: Company, kind: str = "csv", only: list[str] | None = None) -> Path:
    """Write files as a source system would; Parquet is typed where every value allows it."""
    folder.mkdir(parents=True, exist_ok=True)
    for layout in LAYOUTS:
        name = layout.table.name
        if name not in company or (only is not None and name not in only):
            continue
        rows = company[name]
        if kind == "parquet":
            text = pa.Table.from_pylist(rows, pa.schema([(n, pa.string()) for n in HEADERS[name]]))
            columns = []
            for column in layout.table.columns:
                values = text[column.name]
                try:
                    columns.append(pc.cast(values, column.dtype.arrow))
                except pa.ArrowInvalid:
                    columns.append(values)
            pq.write_table(pa.table(columns, names=HEADERS[name]), folder / f"{name}.parquet")
            continue
        opener: Any = gzip.open if kind == "csv.gz" else open
        with opener(folder / f"{name}.{kind}", "wt", newline="", encoding="utf-8") as handle:
            writer = csv.DictWriter(handle, HEADERS[name])
            writer.writeheader()
            writer.writerows(rows)
    return folder


@pytest.fixture
def company() -> Company:
    return _company()


@pytest.fixture
def fresh_company() -> Callable[[], Company]:
    return lambda: copy.deepcopy(_company())


@pytest.fixture
def write_files() -> Callable[..., Path]:
    return write
