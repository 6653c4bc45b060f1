"""A small simulated chain whose stores are grouped on two days, and what became known later."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pytest

from pipelines.io.lake import Lake, on_day
from pipelines.lab.simulation.demand import generate
from pipelines.settings import Settings
from pipelines.steps import gate, monitor, prepare, score, train
from pipelines.steps.prepare import tables_read
from pipelines.usecases.clustering import USECASE
from pipelines.usecases.demand.layouts import CLIENTELES, LAYOUTS

Rows = list[dict[str, Any]]
Raw = dict[str, Rows]
Workplace = Callable[[Raw], Settings]

AS_OF, EARLIER = date(2025, 6, 3), date(2025, 5, 2)
KNOWN = {layout.table.name: layout.known for layout in LAYOUTS}
TABLES = {table.name.removeprefix("raw/demand_"): table for table in tables_read(USECASE)[0]}

#: What a chain of ten stores can show.
PARAMS = USECASE.load_params(
    Settings(),
    {
        "clusters.min_clusters": 2,
        "clusters.n_axes": 4,
        "features.least_days": 5,
        "stability.replicates": 20,
        "gate.min_stores": 6,
        "gate.min_silhouette": -1.0,
        "gate.min_stability": 0.1,
        "gate.max_unstable_share": 1.0,
    },
)


def midnight(day: date) -> datetime:
    return datetime.combine(day, time.min)


def known_before(raw: Raw, day: date) -> Raw:
    return {name: [row for row in rows if row[KNOWN[name]] < midnight(day)] for name, rows in raw.items()}


@pytest.fixture(scope="session")
def company(tmp_path_factory: pytest.TempPathFactory) -> Raw:
    """Raw rows of ten stores; in one of them a week of May was neither reported nor counted."""
    folder = tmp_path_factory.mktemp("chain")
    generate(
        10, 14, 24_000, 3, folder / "files", start=date(2024, 1, 1), end=date(2025, 6, 24), dirty_share=0
    )
    raw: Raw = {}
    for name in TABLES:
        files = folder / "files" / (f"{name}/*.parquet" if name == "sales" else f"{name}.parquet")
        raw[name] = duckdb.read_parquet(str(files)).to_arrow_table().to_pylist()
    silent = sorted({row["store_id"] for row in raw["sales"]})[0]
    week = {date(2025, 5, 5) + timedelta(n) for n in range(7)}
    for name, day in (("sales", "sold_on"), ("customers", "counted_on")):
        raw[name] = [row for row in raw[name] if row["store_id"] != silent or row[day] not in week]
    return raw


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """Settings of a fresh deployment whose lake holds the given raw rows; dbt's parse is shared."""
    cache = tmp_path_factory.mktemp("dbt_cache")

    def make(raw: Raw) -> Settings:
        var: Path = tmp_path_factory.mktemp("workplace")
        (var / "dbt_cache").symlink_to(cache)
        settings = Settings(var=var)
        for name, table in TABLES.items():
            rows = [row | {"ingested_at": midnight(AS_OF)} for row in raw[name]]
            if "sold_month" in table.column_names:
                rows = [row | {"sold_month": f"{row['sold_on']:%Y-%m}"} for row in rows]
            Lake.of(settings).overwrite(table, pa.Table.from_pylist(rows, schema=table.arrow_schema))
        return settings

    return make


# ----------------------------------------------------------------------------------------- late rows


def plant(raw: Raw, day: date, *, in_time: bool = False) -> Raw:
    """Rows that change every feature of ``day``, known too late for it, or in time."""
    planted = copy.deepcopy(raw)
    known = midnight(day) - timedelta(seconds=1) if in_time else midnight(day)
    announced = midnight(day) - timedelta(days=90) if in_time else midnight(day)
    newest = {row["store_id"]: row for row in sorted(planted["stores"], key=lambda row: row["known_at"])}
    for number, (store, row) in enumerate(sorted(newest.items())):
        planted["stores"].append(
            row
            | {
                "region": "nowhere",
                "clientele": next(kind for kind in CLIENTELES if kind != row["clientele"]),
                "store_type": f"other {number % 2}", "assortment": "other", "surface_m2": 77.0 + number,
                "competition_distance_m": 11.0 + number, "competition_opened_on": date(2001, 1, 1),
                "opens_sunday": not row["opens_sunday"], "opened_on": row["opened_on"] - timedelta(days=50),
                "closed_on": day - timedelta(days=3) if store == max(newest) else None, "known_at": known,
            }
        )  # fmt: skip
    latest = {row["sku_id"]: row for row in sorted(planted["products"], key=lambda row: row["known_at"])}
    planted["products"] += [
        row
        | {
            "category": "other",
            "price_band": "low" if row["price_band"] == "high" else "high",
            "known_at": known,
        }
        for row in latest.values()
    ]
    _plant_promotions(planted, day, announced, known)
    _plant_days(planted, raw, day, known)
    return planted


def _plant_promotions(planted: Raw, day: date, announced: datetime, known: datetime) -> None:
    """All promotions turn out to be called off, coupons among them; a leaflet that ran for a month turns up."""
    newest = {row["promo_id"]: row for row in sorted(planted["promotions"], key=lambda r: r["announced_at"])}
    planted["promotions"] += [
        row | {"status": "cancelled", "announced_at": known}
        for row in newest.values()
        if row["announced_at"] < known
    ]
    planted["promotions"].append(
        {
            "promo_id": f"planted {day}", "store_id": None, "region": None, "sku_id": None, "category": None,
            "starts_on": day - timedelta(days=40), "ends_on": day - timedelta(days=10), "mechanic": "leaflet",
            "discount": 0.45, "status": "planned", "announced_at": announced,
        }
    )  # fmt: skip


def _plant_days(planted: Raw, raw: Raw, day: date, known: datetime) -> None:
    """Late sales and counts, holidays and closures that nobody had told of."""
    sold = {(row["store_id"], row["sku_id"], row["sold_on"]) for row in raw["sales"]}
    stores = sorted({store for store, _, _ in sold})
    skus = sorted({sku for _, sku, _ in sold})
    silent = stores[0]
    week = [date(2025, 5, 5) + timedelta(n) for n in range(7)]
    for place, store in enumerate(stores[1:]):
        for number in range(1, 300, 3):
            when = day - timedelta(days=number)
            key = (store, skus[(number + place) % len(skus)], when)
            if key not in sold:
                planted["sales"].append(
                    {
                        "store_id": store, "sku_id": key[1], "sold_on": when, "quantity": 40.0 + 9 * (number % 7),
                        "revenue_eur": 4000.0, "stocked_out": False, "on_hand": None, "known_at": known,
                    }
                )  # fmt: skip
    planted["sales"].append(planted["sales"][-1] | {"sold_on": day + timedelta(days=1)})
    planted["customers"] += [
        {"store_id": silent, "counted_on": when, "customers": 9_999, "known_at": known} for when in week
    ]
    events = [("closure", when, when, silent) for when in week]
    events += [("public_holiday", day - timedelta(n), day - timedelta(n), None) for n in (20, 27, 34, 42, 51)]
    events += [("school_holiday", day - timedelta(days=90), day - timedelta(days=60), None)]
    planted["calendar_events"] += [
        {
            "event_id": f"planted {kind} {first} {day}", "kind": kind, "region": None, "store_id": store,
            "name": kind, "starts_on": first, "ends_on": last, "known_at": known,
        }
        for kind, first, last, store in events
    ]  # fmt: skip


# ------------------------------------------------------------------------------------ what was made


@dataclass(frozen=True)
class Prepared:
    """A deployment whose features were made, and what the step told of it."""

    settings: Settings
    record: dict[str, Any]

    @property
    def lake(self) -> Lake:
        """Its lake."""
        return Lake.of(self.settings)

    def frame(self, table: Any, day: date = AS_OF) -> pd.DataFrame:
        """Rows of a day."""
        return self.lake.read(table, where=on_day(day)).to_pandas()

    def features(self, day: date = AS_OF) -> pd.DataFrame:
        """Features of a day."""
        return self.frame(USECASE.run(day, self.settings).mart(USECASE.grain).table, day)


def prepared(settings: Settings, day: date = AS_OF) -> Prepared:
    return Prepared(settings, prepare.run(USECASE, day, settings=settings, params=PARAMS))


@pytest.fixture(scope="session")
def alone(company: Raw, workplace: Workplace) -> Prepared:
    """Today, from what was known."""
    return prepared(workplace(known_before(company, AS_OF)))


@pytest.fixture(scope="session")
def today(company: Raw, workplace: Workplace) -> Prepared:
    """Today, from everything."""
    return prepared(workplace(plant(company, AS_OF)))


@pytest.fixture(scope="session")
def known_in_time(company: Raw, workplace: Workplace) -> Prepared:
    """Today, had the late rows been known."""
    return prepared(workplace(known_before(plant(company, AS_OF, in_time=True), AS_OF)))


@dataclass(frozen=True)
class Grouped(Prepared):
    """A deployment whose stores were grouped on two days; ``records`` by step and day."""

    records: dict[tuple[str, date], dict[str, Any]]


@pytest.fixture(scope="session")
def grouped(alone: Prepared) -> Grouped:
    """Groups found a month ago, then again today."""
    settings, records = alone.settings, {}
    prepare.run(USECASE, EARLIER, settings=settings, params=PARAMS)
    for day in (EARLIER, AS_OF):
        for name, step in (("train", train), ("gate", gate), ("score", score), ("monitor", monitor)):
            records[name, day] = step.run(USECASE, day, settings=settings, params=PARAMS)
    return Grouped(settings, alone.record, records)
