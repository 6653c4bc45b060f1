"""A small simulated chain, prepared from what was known in time and from what became known later.

Four runs: today with everything that is known by now and later (``today``), today from the rows known before
only (``alone``), a past origin likewise (``origin_alone``), and the origin with the late rows known in time
(``known_in_time``).
"""

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
from pipelines.steps import prepare
from pipelines.steps.prepare import tables_read
from pipelines.usecases.demand import USECASE
from pipelines.usecases.demand.layouts import CLIENTELES, LAYOUTS
from pipelines.usecases.demand.params import DemandParams

Rows = list[dict[str, Any]]
Raw = dict[str, Rows]
Workplace = Callable[[Raw], Settings]

AS_OF = date(2025, 6, 3)
PARAMS = USECASE.load_params(
    Settings(),
    {
        "features.history_days": 780,
        "backtest.training_weeks": 2,
        "backtest.selection_origins": 1,
        "backtest.judging_origins": 1,
        "backtest.spacing_days": 9,
    },
)
ORIGIN = PARAMS.origins(AS_OF)[1]
KNOWN = {layout.table.name: layout.known for layout in LAYOUTS} | {"store_clusters": "known_at"}
MARTS = tuple(mart.model for mart in USECASE.marts)


@dataclass(frozen=True)
class Prepared:
    """A deployment whose features were made, and what the step told of it."""

    settings: Settings
    record: dict[str, Any]
    params: DemandParams = PARAMS

    def frames(self, day: date) -> dict[str, pd.DataFrame]:
        """Published features of a day, by the names of the tables."""
        here = USECASE.run(day, self.settings, self.params)
        return {
            mart.removeprefix("ml_demand_"): here.lake.read(
                here.mart(mart).table, where=on_day(day)
            ).to_pandas()
            for mart in MARTS
        }


def midnight(day: date) -> datetime:
    return datetime.combine(day, time.min)


def known_before(raw: Raw, day: date) -> Raw:
    return {name: [row for row in rows if row[KNOWN[name]] < midnight(day)] for name, rows in raw.items()}


@pytest.fixture(scope="session")
def as_of() -> date:
    """Today."""
    return AS_OF


@pytest.fixture(scope="session")
def origin() -> date:
    """A past day from which the training run of today forecasts as well."""
    return ORIGIN


@pytest.fixture(scope="session")
def company(tmp_path_factory: pytest.TempPathFactory) -> Raw:
    """Raw rows of three stores; two days without a weather report, for a late one."""
    folder = tmp_path_factory.mktemp("chain")
    generate(3, 14, 9_000, 3, folder / "files", start=date(2023, 3, 1), end=date(2025, 6, 24), dirty_share=0)
    raw = {}
    for layout in LAYOUTS:
        name = layout.table.name
        files = folder / "files" / (f"{name}/*.parquet" if name == "sales" else f"{name}.parquet")
        raw[name] = duckdb.read_parquet(str(files)).to_arrow_table().to_pylist()
    gaps = {ORIGIN - timedelta(days=3), AS_OF - timedelta(days=3)}
    raw["weather_observed"] = [row for row in raw["weather_observed"] if row["observed_on"] not in gaps]
    raw["store_clusters"] = groups(
        raw, ORIGIN - timedelta(days=30), "A", midnight(ORIGIN - timedelta(days=30))
    )
    return raw


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Raw], Settings]:
    """Settings of a fresh deployment whose lake holds the given raw rows; dbt's parse is shared."""
    cache = tmp_path_factory.mktemp("dbt_cache")

    def make(raw: Raw) -> Settings:
        var: Path = tmp_path_factory.mktemp("workplace")
        (var / "dbt_cache").symlink_to(cache)
        lake = Lake.of(Settings(var=var))
        for table in tables_read(USECASE)[0]:
            rows = raw.get(table.name.removeprefix("raw/demand_").removeprefix("predictions/"))
            if rows is not None:
                lake.overwrite(table, landed(rows, table.arrow_schema))
        return Settings(var=var)

    return make


def groups(raw: Raw, day: date, cluster: str, known: datetime) -> Rows:
    """Rows of ``predictions/store_clusters`` of a day: every store in one group."""
    return [
        {
            "as_of": day, "store_id": store, "cluster": cluster, "distance": 0.1, "typicality": 0.5,
            "second_cluster": "B", "second_distance": 0.2, "deviation": 0.0, "is_typical": False,
            "is_atypical": False, "why": None, "axis_1": 0.0, "axis_2": 0.0, "previous_cluster": None,
            "model_version": "clustering/1", "known_at": known,
        }
        for store in sorted({row["store_id"] for row in raw["stores"]})
    ]  # fmt: skip


def landed(rows: Rows, schema: pa.Schema) -> pa.Table:
    stamped = [row | {"ingested_at": midnight(AS_OF)} for row in rows]
    if "sold_month" in schema.names:
        stamped = [row | {"sold_month": f"{row['sold_on']:%Y-%m}"} for row in stamped]
    return pa.Table.from_pylist(stamped, schema=schema)


# ----------------------------------------------------------------------------------------- late rows


def plant(raw: Raw, day: date, *, in_time: bool = False) -> Raw:
    """Rows that change every feature of ``day``, known too late for it, or in time."""
    planted = copy.deepcopy(raw)
    known = midnight(day) - timedelta(seconds=1) if in_time else midnight(day)
    announced = midnight(day) - timedelta(days=40) if in_time else midnight(day)

    def days(count: int) -> date:
        return day + timedelta(days=count)

    planted["store_clusters"] += groups(raw, known.date(), "Z" if day == ORIGIN else "Y", known)
    _plant_masters(planted, known, announced)
    _plant_promotions(planted, days, announced)
    _plant_sales(planted, raw, days, known)
    regions = sorted({row["region"] for row in raw["weather_observed"]})
    planted["weather_observed"] += [
        {"region": region, "observed_on": days(-3), "temperature_c": 44.0, "rain_mm": 99.0, "known_at": known}
        for region in regions
    ]
    planted["weather_forecasts"] += [
        {"region": region, "issued_at": known, "valid_on": days(n), "temperature_c": -30.0, "rain_mm": 77.0}
        for region in regions
        for n in range(7)
    ]
    newest = {row["event_id"]: row for row in sorted(raw["calendar_events"], key=lambda row: row["known_at"])}
    for row in newest.values():
        moved = {name: row[name] + timedelta(days=1) for name in ("starts_on", "ends_on")}
        planted["calendar_events"].append(
            row | moved | {"known_at": max(known, row["known_at"] + timedelta(1))}
        )
    for kind, first, last in (
        ("public_holiday", 2, 2), ("school_holiday", -10, 10), ("local_event", -2, 2), ("closure", 4, 4)
    ):  # fmt: skip
        event = {"event_id": f"{kind} of {day}", "kind": kind, "region": None, "store_id": None, "name": kind}
        dates = {"starts_on": days(first), "ends_on": days(last), "known_at": known}
        planted["calendar_events"].append(event | dates)
    rebuilt = {"event_id": f"works of {day}", "kind": "closure", "region": None, "name": "works"}
    store = raw["stores"][0]["store_id"]
    planted["calendar_events"].append(
        rebuilt | {"store_id": store, "starts_on": day, "ends_on": days(20), "known_at": known}
    )
    return planted


def _plant_masters(planted: Raw, known: datetime, announced: datetime) -> None:
    """Later versions of all stores and products, in which everything is different."""
    used = {(row["store_id"], row["clientele"]) for row in planted["stores"]}
    newest = {row["store_id"]: row for row in sorted(planted["stores"], key=lambda row: row["known_at"])}
    for row in newest.values():
        planted["stores"].append(
            row
            | {
                "region": "nowhere", "clientele": next(kind for kind in CLIENTELES if (row["store_id"], kind) not in used),
                "store_type": "other", "assortment": "other", "opens_sunday": not row["opens_sunday"],
                "closed_on": announced.date() + timedelta(days=99), "known_at": known,
            }
        )  # fmt: skip
    latest = {row["sku_id"]: row for row in sorted(planted["products"], key=lambda row: row["known_at"])}
    for row in latest.values():
        planted["products"].append(
            row
            | {
                "category": "other", "subcategory": "other", "brand": "other",
                "price_band": "low" if row["price_band"] == "mid" else "mid",
                "list_price_eur": 77.0, "launched_on": row["launched_on"] - timedelta(days=50),
                "delisted_on": announced.date() + timedelta(days=99), "known_at": announced,
            }
        )  # fmt: skip


def _plant_promotions(planted: Raw, days: Callable[[int], date], announced: datetime) -> None:
    """Existing promotions are cancelled; others turn out to run, and to have run for weeks."""
    newest = {
        row["promo_id"]: row for row in sorted(planted["promotions"], key=lambda row: row["announced_at"])
    }
    planted["promotions"] += [
        row | {"status": "cancelled", "announced_at": announced}
        for row in newest.values()
        if row["announced_at"] < announced
    ]
    for number, sku in enumerate(sorted({row["sku_id"] for row in planted["products"]})[::2]):
        planted["promotions"].append(
            {
                "promo_id": f"planted {days(0)} {number}", "store_id": None, "region": None, "sku_id": sku,
                "category": None, "starts_on": days(-20), "ends_on": days(2 + number % 5),
                "mechanic": "coupon", "discount": 0.45, "status": "planned", "announced_at": announced,
            }
        )  # fmt: skip


def _plant_sales(planted: Raw, raw: Raw, days: Callable[[int], date], known: datetime) -> None:
    """Late reports of past days, among them the first ones, and reports dated ahead."""
    sold = {(row["store_id"], row["sku_id"], row["sold_on"]) for row in raw["sales"]}
    sold |= {(row["store_id"], row["sku_id"], row["sold_on"]) for row in planted["sales"]}
    # Some series stay silent, so that a few are out of scope.
    for store, sku in sorted({(store, sku) for store, sku, _ in sold})[::2]:
        for number, day in enumerate([*(days(-n) for n in range(1, 400, 5)), date(2023, 2, 1)]):
            if (store, sku, day) not in sold:
                planted["sales"].append(
                    {
                        "store_id": store, "sku_id": sku, "sold_on": day, "quantity": 40.0 + number % 7,
                        "revenue_eur": 4000.0, "stocked_out": number % 4 == 0, "on_hand": None,
                        "known_at": known,
                    }
                )  # fmt: skip
        if (store, sku, days(1)) not in sold and known == midnight(days(0)):
            row = planted["sales"][-1] | {"sold_on": days(1), "known_at": known - timedelta(hours=1)}
            planted["sales"].append(row)


# ---------------------------------------------------------------------------------------- the four runs


@pytest.fixture(scope="session")
def later(company: Raw) -> Raw:
    """Everything: what became known after the origin and after today, and late rows for both."""
    return plant(plant(company, ORIGIN), AS_OF)


@pytest.fixture(scope="session")
def facts(company: Raw) -> Raw:
    """What was known today."""
    return known_before(plant(company, ORIGIN), AS_OF)


@pytest.fixture(scope="session")
def today(later: Raw, workplace: Workplace) -> Prepared:
    """Today with its training stack, from everything."""
    settings = workplace(later)
    return Prepared(settings, prepare.run(USECASE, AS_OF, settings=settings, params=PARAMS, training=True))


@pytest.fixture(scope="session")
def alone(facts: Raw, workplace: Workplace) -> Prepared:
    """Today, from what was known."""
    settings = workplace(facts)
    return Prepared(settings, prepare.run(USECASE, AS_OF, settings=settings, params=PARAMS))


@pytest.fixture(scope="session")
def origin_alone(company: Raw, workplace: Workplace) -> Prepared:
    """The origin, from what was known then."""
    settings = workplace(known_before(company, ORIGIN))
    return Prepared(settings, prepare.run(USECASE, ORIGIN, settings=settings, params=PARAMS))


@pytest.fixture(scope="session")
def known_in_time(company: Raw, workplace: Workplace) -> Prepared:
    """The origin, had the late rows been known."""
    settings = workplace(known_before(plant(company, ORIGIN, in_time=True), ORIGIN))
    return Prepared(settings, prepare.run(USECASE, ORIGIN, settings=settings, params=PARAMS))
