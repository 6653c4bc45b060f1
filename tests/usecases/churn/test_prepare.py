"""Features and labels are what their descriptions say, and nothing in them knows the future."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pa_dataset
import pytest

from pipelines.errors import ConfigError, DataContractError
from pipelines.io.hashing import content_hash
from pipelines.io.lake import Lake
from pipelines.io.marts import mart_contract
from pipelines.settings import Settings
from pipelines.steps import prepare
from pipelines.usecases.churn import USECASE

Raw = dict[str, list[dict[str, Any]]]

AS_OF = date(2025, 1, 6)
PARAMS = USECASE.load_params(Settings.load(), {"snapshots.months": 6})
SNAPSHOT = date(2024, 10, 7)

Workplace = Callable[[Raw], Settings]
Run = tuple[Settings, dict[str, Any]]


@pytest.fixture(scope="session")
def trained(company: Raw, workplace: Workplace) -> Run:
    settings = workplace(company)
    return settings, prepare.run(USECASE, AS_OF, settings=settings, params=PARAMS, training=True)


def partition(settings: Settings, day: date, table: str = "features") -> pa.Table:
    contract = mart_contract(settings.dbt_project, "ml", f"ml_churn_{table}")
    return Lake.of(settings).read(contract.table, where=pa_dataset.field("as_of") == day)


def hash_of(settings: Settings, day: date) -> str:
    return content_hash(
        partition(settings, day),
        sort_by=mart_contract(settings.dbt_project, "ml", "ml_churn_features").table.key,
    )


def test_the_training_row_of_a_day_is_the_row_that_would_have_been_scored_that_day(
    company: Raw, trained: Run, workplace: Workplace
) -> None:
    """First proof: all rows known on or after the day are gone, nothing changes."""
    settings, _ = trained
    midnight = datetime.combine(SNAPSHOT, time.min)
    past = {name: [row for row in rows if row["known_at"] < midnight] for name, rows in company.items()}
    assert all(len(past[name]) < len(company[name]) for name in company)
    alone = workplace(past)
    record = prepare.run(USECASE, SNAPSHOT, settings=alone, params=PARAMS)
    assert record["features_hash"] == hash_of(settings, SNAPSHOT)


def test_rows_of_the_future_change_no_feature(company: Raw, trained: Run, workplace: Workplace) -> None:
    """Second proof: rows known later about the past, and rows dated later, change nothing."""
    settings, _ = trained
    planted = plant_future(company, SNAPSHOT)
    record = prepare.run(USECASE, SNAPSHOT, settings=workplace(planted), params=PARAMS)
    assert record["features_hash"] == hash_of(settings, SNAPSHOT)


def plant_future(raw: Raw, day: date) -> Raw:
    """Copies of real rows that would change features if they were taken into account."""
    planted = copy.deepcopy(raw)
    midnight = datetime.combine(day, time.min)
    before, after = midnight - timedelta(hours=1), midnight
    for row in {row["account_key"]: row for row in raw["raw/churn_accounts"]}.values():
        planted["raw/churn_accounts"].append(row | {"employees": 7, "sector": "space", "known_at": after})
    used = {(row["account_key"], row["used_on"]) for row in raw["raw/churn_usage_events"]}
    for key in {row["account_key"] for row in raw["raw/churn_accounts"]}:
        event = {"account_key": key, "logins": 99, "duration_min": 999.0, "features_used": "api|reports"}
        for age in range(1, 90, 3):
            past = day - timedelta(days=age)
            if (key, past) not in used:
                planted["raw/churn_usage_events"].append(
                    event | {"used_on": past, "used_month": f"{past:%Y-%m}", "known_at": after}
                )
        ahead = date(2026, 3, 1)
        planted["raw/churn_usage_events"].append(
            event | {"used_on": ahead, "used_month": f"{ahead:%Y-%m}", "known_at": before}
        )
    for table, identity in (("invoices", "invoice_id"), ("support_tickets", "ticket_id")):
        name = f"raw/churn_{table}"
        newest = {row[identity]: row for row in sorted(raw[name], key=lambda row: row["known_at"])}
        planted[name] += [
            row | {"known_at": datetime.combine(date(2026, 1, 1), time.min)} for row in newest.values()
        ]
    for index, row in enumerate(raw["raw/churn_invoices"]):
        new = row | {"invoice_id": f"new-{index}", "status": "failed", "paid_on": None}
        planted["raw/churn_invoices"] += [
            new
            | {"issued_on": day - timedelta(days=40), "due_on": day - timedelta(days=26), "known_at": after},
            new | {"invoice_id": f"ahead-{index}", "issued_on": day, "due_on": day, "known_at": before},
        ]
    for index, row in enumerate(raw["raw/churn_support_tickets"]):
        new = row | {"ticket_id": f"new-{index}", "status": "open", "closed_at": None, "csat": None}
        planted["raw/churn_support_tickets"] += [
            new | {"opened_at": midnight - timedelta(days=5), "known_at": after},
            new | {"ticket_id": f"ahead-{index}", "opened_at": midnight, "known_at": before},
        ]
    for index, row in enumerate(raw["raw/churn_subscriptions"]):
        start = day - timedelta(days=10)
        planted["raw/churn_subscriptions"].append(
            row | {"term_id": f"new-{index}", "term_start": start, "term_end": day + timedelta(days=800),
                   "seats": 1000, "known_at": after}
        )  # fmt: skip
    return planted


def test_the_same_day_twice_gives_the_same_bytes(trained: Run) -> None:
    settings, record = trained
    again = prepare.run(USECASE, AS_OF, settings=settings, params=PARAMS, pins=record["source_versions"])
    assert again["features_hash"] == record["features_hash"]
    assert again["versions"]["features/churn"] > record["versions"]["features/churn"]


def test_a_published_day_is_left_alone_on_request(trained: Run) -> None:
    settings, _ = trained
    version = Lake.of(settings).version("features/churn")
    record = prepare.run(USECASE, AS_OF, settings=settings, params=PARAMS, only_if_missing=True)
    assert record == {"as_of": "2025-01-06", "published": False}
    assert Lake.of(settings).version("features/churn") == version


def test_pins_read_the_version_they_name(company: Raw, trained: Run, workplace: Workplace) -> None:
    _, record = trained
    settings = workplace(company)
    lake = Lake.of(settings)
    pinned = {name: lake.version(name) for name in record["source_versions"]}
    usage = next(table for table in USECASE.raw_tables if table.name == "raw/churn_usage_events")
    lake.overwrite(usage, usage.arrow_schema.empty_table())
    later = prepare.run(USECASE, AS_OF, settings=settings, params=PARAMS, pins=pinned)
    assert later["features_hash"] == record["features_hash"]


def test_every_known_account_has_one_row_per_day_and_labels_only_those_in_scope(
    company: Raw, trained: Run
) -> None:
    settings, record = trained
    assert record["snapshots"] == 6
    for day in (SNAPSHOT, AS_OF):
        rows = partition(settings, day).to_pylist()
        midnight = datetime.combine(day, time.min)
        known = {row["account_key"] for row in company["raw/churn_accounts"] if row["known_at"] < midnight}
        assert sorted(row["account_key"] for row in rows) == sorted(known)
    in_scope = {row["account_key"] for row in partition(settings, SNAPSHOT).to_pylist() if row["in_scope"]}
    labels = partition(settings, SNAPSHOT, "labels").to_pylist()
    assert {row["account_key"] for row in labels} == in_scope
    assert {row["label_known_on"] for row in labels} == {SNAPSHOT + timedelta(days=30)}


def test_no_label_is_published_before_its_window_is_over(trained: Run) -> None:
    settings, _ = trained
    labels = Lake.of(settings).read(mart_contract(settings.dbt_project, "ml", "ml_churn_labels").table)
    assert max(labels["label_known_on"].to_pylist()) < AS_OF
    assert partition(settings, AS_OF, "labels").num_rows == 0


def test_a_failing_test_names_itself_and_publishes_nothing(company: Raw, workplace: Workplace) -> None:
    stale = {name: list(rows) for name, rows in company.items()}
    settings = workplace(stale)
    with pytest.raises(DataContractError, match="assert_churn_sources_are_fresh") as failure:
        prepare.run(USECASE, date(2025, 6, 2), settings=settings, params=PARAMS)
    assert "Repeat by hand: cd " in str(failure.value)
    assert not Lake.of(settings).exists("features/churn")


def test_pins_must_name_raw_tables(trained: Run) -> None:
    settings, _ = trained
    with pytest.raises(ConfigError, match="pins must name tables that are read"):
        prepare.run(USECASE, AS_OF, settings=settings, params=PARAMS, pins={"raw/unknown": 0})
