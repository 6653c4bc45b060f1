"""Every feature and label, recomputed row by row in plain Python from the raw rows, must agree exactly.

Written from the column descriptions, without a look at the SQL: loops instead of joins, one account
and day at a time.
"""

from __future__ import annotations

import csv
import math
import statistics
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pa_dataset
import pytest

from features.contracts import Contract
from pipelines.io.lake import Lake
from pipelines.io.marts import mart_contract
from pipelines.settings import PROJECT_ROOT, Settings
from pipelines.steps import prepare
from pipelines.usecases.churn import USECASE

Row = dict[str, Any]
Raw = dict[str, list[Row]]

AS_OF = date(2025, 1, 6)
RANK = {"starter": 1, "growth": 2, "business": 3}


@pytest.fixture(scope="session")
def built(company: Raw, workplace: Callable[[Raw], Settings]) -> Settings:
    settings = workplace(company)
    params = USECASE.load_params(Settings.load(), {"snapshots.months": 6})
    prepare.run(USECASE, AS_OF, settings=settings, params=params, training=True)
    return settings


def all_rows(settings: Settings, contract: Contract) -> list[Row]:
    return Lake.of(settings).read(contract.table).to_pylist()


def known(raw: Raw, table: str, key: str, day: date) -> list[Row]:
    midnight = datetime.combine(day, time.min)
    return [r for r in raw[f"raw/churn_{table}"] if r["account_key"] == key and r["known_at"] < midnight]


def latest(rows: list[Row], identity: str) -> list[Row]:
    newest: dict[str, Row] = {}
    for row in sorted(rows, key=lambda row: row["known_at"]):
        newest[row[identity]] = row
    return list(newest.values())


def within(event: date | datetime | None, day: date, days: int) -> bool:
    """Whether it happened in the last ``days`` full days before ``day``."""
    if event is None:
        return False
    event = event.date() if isinstance(event, datetime) else event
    return day - timedelta(days=days) <= event < day


def usage(raw: Raw, key: str, day: date) -> Row:
    rows = [r for r in known(raw, "usage_events", key, day) if r["used_on"] < day]
    signed_up = latest(known(raw, "accounts", key, day), "account_key")[0]["signed_up_on"]
    age = (day - signed_up).days

    def total(field: str, newest: int, oldest: int) -> Any:
        values = [r[field] for r in rows if newest <= (day - r["used_on"]).days <= oldest]
        return round(sum(values), 2)

    def trend(
        field: str, new: tuple[int, int], old: tuple[int, int], pseudo: int, needs: int
    ) -> float | None:
        if age < needs:
            return None
        return min((total(field, *new) + pseudo) / (total(field, *old) + pseudo), 10)

    with (PROJECT_ROOT / "dbt_project/seeds/churn_key_features.csv").open() as file:
        catalogue = {
            r["feature"]: r["is_key"] == "true" for r in csv.DictReader(file) if r["catalogue"] == "saas"
        }
    recent = [r for r in rows if within(r["used_on"], day, 28)]
    touched = {name for r in recent for name in r["features_used"].split("|")} & set(catalogue)
    last = max((r["used_on"] for r in rows if within(r["used_on"], day, 365)), default=None)
    return {
        "usage_trend_4w": trend("logins", (1, 7), (22, 28), 1, 28),
        "minutes_trend_4w": trend("duration_min", (1, 7), (22, 28), 30, 28),
        "usage_trend_8w": trend("logins", (1, 28), (29, 56), 4, 56),
        "usage_trend_12w": trend("logins", (1, 28), (57, 84), 4, 84),
        "days_since_last_login": (day - last).days if last else 365,
        "logins_7d": total("logins", 1, 7),
        "logins_28d": total("logins", 1, 28),
        "logins_prev_28d": total("logins", 29, 56),
        "minutes_28d": total("duration_min", 1, 28),
        "minutes_prev_28d": total("duration_min", 29, 56),
        "active_days_28d": len(recent),
        "features_used_28d": len(touched),
        "activation_score_28d": sum(catalogue[name] for name in touched) / sum(catalogue.values()),
    }


def support(raw: Raw, key: str, day: date) -> Row:
    rows = [
        r for r in latest(known(raw, "support_tickets", key, day), "ticket_id") if r["opened_at"].date() < day
    ]
    rows = [r for r in rows if within(r["opened_at"], day, 365)]
    answers = [r["csat"] for r in rows if r["csat"] is not None and within(r["closed_at"], day, 90)]
    return {
        "tickets_30d": sum(within(r["opened_at"], day, 30) for r in rows),
        "tickets_90d": sum(within(r["opened_at"], day, 90) for r in rows),
        "urgent_tickets_90d": sum(
            within(r["opened_at"], day, 90) and r["priority"] == "urgent" for r in rows
        ),
        "open_tickets": sum(r["closed_at"] is None or r["closed_at"].date() >= day for r in rows),
        "csat_mean_90d": sum(answers) / len(answers) if answers else None,
        "csat_answers_90d": len(answers),
    }


def billing(raw: Raw, key: str, day: date) -> Row:
    reports = [r for r in known(raw, "invoices", key, day) if within(r["issued_on"], day, 365)]
    rows = latest(reports, "invoice_id")
    paid = [r for r in rows if r["status"] == "paid" and r["paid_on"] < day]
    not_paid = [r for r in rows if r["status"] in ("issued", "failed", "disputed")]
    not_paid += [r for r in rows if r["status"] == "paid" and r["paid_on"] >= day]
    overdue = [r for r in not_paid if r["due_on"] < day]
    late = [r for r in paid if r["paid_on"] > r["due_on"]] + overdue
    delays = [max((r["paid_on"] - r["due_on"]).days, 0) for r in paid if within(r["paid_on"], day, 180)]
    disputed = [r for r in reports if r["status"] == "disputed" and within(r["known_at"], day, 180)]
    return {
        "late_payments_180d": sum(within(r["due_on"], day, 180) for r in late),
        "failed_payments_90d": sum(
            r["status"] == "failed" and within(r["known_at"], day, 90) for r in reports
        ),
        "disputes_180d": len({r["invoice_id"] for r in disputed}),
        "unpaid_eur": round(sum(r["amount_eur"] for r in overdue), 2),
        "days_payment_delay_mean_180d": sum(delays) / len(delays) if delays else None,
    }


def contract(raw: Raw, key: str, day: date) -> Row:
    terms = sorted(
        known(raw, "subscriptions", key, day), key=lambda r: (r["term_start"], r["term_end"], r["term_id"])
    )
    paid = [r for r in terms if not r["is_trial"]]
    begun = [r for r in paid if r["term_start"] <= day]
    running = [r for r in begun if day < r["term_end"]]
    on_trial = any(r["is_trial"] and r["term_start"] <= day < r["term_end"] for r in terms)
    year_ago = day - timedelta(days=365)

    changes = downgrades = returns = 0
    for index, row in enumerate(paid):
        before = paid[:index]
        if not before or row["term_start"] > day:
            continue
        step = RANK[row["plan_tier"]] - RANK[before[-1]["plan_tier"]]
        changes += step != 0 and row["term_start"] >= year_ago
        downgrades += step < 0 and row["term_start"] >= year_ago
        returns += (row["term_start"] - max(r["term_end"] for r in before)).days > 30
    facts: Row = {
        "in_scope": bool(running),
        "scope_reason": None,
        "tenure_days": (day - min(r["term_start"] for r in begun)).days if begun else None,
        "tier_changes_365d": changes,
        "tier_downgrades_365d": downgrades,
        "reactivations": returns,
    }
    if not running:
        ended = (day - max(r["term_end"] for r in begun)).days if begun else None
        reason = "not_started" if ended is None else "lapsed" if ended <= 30 else "churned"
        return facts | {"scope_reason": "trial" if on_trial else reason}
    reference = max(year_ago, min(r["term_start"] for r in begun))
    then = [r for r in paid if r["term_start"] <= reference < r["term_end"]]
    decides = max(running, key=lambda r: (r["term_end"], r["mrr_eur"], r["term_start"], r["term_id"]))
    left = (decides["term_end"] - day).days
    return facts | {
        "plan_tier": decides["plan_tier"],
        "billing_period": decides["billing_period"],
        "days_to_renewal": left,
        "term_ends_within_30d": left <= 30,
        "renewal_booked": any(r["term_start"] > day and r["term_end"] > decides["term_end"] for r in paid),
        "is_annual": decides["billing_period"] == "annual",
        "seats": sum(r["seats"] for r in running),
        "seats_change_365d": sum(r["seats"] for r in running) - sum(r["seats"] for r in then),
        "mrr_eur": round(sum(r["mrr_eur"] for r in running), 2),
        "mrr_change_365d": round(sum(r["mrr_eur"] for r in running) - sum(r["mrr_eur"] for r in then), 2),
    }


def profile(raw: Raw, key: str, day: date) -> Row:
    row = latest(known(raw, "accounts", key, day), "account_key")[0]
    staff, founded = row["employees"], row["founded_on"]
    bands = ((10, "1-9"), (50, "10-49"), (250, "50-249"), (10**9, "250+"))
    return {
        "employees": staff,
        "size_band": "unknown" if staff is None else next(name for limit, name in bands if staff < limit),
        "sector": row["sector"] or "unknown",
        "country": row["country"] or "unknown",
        "company_age_years": (day - founded).days / 365.25 if founded and founded < day else None,
    }


def churned(raw: Raw, key: str, day: date) -> tuple[bool, str]:
    end = day + timedelta(days=contract(raw, key, day)["days_to_renewal"])
    if end > day + timedelta(days=30):
        return False, "term_runs_on"
    for row in raw["raw/churn_subscriptions"]:
        if row["account_key"] != key or row["is_trial"] or row["term_end"] <= end:
            continue
        if row["known_at"].date() <= day + timedelta(days=30):
            return False, "renewed"
    return True, "not_renewed"


def against_all(row: Row, rows: list[Row]) -> Row:
    found: Row = {}
    for name in ("usage_trend_4w", "minutes_trend_4w", "usage_trend_8w", "usage_trend_12w"):
        there = [
            r[name] for r in rows if r["as_of"] == row["as_of"] and r["in_scope"] and r[name] is not None
        ]
        known_both = row[name] is not None and there
        found[f"{name}_vs_all"] = row[name] / statistics.median(there) if known_both else None
    return found


def same(built: Any, expected: Any) -> bool:
    """Equal; ratios and sums of cents up to the last bits of a double."""
    if isinstance(built, float) and isinstance(expected, int | float):
        return math.isclose(built, expected, rel_tol=1e-12, abs_tol=1e-9)
    return bool(built == expected)


def test_every_feature_agrees_with_plain_python(company: Raw, built: Settings) -> None:
    declared = mart_contract(built.dbt_project, "ml", "ml_churn_features")
    rows = all_rows(built, declared)
    assert len(rows) > 300
    seen: dict[str, set[Any]] = {name: set() for name in declared.table.column_names}
    wanted = []
    for row in rows:
        key, day = row["account_key"], row["as_of"]
        expected = dict.fromkeys(declared.table.column_names) | {"account_key": key, "as_of": day}
        for part in (usage, support, billing, contract, profile):
            expected |= part(company, key, day)
        wanted.append(expected)
    for expected in wanted:
        expected |= against_all(expected, wanted)
    for row, expected in zip(rows, wanted, strict=True):
        key, day = row["account_key"], row["as_of"]
        wrong = {
            name: (row[name], expected[name]) for name in expected if not same(row[name], expected[name])
        }
        assert wrong == {}, f"{key} on {day}: (built, expected)"
        for name, value in row.items():
            seen[name].add(value)
    # A column that never varies proves nothing.
    assert [name for name, values in seen.items() if len(values) < 2] == []


def test_every_label_agrees_with_plain_python(company: Raw, built: Settings) -> None:
    rows = all_rows(built, mart_contract(built.dbt_project, "ml", "ml_churn_labels"))
    assert {row["outcome"] for row in rows} == {"term_runs_on", "renewed", "not_renewed"}
    for row in rows:
        expected = churned(company, row["account_key"], row["as_of"])
        assert (row["churned"], row["outcome"]) == expected, row


def test_prepared_days_are_ordered_by_key(built: Settings) -> None:
    contract_ = mart_contract(built.dbt_project, "ml", "ml_churn_features")
    table = Lake.of(built).read(contract_.table, where=pa_dataset.field("as_of") == AS_OF)
    keys = table["account_key"].to_pylist()
    assert keys == sorted(keys)
    assert table.schema.field("logins_7d").type == pa.int64()
