"""Checks on synthetic portfolios: the false-alarm rate is measured, not assumed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipelines.errors import DataContractError
from pipelines.io.lake import Lake
from pipelines.monitoring import checks
from pipelines.monitoring.alarms import Alarm
from pipelines.monitoring.findings import Finding
from pipelines.monitoring.params import DriftParams, MonitoringParams
from pipelines.monitoring.performance import LabelledSample
from pipelines.monitoring.reference import Reference, Sample, load_reference, store_reference
from pipelines.monitoring.schemas import Severity, State
from pipelines.monitoring.subjects import Subjects

SEGMENTS = ("plan_tier", "sector")
SUBJECTS = Subjects("account_key", "accounts", SEGMENTS, whole="the portfolio", outcome="churned")
LIMITS = MonitoringParams(min_predictions=13_000, max_predictions=16_000)
AS_OF = date(2025, 6, 2)


def portfolio(n: int, seed: int, *, snapshots: int = 1, boost: float = 1.0, tier: str = "") -> pa.Table:
    """Accounts with scores; ``boost`` multiplies the scores of one tier (all if empty)."""
    rng = np.random.default_rng(seed)
    tiers = rng.choice(["starter", "growth", "business"], n, p=[0.5, 0.35, 0.15])
    sectors = rng.choice([f"s{i}" for i in range(8)], n)
    taste = rng.normal(-3.5, 1.4, n)
    tables = []
    for _ in range(snapshots):
        logit = taste + rng.normal(0, 0.3, n)
        score = 1 / (1 + np.exp(-logit))
        hit = (tiers == tier) | (tier == "")
        score = np.clip(np.where(hit, score * boost, score), 0, 1)
        tables.append(
            pa.table(
                {
                    "account_key": [f"a{i}" for i in range(n)],
                    "score": score,
                    "plan_tier": tiers,
                    "sector": sectors,
                    "logins_28d": rng.poisson(np.exp(-taste) / 4),
                    "is_annual": rng.random(n) < 0.3,
                }
            )
        )
    return pa.concat_tables(tables)


def reference_of(lake: Lake, table: pa.Table) -> Reference:
    features = table.drop_columns("score")
    sample = Sample(features, SUBJECTS, scores=table)
    store_reference(lake, "churn/1", sample, usecase="churn", as_of=AS_OF)
    found = load_reference(lake, "churn", "churn/1")
    assert found is not None
    return found


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


def judged(lake: Lake, week: pa.Table, reference: Reference, params: MonitoringParams) -> Sequence[Finding]:
    return [
        *checks.check_scores(week, reference, SUBJECTS, params),
        *checks.check_features(week, reference, SUBJECTS, params, {}),
    ]


@pytest.mark.parametrize(("accounts", "runs"), [(15_000, 40), (500, 80)])
def test_false_alarm_rate_without_drift(lake: Lake, accounts: int, runs: int) -> None:
    """At most 1 % of runs; for 500 accounts the bare limit would alarm in nearly every one.

    The smallest segments of 500 accounts hold about 60; they are judged here on purpose.
    """
    params = LIMITS.model_copy(update={"min_segment_rows": 20})
    reference = reference_of(lake, portfolio(accounts, 0, snapshots=4))
    raised, over_the_bare_limit = 0, 0
    for seed in range(1, runs + 1):
        found = judged(lake, portfolio(accounts, seed), reference, params)
        raised += any(f.state is State.ALARM for f in found)
        over_the_bare_limit += any(f.value is not None and f.value > 0.15 for f in found)
    assert raised / runs <= 0.02  # 1 % stated; one of 80 runs is within it
    assert (over_the_bare_limit / runs > 0.5) is (accounts == 500)


@pytest.mark.parametrize("accounts", [15_000, 500])
def test_real_drift_is_found_and_the_segment_named(lake: Lake, accounts: int) -> None:
    reference = reference_of(lake, portfolio(accounts, 0, snapshots=4))
    week = portfolio(accounts, 9, boost=4, tier="growth")
    found = checks.check_scores(week, reference, SUBJECTS, LIMITS.model_copy(update={"min_segment_rows": 50}))
    alarms = {f.segment_name for f in found if f.state is State.ALARM}
    assert "plan_tier=growth" in alarms
    assert max(found, key=lambda f: f.excess).segment_name == "plan_tier=growth"
    assert not alarms & {"plan_tier=starter", "plan_tier=business"}
    worst = next(f for f in found if f.segment_name == "plan_tier=growth")
    assert worst.severity is Severity.WARNING
    assert "on balance up" in worst.message
    assert "expected AUC-PR" in worst.message


def test_shift_of_everybody_is_critical(lake: Lake) -> None:
    reference = reference_of(lake, portfolio(2_000, 0))
    overall = checks.check_scores(portfolio(2_000, 1, boost=3), reference, SUBJECTS, LIMITS)[0]
    assert overall.segment_name == "all"
    assert overall.severity is Severity.CRITICAL
    assert overall.value is not None
    assert overall.value > 0.15


def test_new_and_tiny_segments_are_not_judged(lake: Lake) -> None:
    reference = reference_of(lake, portfolio(2_000, 0))
    week = portfolio(2_000, 1).to_pandas()
    week.loc[:299, "sector"] = "space"
    week.loc[300:310, "sector"] = "sea"
    found = checks.check_scores(pa.Table.from_pandas(week), reference, SUBJECTS, LIMITS)
    by_name = {f.segment_name: f for f in found}
    assert by_name["sector=space"].state is State.NOT_ENOUGH_DATA
    assert "is new since training" in by_name["sector=space"].message
    assert by_name["sector=sea"].rows == 11


def test_features_rank_by_impact(lake: Lake) -> None:
    reference = reference_of(lake, portfolio(2_000, 0))
    week = portfolio(2_000, 1).to_pandas()
    week["logins_28d"] = week["logins_28d"] // 3
    week["is_annual"] = True
    table = pa.Table.from_pandas(week)
    params = LIMITS
    plain = checks.check_features(table, reference, SUBJECTS, params, {})
    assert plain[0].subject == "is_annual"
    assert plain[0].state is State.ALARM
    weighed = checks.check_features(table, reference, SUBJECTS, params, {"logins_28d": 3, "is_annual": 0.1})
    assert weighed[0].subject == "logins_28d"
    assert weighed[0].impact == pytest.approx(weighed[0].value * 3 / 3.1)
    assert {f.subject for f in weighed if f.state is State.OK} >= {"plan_tier", "sector"}


def test_weeks_before_are_the_other_side(lake: Lake) -> None:
    params = LIMITS
    weeks = [portfolio(2_000, seed) for seed in (1, 2, 3)]
    quiet = checks.check_scores_against(portfolio(2_000, 4), weeks, None, SUBJECTS, params)
    assert {f.state for f in quiet} == {State.OK}
    sudden = checks.check_scores_against(portfolio(2_000, 4, boost=3), weeks, None, SUBJECTS, params)
    assert sudden[0].state is State.ALARM
    first = checks.check_scores_against(portfolio(2_000, 4), [], None, SUBJECTS, params)
    assert [f.state for f in first] == [State.NOT_ENOUGH_DATA]


@pytest.mark.parametrize(
    ("rows", "state", "threshold"),
    [
        (12_999, State.ALARM, 13_000),
        (13_000, State.OK, 13_000),
        (16_000, State.OK, 13_000),
        (16_001, State.ALARM, 16_000),
    ],
)
def test_volume_bounds_are_inclusive(rows: int, state: State, threshold: int) -> None:
    finding = checks.check_volume(rows, SUBJECTS, LIMITS)
    assert (finding.state, finding.threshold) == (state, threshold)
    assert f"{rows:,} accounts scored" in finding.message


def sample(n: int, quality: float, rate: float = 0.05) -> LabelledSample:
    rng = np.random.default_rng(5)
    outcomes = rng.random(n) < rate
    scores = np.clip(rng.normal(0.3, 0.1, n) + quality * outcomes, 0, 1)
    return LabelledSample(AS_OF, np.arange(n).astype(str), scores, outcomes, "churn/1")


@pytest.mark.parametrize(
    ("given", "state", "severity", "words"),
    [
        (None, State.NOT_ENOUGH_DATA, None, "no score day has matured labels yet"),
        (sample(900, 0.4), State.NOT_ENOUGH_DATA, None, "900 labels"),
        (sample(5_000, 0.4, rate=0.005), State.NOT_ENOUGH_DATA, None, "5,000 labels with"),
        (sample(5_000, 0.4), State.OK, None, "AUC-PR 0.9"),
        (sample(5_000, 0.05), State.ALARM, Severity.CRITICAL, "limit 0.60"),
    ],
)
def test_performance(
    given: LabelledSample | None, state: State, severity: Severity | None, words: str
) -> None:
    finding = checks.check_performance(given, SUBJECTS, LIMITS)
    assert (finding.state, finding.severity) == (state, severity)
    assert words in finding.message


def test_performance_just_below_the_limit_is_a_warning() -> None:
    value = checks.check_performance(
        sample(1_500, 0.25), SUBJECTS, LIMITS.model_copy(update={"min_auc_pr": 0.01})
    ).value
    assert value is not None
    finding = checks.check_performance(
        sample(1_500, 0.25), SUBJECTS, LIMITS.model_copy(update={"min_auc_pr": value + 0.001})
    )
    assert finding.severity is Severity.WARNING


def test_storing_a_version_again_replaces_it(lake: Lake) -> None:
    reference_of(lake, portfolio(500, 0))
    again = reference_of(lake, portfolio(800, 1))
    assert sum(again.counts["score"][("all", "all")].counts) == 800
    assert load_reference(lake, "churn", "churn/2") is None


def test_rows_of_one_account_count_once_as_evidence(lake: Lake) -> None:
    stored = reference_of(lake, portfolio(300, 0, snapshots=4)).counts["score"][("all", "all")]
    assert (stored.counts.sum(), stored.subjects) == (1_200, 300)


def test_reference_takes_pandas_frames_as_training_has_them(lake: Lake) -> None:
    """Rows cut out of a larger frame: their index is no feature, and segments need not be features."""
    whole = portfolio(400, 0).to_pandas()
    part = whole.iloc[100:]
    store_reference(
        lake,
        "churn/1",
        Sample(part[["logins_28d", "plan_tier"]], SUBJECTS, scores=part[["account_key", "score", *SEGMENTS]]),
        usecase="churn",
        as_of=AS_OF,
    )
    found = load_reference(lake, "churn", "churn/1")
    assert found is not None
    assert sorted(found.features) == ["logins_28d", "plan_tier", "sector"]
    assert found.counts["logins_28d"][("all", "all")].subjects == 300
    with pytest.raises(DataContractError, match="the same rows, got 300 and 400"):
        store_reference(lake, "churn/1", Sample(whole, SUBJECTS, scores=part), usecase="churn", as_of=AS_OF)


def test_reference_needs_its_columns(lake: Lake) -> None:
    scores = portfolio(50, 0)
    sample = Sample(scores, SUBJECTS, scores=scores.drop_columns("sector"))
    with pytest.raises(DataContractError, match=r"missing \['sector'\]"):
        store_reference(lake, "churn/1", sample, usecase="churn", as_of=AS_OF)


def parts(n: int, seed: int, *, gain: float = 1.0, silent: float = 0.0) -> pa.Table:
    """Measurements of parts, of which a share is silent in ``pressure``."""
    rng = np.random.default_rng(seed)
    pressure = gain * rng.normal(50, 5, n)
    return pa.table(
        {
            "part": [f"{seed}-{i}" for i in range(n)],
            "pressure": pa.array(pressure, mask=rng.random(n) < silent),
            "tool": rng.choice(["a", "b"], n),
        }
    )


@pytest.mark.parametrize("counts_missing", [True, False])
def test_features_without_scores_are_watched(lake: Lake, counts_missing: bool) -> None:
    subjects = Subjects("part", "parts", counts_missing=counts_missing)
    limits = DriftParams()

    def found(rows: pa.Table) -> dict[str, Finding]:
        return {f.subject: f for f in checks.check_drift(lake, "line", "line/1", rows, subjects, limits)}

    (missing,) = found(parts(500, 1)).values()
    assert (missing.metric, missing.state) == ("feature_shift", State.NOT_ENOUGH_DATA)
    assert missing.message == "no reference bins of line/1: `millrace train line` stores them"

    store_reference(lake, "line/1", Sample(parts(600, 0), subjects), usecase="line", as_of=AS_OF)
    quiet = found(parts(500, 1))
    assert {name: f.state for name, f in quiet.items()} == {"pressure": State.OK, "tool": State.OK}
    moved = found(parts(500, 1, gain=1.2))["pressure"]
    assert (moved.state, moved.severity) == (State.ALARM, Severity.WARNING)
    assert moved.message.endswith("% of parts in another bin than in training")
    silent = found(parts(500, 1, silent=0.6))["pressure"]
    assert silent.state is (State.ALARM if counts_missing else State.OK)
    assert silent.rows == 500 if counts_missing else silent.rows < 300
    (few,) = found(parts(20, 1)).values()
    assert (few.state, few.rows) == (State.NOT_ENOUGH_DATA, 20)
    assert "features of 20 parts are too few to judge" in few.message


def test_a_feature_that_was_never_measured_is_not_judged(lake: Lake) -> None:
    subjects = Subjects("part", "parts", counts_missing=False)
    store_reference(lake, "line/1", Sample(parts(600, 0, silent=1.0), subjects), usecase="line", as_of=AS_OF)
    found = checks.check_drift(lake, "line", "line/1", parts(500, 1), subjects, DriftParams())
    assert [f.subject for f in found] == ["tool"]


def test_an_alarm_survives_its_trip_through_json() -> None:
    alarm = Alarm("churn", AS_OF, "auc_pr", Severity.CRITICAL, 0.5, 0.6, "all", "found", "means", "do")
    assert json.loads(json.dumps(alarm.as_dict())) == alarm.as_dict()
    assert alarm.as_dict() | {"as_of": alarm.as_of} == vars(alarm)


def test_alarm_finding_without_its_numbers_is_refused() -> None:
    with pytest.raises(ValueError, match="needs severity, value and threshold"):
        Finding("m", "s", State.ALARM, "words")
