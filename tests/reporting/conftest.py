"""A small but complete lake of the churn use case, made with the lake's own API."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pipelines.io.lake import Lake
from pipelines.io.promotions import Outcome, Promotion, append_promotion
from pipelines.io.runs import STEP_RUNS
from pipelines.monitoring.reference import Sample, store_reference
from pipelines.monitoring.subjects import Subjects
from pipelines.settings import Settings
from pipelines.sinks.ledger_tables import JOBS, ROWS, RUNS
from pipelines.sources.landed import QUARANTINE, landed_table
from pipelines.steps import monitor
from pipelines.usecases.churn import USECASE
from pipelines.usecases.churn.layouts import ACCOUNTS
from pipelines.usecases.churn.schemas import CONTRIBUTIONS, OUT_OF_SCOPE, SCORES, VALIDATION

AS_OF = date(2025, 6, 2)
HOSTILE = '</script><script>alert("x")</script> & =1+1'
FEATURES = {
    "usage_trend_4w": "usage", "tickets_30d": "support", "days_since_last_login": "usage",
    "csat_mean_90d": "support", "activation_score_28d": "engagement", "days_to_renewal": "contract",
    "failed_payments_90d": "billing", "seats_change_365d": "contract", "plan_tier": "contract",
}  # fmt: skip
TIERS = np.array(["starter", "growth", "business"])
BANDS = np.array(["1-9", "10-49", "50-249", "250+"])
SECTORS = np.array(["retail", "software", "health", "logistics", "education", "finance"])


def utc(day: date, hour: int = 0) -> datetime:
    """Moment as the lake stores it: UTC, without a zone attached."""
    return datetime.combine(day, time(hour), UTC).replace(tzinfo=None)


class Company:
    """Accounts with a true risk that drifts from week to week."""

    def __init__(self, size: int) -> None:
        rng = np.random.default_rng(7)
        self.size = size
        self.rng = rng
        self.key = np.array([f"{i * 2654435761 % 16**12:012x}{i:012x}" for i in range(size)])
        self.tier = rng.choice(TIERS, size, p=[0.5, 0.35, 0.15])
        self.band = rng.choice(BANDS, size, p=[0.3, 0.45, 0.2, 0.05])
        self.sector = rng.choice(SECTORS, size)
        self.taste = rng.normal(-4.6, 1.9, size) - 0.5 * (self.tier == "business")
        self.mrr = np.round(rng.lognormal(5.4, 0.8, size), 0)

    def risk(self, boost: float = 0.0) -> np.ndarray:
        logit = self.taste + boost * (self.tier == "starter") + self.rng.normal(0, 0.4, self.size)
        return 1 / (1 + np.exp(-logit))

    def segments(self) -> dict[str, np.ndarray]:
        return {"plan_tier": self.tier, "size_band": self.band, "sector": self.sector}


def write_scores(lake: Lake, company: Company, day: date, *, boost: float = 0.0) -> None:
    n, score = company.size, company.risk(boost)
    rank = np.empty(n, dtype=np.int64)
    rank[np.argsort(-score, kind="stable")] = np.arange(1, n + 1)
    level = np.array(["low", "medium", "high", "critical"])[np.digitize(score, [0.05, 0.20, 0.65])]
    rng = np.random.default_rng(day.toordinal())
    logins, before = rng.poisson(12, n), rng.poisson(38, n)
    actions = {
        "low": "No action: keep the normal rhythm of contact.",
        "medium": "Send the adoption guide and check in at the next regular call.",
        "high": "Book a usage review with the main user within two weeks.",
        "critical": "Call the decision maker this week; offer a renewal review.",
    }
    columns = {
        "as_of": [day] * n,
        "account_key": company.key,
        "score": score,
        "rank": rank,
        "risk_level": level,
        "reason_1": [
            f"Logins fell from {b} to {a} in four weeks; accounts of the same size: {b + 3}"
            for a, b in zip(logins, before, strict=True)
        ],
        "reason_2": [f"{t} support tickets in 30 days; accounts of the same size: 1" for t in logins % 5 + 2],
        "reason_3": [f"Last login {d} days ago" for d in logins],
        "reasons_json": ["[]"] * n,
        "action": [actions[str(one)] for one in level],
        **company.segments(),
        "mrr_eur": company.mrr,
        "days_to_renewal": rng.integers(0, 60, n),
        "model_version": ["churn/3"] * n,
    }
    lake.replace_partition(
        SCORES,
        pa.table({name: columns[name] for name in SCORES.column_names}, schema=SCORES.arrow_schema),
        {"as_of": day},
    )


def write_accounts(lake: Lake, company: Company) -> None:
    n = company.size
    first, second = ["Blue", "North", "Green", "Alpine", "Harbour"], ["Works", "Foods", "Care", "Freight"]
    names = [f"{first[i % 5]} {second[i % 4]} {i}" for i in range(n)]
    names[int(np.argmax(company.taste))] = HOSTILE
    table = landed_table("churn", ACCOUNTS)
    columns = {
        "account_key": company.key,
        "account_id": [f"001A{i:08d}" for i in range(n)],
        "account_name": names,
        "sector": company.sector,
        "country": ["FR"] * n,
        "employees": [25] * n,
        "founded_on": [date(2001, 1, 1)] * n,
        "signed_up_on": [date(2023, 1, 1)] * n,
        "known_at": [utc(date(2023, 1, 1))] * n,
        "ingested_at": [utc(AS_OF, 3)] * n,
    }
    old = pa.table({name: columns[name] for name in table.column_names}, schema=table.arrow_schema)
    lake.overwrite(table, old)
    # A rename that becomes known on the day itself must not show yet.
    later = {name: values[:1] for name, values in columns.items()}
    later |= {"account_name": ["Renamed too late"], "known_at": [utc(AS_OF)]}
    rows = pa.table({name: later[name] for name in table.column_names}, schema=table.arrow_schema)
    lake.append(table, rows)


def write_training(lake: Lake, company: Company) -> None:
    snapshots = [AS_OF - timedelta(days) for days in (182, 154, 119, 91)]
    tables = []
    for snapshot in snapshots:
        risk = company.risk()
        churned = company.rng.random(company.size) < risk
        noisy = {
            "challenger": risk,
            "champion": 1 / (1 + np.exp(-(np.log(risk / (1 - risk)) + company.rng.normal(0, 0.8, risk.size)))),
            "logistic": 1 / (1 + np.exp(-(np.log(risk / (1 - risk)) + company.rng.normal(0, 1.4, risk.size)))),
            "usage_trend": -company.rng.normal(0, 3, risk.size) + np.log(risk),
        }  # fmt: skip
        for candidate, score in noisy.items():
            columns = {
                "as_of": [AS_OF] * company.size,
                "candidate": [candidate] * company.size,
                "snapshot": [snapshot] * company.size,
                "account_key": company.key,
                "churned": churned,
                "score": score,
                **company.segments(),
            }
            tables.append(pa.table({n: columns[n] for n in VALIDATION.column_names}, VALIDATION.arrow_schema))
    rows = pa.concat_tables(tables)
    lake.replace_partition(VALIDATION, rows, {"as_of": AS_OF})
    challenger = rows.filter(pc.equal(rows["candidate"], "challenger"))
    store_reference(
        lake,
        "churn/3",
        Sample(
            challenger.select(["account_key", *company.segments()]),
            Subjects("account_key", "accounts", tuple(company.segments())),
            scores=challenger.drop_columns(["as_of", "candidate"]),
        ),
        usecase="churn",
        as_of=AS_OF,
    )


def write_contributions(lake: Lake, company: Company) -> None:
    rows = []
    for i in range(min(400, company.size)):
        for position, (feature, theme) in enumerate(FEATURES.items()):
            value = float(company.rng.normal())
            rows.append(
                {
                    "as_of": AS_OF,
                    "account_key": company.key[i],
                    "feature": feature,
                    "theme": theme,
                    "value": None if feature == "plan_tier" or value < -1.5 else value,
                    "contribution": (value + company.rng.normal(0, 0.3)) / (position + 1),
                }
            )
    table = pa.Table.from_pylist(rows, schema=CONTRIBUTIONS.arrow_schema)
    lake.replace_partition(CONTRIBUTIONS, table, {"as_of": AS_OF})


def write_operations(lake: Lake, company: Company) -> None:
    def promotion(version: str, outcome: Outcome, days: int, words: str) -> Promotion:
        checks = [
            {"name": "positives", "value": 612, "low": None, "high": None, "threshold": 200, "passed": True},
            {"name": "auc_pr", "value": 0.712, "low": 0.684, "high": 0.741, "threshold": 0.65, "passed": True},
            {"name": "recall_at_top20", "value": 0.62, "low": 0.59, "high": 0.65, "threshold": 0.55, "passed": True},
            {"name": "auc_pr_against_champion", "value": 0.0, "low": -0.004, "high": 0.02, "threshold": 0.0, "passed": True},
            {"name": "scoring_seconds", "value": 6.4, "low": None, "high": None, "threshold": 120, "passed": True},
        ]  # fmt: skip
        day = AS_OF - timedelta(days)
        return Promotion(
            "churn", day, version, outcome, words, utc(day, 4), "gate:ab12",
            "churn/2", checks, {"auc_pr": 0.712},
        )  # fmt: skip

    append_promotion(lake, promotion("churn/2", Outcome.REFUSED, 28, "Refused: AUC-PR is not above 0.65."))
    append_promotion(
        lake,
        promotion("churn/3", Outcome.PROMOTED, 0, "Passed: AUC-PR is 0.712 (0.684 to 0.741), above 0.65."),
    )
    scope = ["trial"] * 40 + ["churned"] * 60 + ["lapsed"] * 12
    lake.replace_partition(
        OUT_OF_SCOPE,
        pa.table(
            {"as_of": [AS_OF] * len(scope), "account_key": [f"o{i}" for i in range(len(scope))], "scope_reason": scope},
            schema=OUT_OF_SCOPE.arrow_schema,
        ),
        {"as_of": AS_OF},
    )  # fmt: skip
    steps = [
        ("prepare", 8.2, "ok", "{}"),
        ("score", 6.4, "ok", "{}"),
        ("publish", 21.0, "failed", "SinkError: no"),
    ]
    lake.append(
        STEP_RUNS,
        pa.Table.from_pylist(
            [
                {"step_run_id": step, "usecase": "churn", "step": step, "as_of": AS_OF, "seconds": seconds,
                 "started_at": utc(AS_OF, 4 + i), "outcome": outcome, "record_json": words, "dag_run": None}
                for i, (step, seconds, outcome, words) in enumerate(steps)
            ],
            schema=STEP_RUNS.arrow_schema,
        ),
    )  # fmt: skip
    quarantined = {
        "ingest_id": "i", "usecase": "churn", "table_name": "invoices", "source_file": "invoices.csv",
        "source_sha256": "x", "account_key": None, "row_key": "{}", "rules": json.dumps(["amount_eur >= 0"]),
        "reasons": "amount_eur must be >= 0, got -3", "payload": "{}", "ingested_at": utc(AS_OF, 3),
    }  # fmt: skip
    lake.append(
        QUARANTINE,
        pa.Table.from_pylist(
            [{**quarantined, "row_number": i} for i in range(1, 4)], schema=QUARANTINE.arrow_schema
        ),
    )


def write_ledger(lake: Lake) -> None:
    """A finished publish of three rows: two accepted, one refused for good."""
    common = {
        "sink": "salesforce",
        "object": "Churn_Score__c",
        "as_of": AS_OF,
        "run_id": "run-1",
        "seq": 1,
        "recorded_at": utc(AS_OF, 12),
    }
    run = {
        **common, "run_key": "k", "run_no": 1, "state": "finished", "forced": False, "planned": 3, "sent": 3,
        "ok": 2, "failed": 1, "unknown": 0, "skipped": 7, "deleted": 0, "dead": 1, "jobs": 1,
    }  # fmt: skip
    job = {
        **common, "chunk": 0, "attempt": 1, "operation": "upsert", "state": "complete", "rows": 3,
        "job_id": "750xx", "ok": 2, "failed": 1, "unprocessed": 0, "message": None,
    }  # fmt: skip
    row = {
        **common, "operation": "upsert", "attempt": 5, "chunk": 0, "payload_hash": "h", "base_hash": None,
        "remote_id": None, "job_id": "750xx",
    }  # fmt: skip
    fates = [
        {"state": "ok", "code": None, "message": None},
        {"state": "ok", "code": None, "message": None},
        {"state": "dead", "code": "FIELD_CUSTOM_VALIDATION_EXCEPTION", "message": "Owner is inactive"},
    ]
    rows = [{**row, **fate, "external_id": f"001A{i:08d}"} for i, fate in enumerate(fates)]
    for table, content in ((ROWS, rows), (JOBS, [job]), (RUNS, [run])):
        lake.append(table, pa.Table.from_pylist(content, schema=table.arrow_schema))


def build_lake(settings: Settings, size: int, *, boost: float = 0.0) -> Lake:
    lake, company = Lake.of(settings), Company(size)
    write_accounts(lake, company)
    write_training(lake, company)
    for week in range(8, 0, -1):
        write_scores(lake, company, AS_OF - timedelta(7 * week))
    write_scores(lake, company, AS_OF, boost=boost)
    write_contributions(lake, company)
    write_operations(lake, company)
    write_ledger(lake)
    params = USECASE.load_params(Settings.load(), {"monitoring.min_predictions": size - 10})
    monitor.run(USECASE, AS_OF, settings=settings, params=params)
    return lake


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a lake with 600 accounts, drift in one tier, and no raw usage data."""
    found = Settings(var=tmp_path_factory.mktemp("var"))
    build_lake(found, 600, boost=2.0)
    return found
