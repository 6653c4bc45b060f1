"""The churn monitor on a small lake: weeks of scores, a reference, labels that mature."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pa_dataset
import pytest

from features.schemas import Column, DType, Table
from pipelines.io.lake import Lake
from pipelines.monitoring.reference import Sample, store_reference
from pipelines.monitoring.schemas import MONITORING
from pipelines.monitoring.stored import read_findings
from pipelines.settings import Settings
from pipelines.steps import monitor
from pipelines.usecases.churn import USECASE
from pipelines.usecases.churn.dataset import SUBJECTS
from pipelines.usecases.churn.params import ChurnParams
from pipelines.usecases.churn.schemas import SCORES

AS_OF = date(2025, 6, 2)
ACCOUNTS = 1_500
FEATURES = Table(
    name="features/churn",
    description="Two features of the accounts in scope.",
    columns=(
        Column("as_of", DType.DATE, "Day."),
        Column("account_key", DType.STRING, "Account."),
        Column("in_scope", DType.BOOLEAN, "Scope."),
        Column("plan_tier", DType.STRING, "Tier."),
        Column("size_band", DType.STRING, "Size."),
        Column("sector", DType.STRING, "Sector."),
        Column("logins_28d", DType.INTEGER, "Logins."),
    ),
    key=("as_of", "account_key"),
    partition_by=("as_of",),
)
LABELS = Table(
    name="features/churn_labels",
    description="Labels.",
    columns=(
        Column("as_of", DType.DATE, "Day."),
        Column("account_key", DType.STRING, "Account."),
        Column("churned", DType.BOOLEAN, "Churned."),
        Column("label_known_on", DType.DATE, "Known."),
    ),
    key=("as_of", "account_key"),
    partition_by=("as_of",),
)


def accounts(day: date, *, lost_logins: str = "") -> dict[str, np.ndarray]:
    """Accounts of a day; the scores of tier ``lost_logins`` rise as if its logins had vanished."""
    rng = np.random.default_rng(day.toordinal())
    tier = np.array(["starter", "growth", "business"])[np.arange(ACCOUNTS) % 3]
    logins = rng.poisson(20, ACCOUNTS)
    logins[tier == lost_logins] = 0
    score = 1 / (1 + np.exp(2.2 + 0.25 * (logins - 20) + rng.normal(0, 1, ACCOUNTS)))
    return {
        "account_key": np.array([f"k{i:05}" for i in range(ACCOUNTS)]),
        "score": score,
        "plan_tier": tier,
        "size_band": np.full(ACCOUNTS, "10-49"),
        "sector": np.full(ACCOUNTS, "retail"),
        "logins_28d": logins,
    }


def score_day(lake: Lake, day: date, *, lost_logins: str = "", version: str = "churn/1") -> None:
    data = accounts(day, lost_logins=lost_logins)
    rank = np.empty(ACCOUNTS, dtype=np.int64)
    rank[np.argsort(-data["score"])] = np.arange(1, ACCOUNTS + 1)
    columns = {
        "as_of": [day] * ACCOUNTS,
        "rank": rank,
        "risk_level": ["low"] * ACCOUNTS,
        "reasons_json": ["[]"] * ACCOUNTS,
        "mrr_eur": [100.0] * ACCOUNTS,
        "days_to_renewal": [10] * ACCOUNTS,
        "model_version": [version] * ACCOUNTS,
        **{name: ["words"] * ACCOUNTS for name in ("reason_1", "reason_2", "reason_3", "action")},
        **data,
    }
    scores = pa.table({n: columns[n] for n in SCORES.column_names}, schema=SCORES.arrow_schema)
    lake.replace_partition(SCORES, scores, {"as_of": day})
    columns["in_scope"] = [True] * ACCOUNTS
    features = pa.table({n: columns[n] for n in FEATURES.column_names}, schema=FEATURES.arrow_schema)
    lake.replace_partition(FEATURES, features, {"as_of": day})


def label_day(lake: Lake, day: date, *, honest: bool) -> None:
    """Outcomes that follow the scores of the day, or the opposite ones."""
    score = accounts(day)["score"]
    limit = np.quantile(score, 0.9 if honest else 0.1)
    churned = score > limit if honest else score < limit
    table = pa.table(
        {
            "as_of": [day] * ACCOUNTS,
            "account_key": accounts(day)["account_key"],
            "churned": churned,
            "label_known_on": [day + timedelta(31)] * ACCOUNTS,
        },
        schema=LABELS.arrow_schema,
    )
    lake.replace_partition(LABELS, table, {"as_of": day})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(var=tmp_path)


@pytest.fixture
def lake(settings: Settings) -> Lake:
    """Reference and three quiet weeks before :data:`AS_OF`."""
    lake = Lake.of(settings)
    snapshot = accounts(AS_OF - timedelta(60))
    scores = pa.table({n: v for n, v in snapshot.items() if n != "logins_28d"})
    features = pa.table({n: v for n, v in snapshot.items() if n != "score"})
    store_reference(lake, "churn/1", Sample(features, SUBJECTS, scores=scores), usecase="churn", as_of=AS_OF)
    for week in (1, 2, 3):
        score_day(lake, AS_OF - timedelta(7 * week))
    return lake


@pytest.fixture
def params() -> ChurnParams:
    return USECASE.load_params(
        Settings.load(), {"monitoring.min_predictions": 1_000, "monitoring.max_predictions": 2_000}
    )


def rows(lake: Lake) -> list[dict[str, object]]:
    return lake.read(MONITORING, where=pa_dataset.field("as_of") == AS_OF).to_pylist()


def test_quiet_week(lake: Lake, settings: Settings, params: ChurnParams) -> None:
    score_day(lake, AS_OF)
    record = monitor.run(USECASE, AS_OF, settings=settings, params=params)
    assert record["alarms"] == []
    assert record["model_version"] == "churn/1"
    found = {(r["metric"], r["subject"], r["segment"]): r["state"] for r in rows(lake)}
    assert found["predictions", "predictions", "all"] == "ok"
    assert found["score_shift", "score", "growth"] == "ok"
    assert found["score_shift_weekly", "score", "all"] == "ok"
    assert found["feature_shift", "logins_28d", "all"] == "ok"
    assert found["auc_pr", "labelled sample", "all"] == "not_enough_data"


def test_a_lost_source_in_one_tier_is_named(lake: Lake, settings: Settings, params: ChurnParams) -> None:
    score_day(lake, AS_OF, lost_logins="growth")
    alarms = {a["name"]: a for a in monitor.run(USECASE, AS_OF, settings=settings, params=params)["alarms"]}
    assert set(alarms) == {"score_shift", "score_shift_weekly", "feature_shift"}
    assert alarms["score_shift"]["severity"] == "critical"
    assert alarms["score_shift"]["segment"] == "plan_tier=growth"
    assert "plan_tier=growth moved most" in alarms["score_shift"]["finding"]
    assert "logins_28d" in alarms["feature_shift"]["finding"]
    assert all(a["meaning"] and a["first_step"] for a in alarms.values())
    stored = USECASE.word_alarms(AS_OF, read_findings(lake, "churn", AS_OF))
    assert {alarm.name: alarm.as_dict() for alarm in stored} == alarms


def test_running_again_replaces_the_day(lake: Lake, settings: Settings, params: ChurnParams) -> None:
    score_day(lake, AS_OF)
    first = monitor.run(USECASE, AS_OF, settings=settings, params=params)
    before = rows(lake)
    assert monitor.run(USECASE, AS_OF, settings=settings, params=params) == first
    assert rows(lake) == before


def test_no_predictions_is_a_critical_alarm(lake: Lake, settings: Settings, params: ChurnParams) -> None:
    [alarm] = monitor.run(USECASE, AS_OF, settings=settings, params=params)["alarms"]
    assert (alarm["name"], alarm["severity"], alarm["value"]) == ("predictions", "critical", 0)


def test_a_version_without_reference_says_which_command_makes_it(
    lake: Lake, settings: Settings, params: ChurnParams
) -> None:
    score_day(lake, AS_OF, version="churn/2")
    record = monitor.run(USECASE, AS_OF, settings=settings, params=params)
    assert record["alarms"] == []
    messages = {r["metric"]: r["message"] for r in rows(lake)}
    assert "millrace train churn" in str(messages["score_shift"])
    # Weeks that another version scored are no comparison.
    assert "first score day of this model version" in str(messages["score_shift_weekly"])


@pytest.mark.parametrize(("honest", "names"), [(True, []), (False, ["auc_pr"])])
def test_performance_on_the_newest_matured_day(
    lake: Lake, settings: Settings, params: ChurnParams, honest: bool, names: list[str]
) -> None:
    """The week of 31 days ago is judged; a younger one with labels from the future is not."""
    matured, younger = AS_OF - timedelta(31), AS_OF - timedelta(28)
    for day in (matured, younger):
        score_day(lake, day)
    label_day(lake, matured, honest=honest)
    label_day(lake, younger, honest=not honest)
    score_day(lake, AS_OF)
    record = monitor.run(USECASE, AS_OF, settings=settings, params=params)
    assert [alarm["name"] for alarm in record["alarms"]] == names
    [row] = [r for r in rows(lake) if r["metric"] == "auc_pr"]
    assert str(matured) in str(row["message"])
    assert row["rows"] == ACCOUNTS
