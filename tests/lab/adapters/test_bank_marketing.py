"""Bank Marketing tells of one product after one campaign, and the adapter claims no more."""

# ruff: noqa: DTZ001 - times in the lake are UTC without a zone

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipelines.errors import DataContractError
from pipelines.io.lake import Lake
from pipelines.lab.adapters.propensity import bank_marketing
from pipelines.settings import Settings
from pipelines.sources.delivery import discover
from pipelines.sources.staging import Staging
from pipelines.usecases.propensity.layouts import LAYOUTS

ADDITIONAL = (
    '"age";"job";"marital";"education";"default";"housing";"loan";"contact";"month";"day_of_week";"duration";'
    '"campaign";"pdays";"previous";"poutcome";"emp.var.rate";"cons.price.idx";"cons.conf.idx";"euribor3m";'
    '"nr.employed";"y"\n'
)
ADDITIONAL_ROWS = """\
56;"housemaid";"married";"basic.4y";"no";"no";"no";"telephone";"may";"mon";261;1;999;0;"nonexistent";1.1;93.994;-36.4;4.857;5191;"no"
57;"services";"married";"high.school";"unknown";"yes";"unknown";"telephone";"may";"tue";149;1;999;0;"nonexistent";1.1;93.994;-36.4;4.857;5191;"no"
37;"unknown";"single";"unknown";"no";"yes";"yes";"cellular";"may";"mon";226;1;3;1;"success";1.1;93.994;-36.4;4.857;5191;"yes"
40;"self-employed";"married";"basic.6y";"no";"no";"no";"telephone";"dec";"fri";151;1;999;0;"nonexistent";1.1;93.994;-36.4;4.857;5191;"no"
72;"retired";"married";"basic.6y";"no";"no";"no";"cellular";"mar";"thu";307;1;999;0;"nonexistent";1.1;93.994;-36.4;4.857;5191;"yes"
140;"retired";"married";"basic.6y";"no";"no";"no";"cellular";"mar";"thu";307;1;999;0;"nonexistent";1.1;93.994;-36.4;4.857;5191;"no"
"""
FULL = """\
"age";"job";"marital";"education";"default";"balance";"housing";"loan";"contact";"day";"month";"duration";"campaign";"pdays";"previous";"poutcome";"y"
58;"management";"married";"tertiary";"no";2143;"yes";"no";"unknown";5;"may";261;1;-1;0;"unknown";"no"
44;"technician";"single";"secondary";"no";-29;"no";"no";"cellular";27;"jan";151;1;92;2;"failure";"yes"
"""

Adapt = Callable[[Path], tuple[dict[str, list[dict[str, Any]]], Any]]


@pytest.fixture
def adapt(tmp_path: Path) -> Iterator[Adapt]:
    """Run the adapter on a folder; the rows by table, and what it says."""
    work = tmp_path / "work"
    (work / "translated").mkdir(parents=True)
    staging = Staging(
        work,
        Lake.of(Settings(var=tmp_path / "var")),
        usecase="propensity",
        ingest_id="i",
        key=b"k",
        ingested_at=datetime(2026, 1, 1),
    )

    def run(folder: Path) -> tuple[dict[str, list[dict[str, Any]]], Any]:
        bank_marketing.translate(folder, work / "translated")
        files = discover(work / "translated", bank_marketing.LAYOUTS)
        told = bank_marketing.adapt(staging, files, work / "raw")
        names = [layout.table.name for layout in LAYOUTS]
        return {name: pq.read_table(work / "raw" / f"{name}.parquet").to_pylist() for name in names}, told

    yield run
    staging.close()


def folder_with(tmp_path: Path, name: str, text: str) -> Path:
    folder = tmp_path / "bank"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder


def test_calls_become_customers_holdings_and_contacts(tmp_path: Path, adapt: Adapt) -> None:
    rows, told = adapt(folder_with(tmp_path, "bank-additional-full.csv", ADDITIONAL + ADDITIONAL_ROWS))
    customers = {row["customer_id"]: row for row in rows["customers"]}
    assert list(customers) == [f"bm-{number:06d}" for number in range(1, 6)]
    assert [row["employment"] for row in customers.values()] == [
        "employed", "employed", None, "self_employed", "retired",
    ]  # fmt: skip
    assert customers["bm-000001"]["birth_year"] == 2008 - 56
    held = {(row["customer_id"], row["month_end"], row["product"]): row for row in rows["holdings"]}
    april, may = date(2008, 4, 30), date(2008, 5, 31)
    mine = {key[1:] for key in held if key[0] == "bm-000003"}
    assert mine == {
        (month, product)
        for month in (april, may)
        for product in ("current account", "mortgage", "personal loan")
    } | {(may, "term deposit")}
    # A loan that is unknown is none; nobody but who said yes has a deposit.
    assert {key[2] for key in held if key[0] == "bm-000002"} == {"current account", "mortgage"}
    deposits = {key[0]: row["opened_on"] for key, row in held.items() if key[2] == "term deposit"}
    assert deposits == {"bm-000003": date(2008, 5, 12), "bm-000005": date(2009, 3, 5)}
    contacts = {row["contact_id"]: (row["contacted_on"], row["response"]) for row in rows["campaigns"]}
    assert contacts == {
        "bm-000001-1": (date(2008, 5, 5), "declined"),
        "bm-000002-1": (date(2008, 5, 6), "declined"),
        "bm-000003-1": (date(2008, 5, 12), "interested"),
        "bm-000003-0": (date(2008, 5, 9), "interested"),
        "bm-000004-1": (date(2008, 12, 5), "declined"),
        "bm-000005-1": (date(2009, 3, 5), "interested"),
    }
    assert told.outcomes[0].rules == {"age must be <= 110": 1}
    assert told.notes[0] == "2 of 5 customers took a term deposit after the call"


def test_rows_keep_the_rules_of_the_raw_layouts(tmp_path: Path, adapt: Adapt) -> None:
    rows, _ = adapt(folder_with(tmp_path, "bank-full.csv", FULL))
    for row in rows["customers"]:
        assert row["known_at"].date() >= row["joined_on"]
    for row in rows["holdings"]:
        assert row["opened_on"] <= row["month_end"] < row["known_at"].date()
    for row in rows["campaigns"]:
        assert row["known_at"].date() == row["contacted_on"]
    joined = {row["customer_id"]: row["joined_on"] for row in rows["customers"]}
    first = {}
    for row in rows["campaigns"]:
        first[row["customer_id"]] = min(row["contacted_on"], first.get(row["customer_id"], date.max))
    assert all(joined[customer] < day for customer, day in first.items())


def test_the_older_file_tells_days_and_balances(tmp_path: Path, adapt: Adapt) -> None:
    rows, _ = adapt(folder_with(tmp_path, "bank-full.csv", FULL))
    contacts = {row["contact_id"]: row["contacted_on"] for row in rows["campaigns"]}
    assert contacts == {
        "bm-000001-1": date(2008, 5, 5),
        "bm-000002-1": date(2009, 1, 27),
        "bm-000002-0": date(2008, 10, 27),
    }
    balances = [row["balance_eur"] for row in rows["holdings"] if row["product"] == "current account"]
    assert balances == [2143.0, 2143.0, -29.0, -29.0]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "must hold one of UCI's files"),
        ({"bank-full.csv": FULL, "bank-additional-full.csv": ADDITIONAL}, "must hold one of UCI's files"),
        ({"bank-full.csv": FULL.replace('"loan"', '"debt"')}, r"missing: \['loan'\]"),
        ({"bank-full.csv": FULL.replace(";27;", ";32;")}, "cannot be told in line 3"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, files: dict[str, str], words: str) -> None:
    folder = tmp_path / "bank"
    folder.mkdir()
    (tmp_path / "into").mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    with pytest.raises(DataContractError, match=words):
        bank_marketing.translate(folder, tmp_path / "into")
