"""A small simulated shop, prepared from what was known in time and from what became known later.

Four runs: today with everything that is known by now and later (``today``), today from the rows known before
only (``alone``), a past snapshot likewise (``past_alone``), and the snapshot with the late rows known in time
(``known_in_time``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pa_dataset
import pytest

from features.pseudonyms import pseudonym
from pipelines.io.lake import Lake
from pipelines.lab.simulation.repurchase import generate
from pipelines.settings import Settings
from pipelines.steps import prepare
from pipelines.usecases.repurchase import USECASE
from pipelines.usecases.repurchase.layouts import LAYOUTS
from pipelines.usecases.repurchase.params import RepurchaseParams

Rows = list[dict[str, Any]]
Raw = dict[str, Rows]
Workplace = Callable[[Raw], Settings]

AS_OF = date(2025, 3, 4)
PARAMS = USECASE.load_params(
    Settings.load(),
    {
        "features.history_days": 150,
        "features.active_days": 70,
        "features.max_candidates": 12,
        "features.training_customers": 1000,
        "snapshots.count": 3,
        "snapshots.spacing_days": 10,
        "snapshots.observed_days": 20,
    },
)
PAST = PARAMS.origins(AS_OF)[1]
TABLES = ("customers", "candidates", "training", "labels")


@dataclass(frozen=True)
class Prepared:
    """A deployment whose features were made, and what the step told of it."""

    settings: Settings
    record: dict[str, Any]
    params: RepurchaseParams = PARAMS

    def frames(self, day: date) -> dict[str, pd.DataFrame]:
        """Published features of a day, by the names of the tables."""
        lake, where = Lake.of(self.settings), pa_dataset.field("as_of") == day
        run = USECASE.run(day, self.settings)
        tables = {name: run.mart(f"ml_repurchase_{name}").table for name in TABLES}
        return {
            name: lake.read(table, where=where).to_pandas()
            for name, table in tables.items()
            if lake.exists(table.name)
        }


def midnight(day: date) -> datetime:
    return datetime.combine(day, time.min)


def known_before(raw: Raw, day: date) -> Raw:
    """What was known at the start of a day; lines of orders that are not known are not either."""
    return {name: [row for row in rows if row["known_at"] < midnight(day)] for name, rows in raw.items()}


@pytest.fixture(scope="session")
def as_of() -> date:
    """Today."""
    return AS_OF


@pytest.fixture(scope="session")
def past() -> date:
    """A past day on which the training run of today learns as well."""
    return PAST


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Raw:
    """Raw rows of forty customers over a year, with their pseudonyms."""
    folder = tmp_path_factory.mktemp("shop") / "files"
    generate(40, 5, folder, start=date(2024, 6, 1), end=date(2025, 4, 1), dirty_share=0)
    raw = {}
    for layout in LAYOUTS:
        name = layout.table.name
        files = f"{name}.parquet" if name == "products" else f"{name}/*.parquet"
        raw[name] = duckdb.read_parquet(str(folder / files)).to_arrow_table().to_pylist()
    return raw


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Raw], Settings]:
    """Settings of a fresh deployment whose lake holds the given raw rows; dbt's parse is shared."""
    cache = tmp_path_factory.mktemp("dbt_cache")

    def make(raw: Raw) -> Settings:
        var: Path = tmp_path_factory.mktemp("workplace")
        (var / "dbt_cache").symlink_to(cache)
        lake = Lake.of(Settings(var=var))
        for table in USECASE.raw_tables:
            rows = raw.get(table.name.removeprefix("raw/repurchase_"))
            if rows is not None:
                lake.overwrite(table, landed(rows, table.arrow_schema))
        return Settings(var=var)

    return make


def landed(rows: Rows, schema: pa.Schema) -> pa.Table:
    stamped = [row | {"ingested_at": midnight(AS_OF)} for row in rows]
    if "ordered_month" in schema.names:
        stamped = [row | {"ordered_month": f"{row['ordered_on']:%Y-%m}"} for row in stamped]
    if "customer_key" in schema.names:
        keys = {row["customer_id"]: pseudonym(row["customer_id"], key=b"test") for row in rows}
        stamped = [row | {"customer_key": keys[row["customer_id"]]} for row in stamped]
    return pa.Table.from_pylist(stamped, schema=schema)


# ----------------------------------------------------------------------------------------- late rows


def plant(raw: Raw, day: date, *, in_time: bool = False) -> Raw:
    """Rows that change every feature of ``day``, known too late for it, or in time.

    Orders of every customer in the days before, and lines of orders that are known already.
    """
    known = midnight(day) - timedelta(seconds=1) if in_time else midnight(day)
    planted = {name: list(rows) for name, rows in raw.items()}
    before = known_before(raw, day)
    newest: dict[str, dict[str, Any]] = {}
    for row in sorted(before["orders"], key=lambda row: row["ordered_at"]):
        newest[row["customer_id"]] = row
    held: dict[str, set[str]] = {}
    for row in raw["order_lines"]:
        held.setdefault(row["order_id"], set()).add(row["product_id"])
    products = sorted({row["product_id"] for row in raw["products"]})
    for number, (customer, last) in enumerate(sorted(newest.items())):
        if (midnight(day) - last["ordered_at"]).days > PARAMS.features.active_days and number % 2:
            continue  # some stay away
        mine = sorted(held.get(last["order_id"], ()))
        for back in (1, 2, 5, 6, 29, 35, 95):
            at = midnight(day) - timedelta(days=back) + timedelta(hours=(7 * number + back) % 24)
            order = f"late {day} {number} {back}"
            stamp = {"known_at": max(known, at)}
            planted["orders"].append({"order_id": order, "customer_id": customer, "ordered_at": at} | stamp)
            bought = sorted({*mine[back % 2 :: 2], *products[(number + back) % 9 :: 29]})
            planted["order_lines"] += [
                {
                    "order_id": order, "product_id": product, "quantity": 3.0 + place,
                    "position": len(bought) - place, "ordered_on": at.date(),
                } | stamp
                for place, product in enumerate(bought)
            ]  # fmt: skip
        # The shop finds out that known orders held more.
        more = [name for name in products[number % 7 :: 23] if name not in mine]
        planted["order_lines"] += [
            {
                "order_id": last["order_id"], "product_id": product, "quantity": 9.0, "position": 90 + place,
                "ordered_on": last["ordered_at"].date(), "known_at": max(known, last["known_at"]),
            }
            for place, product in enumerate(more)
        ]  # fmt: skip
    versions = {(row["product_id"], row["known_at"]) for row in raw["products"]}
    for row in {row["product_id"]: row for row in before["products"]}.values():
        if (row["product_id"], known) in versions:
            continue
        planted["products"].append(
            row
            | {
                "department": "other",
                "aisle": f"other {row['department']}",
                "price_eur": 77.0,
                "known_at": known,
            }
        )
    return planted


# ---------------------------------------------------------------------------------------- the four runs


@pytest.fixture(scope="session")
def later(shop: Raw) -> Raw:
    """Everything: what became known after the snapshot and after today, and late rows for both."""
    return plant(plant(shop, PAST), AS_OF)


@pytest.fixture(scope="session")
def facts(shop: Raw) -> Raw:
    """What was known today."""
    return known_before(plant(shop, PAST), AS_OF)


@pytest.fixture(scope="session")
def today(later: Raw, workplace: Workplace) -> Prepared:
    """Today with its training stack, from everything."""
    settings = workplace(later)
    return Prepared(settings, prepare.run(USECASE, AS_OF, settings=settings, params=PARAMS, training=True))


@pytest.fixture(scope="session")
def alone(facts: Raw, workplace: Workplace) -> Prepared:
    """Today with its training stack, from what was known."""
    settings = workplace(facts)
    return Prepared(settings, prepare.run(USECASE, AS_OF, settings=settings, params=PARAMS, training=True))


@pytest.fixture(scope="session")
def past_alone(shop: Raw, workplace: Workplace) -> Prepared:
    """The snapshot scored on its day, from what was known then."""
    settings = workplace(known_before(shop, PAST))
    return Prepared(settings, prepare.run(USECASE, PAST, settings=settings, params=PARAMS))


@pytest.fixture(scope="session")
def known_in_time(shop: Raw, workplace: Workplace) -> Prepared:
    """The snapshot, had the late rows been known."""
    settings = workplace(known_before(plant(shop, PAST, in_time=True), PAST))
    return Prepared(settings, prepare.run(USECASE, PAST, settings=settings, params=PARAMS))
