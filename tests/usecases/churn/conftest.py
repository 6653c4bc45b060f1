"""A small company whose raw rows are as awkward as real ones, landed in a lake of its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipelines.io.lake import Lake
from pipelines.settings import Settings
from pipelines.usecases.churn import USECASE

Rows = list[dict[str, Any]]
Raw = dict[str, Rows]

FIRST_DAY = date(2024, 1, 1)
LAST_DAY = date(2025, 1, 6)
FEATURES = ("dashboards", "reports", "api", "alerts", "mobile", "not_in_the_catalogue")
TIERS = ("starter", "growth", "business")


def at(day: date, hours: float = 6.0) -> datetime:
    """Time of a day, by default in the morning."""
    return datetime.combine(day, time.min) + timedelta(hours=hours)


def random_company(seed: int, accounts: int = 60) -> Raw:
    """Raw rows with late arrivals, corrections, gaps, trials, early renewals and overlapping contracts."""
    rng = np.random.default_rng(seed)
    raw: Raw = {table.name: [] for table in USECASE.raw_tables}

    def day_between(low: date, high: date) -> date:
        return low + timedelta(days=int(rng.integers(0, max((high - low).days, 1))))

    def late(day: date) -> datetime:
        """Known the next morning, sometimes weeks later."""
        days = 1 if rng.random() < 0.9 else int(rng.integers(2, 60))
        return at(day + timedelta(days=days))

    for number in range(accounts):
        key = f"{number:024x}"
        signed_up = day_between(FIRST_DAY, date(2024, 12, 20))
        for version in range(int(rng.integers(1, 4))):
            raw["raw/churn_accounts"].append(
                {
                    "account_key": key,
                    "account_id": f"A{number}",
                    "account_name": f"Company {number}",
                    "sector": rng.choice(["it", "retail", None]),
                    "country": rng.choice(["FR", "DE", None]),
                    "employees": rng.choice([None, 1, 9, 10, 49, 50, 249, 250, 900]),
                    "founded_on": rng.choice([None, date(2010, 5, 17), date(2024, 9, 1)]),
                    "signed_up_on": signed_up,
                    "known_at": at(signed_up + timedelta(days=version * int(rng.integers(20, 90)))),
                }
            )
        _terms(raw, rng, key, signed_up, late)
        _usage(raw, rng, key, signed_up, late)
        for index in range(int(rng.integers(0, 14))):
            issued = day_between(signed_up, LAST_DAY)
            due, amount = issued + timedelta(days=14), round(float(rng.uniform(0, 500)), 2)
            known, statuses = at(issued), ["issued"]
            for status in rng.permutation(["failed", "disputed", "paid", "refunded", "written_off"])[
                : rng.integers(0, 3)
            ]:
                statuses.append(str(status))
            for status in statuses:
                paid = due + timedelta(days=int(rng.integers(-14, 40)))
                raw["raw/churn_invoices"].append(
                    {
                        "invoice_id": f"{key}-{index}",
                        "account_key": key,
                        "issued_on": issued,
                        "due_on": due,
                        "amount_eur": amount,
                        "status": status,
                        "paid_on": paid if status in ("paid", "refunded") else None,
                        "known_at": known,
                    }
                )
                known += timedelta(days=int(rng.integers(1, 50)))
        for index in range(int(rng.integers(0, 10))):
            opened = at(day_between(signed_up, LAST_DAY), hours=float(rng.integers(0, 24)))
            closed = opened + timedelta(hours=int(rng.integers(1, 900)))
            ticket = {
                "ticket_id": f"{key}-{index}",
                "account_key": key,
                "opened_at": opened,
                "kind": "bug",
                "priority": str(rng.choice(["low", "normal", "urgent"])),
                "status": "open",
                "closed_at": None,
                "csat": None,
                "known_at": opened + timedelta(minutes=1),
            }
            versions = [ticket]
            if rng.random() < 0.8:
                done = ticket | {
                    "status": "closed",
                    "closed_at": closed,
                    "known_at": closed + timedelta(hours=1),
                }
                versions.append(done)
                if rng.random() < 0.6:
                    answered = closed + timedelta(days=int(rng.integers(1, 20)))
                    versions.append(done | {"csat": int(rng.integers(1, 6)), "known_at": answered})
            raw["raw/churn_support_tickets"] += versions
    return raw


def _terms(
    raw: Raw, rng: np.random.Generator, key: str, signed_up: date, late: Callable[[date], datetime]
) -> None:
    for contract in range(1 if rng.random() < 0.85 else 2):
        start = signed_up + timedelta(days=contract * int(rng.integers(0, 120)))
        annual, tier = rng.random() < 0.2, int(rng.integers(0, 3))
        if rng.random() < 0.5:
            _term(raw, key, contract, start, 14, 0, 1, 0.0, at(start), trial=True)
            start += timedelta(days=14)
        while start < LAST_DAY + timedelta(days=60):
            days = 365 if annual else 30
            # Renewals are booked weeks before the term begins, on the day, or late.
            booked = at(
                start
                + timedelta(
                    days=int(
                        rng.choice(
                            [-40, -3, -1, 0, 5, 20, 29, 45], p=[0.05, 0.3, 0.3, 0.1, 0.1, 0.05, 0.05, 0.05]
                        )
                    )
                )
            )
            if rng.random() < 0.05:
                booked = late(start)
            mrr = round(float(rng.uniform(10, 900)), 2)
            _term(raw, key, contract, start, days, tier, int(rng.integers(1, 60)), mrr, booked, trial=False)
            start += timedelta(days=days)
            fate = rng.random()
            if fate < 0.08:
                break
            if fate < 0.14:
                start += timedelta(days=int(rng.integers(1, 75)))  # comes back after a gap
            if fate > 0.8:
                tier, annual = int(rng.integers(0, 3)), rng.random() < 0.2


def _term(
    raw: Raw, key: str, contract: int, start: date, days: int, tier: int, seats: int, mrr: float,
    known: datetime, *, trial: bool,
) -> None:  # fmt: skip
    terms = raw["raw/churn_subscriptions"]
    terms.append(
        {
            "term_id": f"t{len(terms):05d}",
            "account_key": key,
            "subscription_id": f"{key}-{contract}",
            "plan_tier": TIERS[tier],
            "billing_period": "annual" if days == 365 else "monthly",
            "is_trial": trial,
            "seats": seats,
            "mrr_eur": mrr,
            "term_start": start,
            "term_end": start + timedelta(days=days),
            "known_at": known,
        }
    )


def _usage(
    raw: Raw, rng: np.random.Generator, key: str, signed_up: date, late: Callable[[date], datetime]
) -> None:
    level, day = rng.uniform(0, 0.9), signed_up
    until = LAST_DAY if rng.random() < 0.7 else signed_up + timedelta(days=int(rng.integers(1, 200)))
    while day < until:
        if rng.random() < level:
            used = sorted(str(name) for name in rng.permutation(FEATURES)[: rng.integers(0, 4)])
            raw["raw/churn_usage_events"].append(
                {
                    "account_key": key,
                    "used_on": day,
                    "logins": int(rng.integers(1, 9)),
                    "duration_min": round(float(rng.uniform(0, 300)), 2),
                    "features_used": "|".join(used),
                    "known_at": late(day),
                    "used_month": f"{day:%Y-%m}",
                }
            )
        day += timedelta(days=1)


def land(lake: Lake, raw: Raw) -> None:
    """Write raw rows to a lake, as landing does."""
    for table in USECASE.raw_tables:
        rows = [row | {"ingested_at": at(LAST_DAY)} for row in raw[table.name]]
        lake.overwrite(table, pa.Table.from_pylist(rows, schema=table.arrow_schema))


@pytest.fixture(scope="session")
def company() -> Raw:
    """Raw rows of the small company."""
    return random_company(seed=11)


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Raw], Settings]:
    """Settings of a fresh deployment whose lake holds the given raw rows; dbt's parse is shared."""
    cache = tmp_path_factory.mktemp("dbt_cache")

    def make(raw: Raw) -> Settings:
        var: Path = tmp_path_factory.mktemp("workplace")
        (var / "dbt_cache").symlink_to(cache)
        settings = Settings(var=var)
        land(Lake.of(settings), raw)
        return settings

    return make
