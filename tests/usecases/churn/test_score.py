"""Every account in scope gets a score, a level, three reasons and an action; the others a reason why not."""

from __future__ import annotations

import csv
import json
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pa_dataset
import pytest

from pipelines.errors import ConfigError, DataContractError, ModelGateError
from pipelines.io.marts import mart_contract
from pipelines.io.registry import CHAMPION, Registry
from pipelines.steps import score
from pipelines.usecases.churn import USECASE, scoring
from pipelines.usecases.churn.params import RiskLevelParams
from pipelines.usecases.churn.schemas import CONTRIBUTIONS, OUT_OF_SCOPE, SCORES

if TYPE_CHECKING:
    from tests.conftest import Deployment


def of_day(deployment: Deployment, table: Any, day: date | None = None) -> pa.Table:
    where = pa_dataset.field("as_of") == (day or deployment.scored_on)
    return deployment.lake.read(table, where=where)


def test_every_account_in_scope_is_scored_and_every_other_one_listed(deployed: Deployment) -> None:
    features = of_day(deployed, "features/churn").to_pylist()
    inside = {row["account_key"] for row in features if row["in_scope"]}
    outside = {row["account_key"]: row["scope_reason"] for row in features if not row["in_scope"]}
    assert {row["account_key"] for row in of_day(deployed, SCORES).to_pylist()} == inside
    listed = {row["account_key"]: row["scope_reason"] for row in of_day(deployed, OUT_OF_SCOPE).to_pylist()}
    assert listed == outside
    assert {"trial", "churned", "lapsed"} <= set(listed.values())
    record = deployed.records["score", deployed.scored_on]
    assert (record["scored"], record["out_of_scope"]) == (len(inside), len(outside))


def test_ranks_and_levels_follow_from_the_score(deployed: Deployment) -> None:
    rows = of_day(deployed, SCORES).sort_by("rank").to_pylist()
    assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
    assert [(-row["score"], row["account_key"]) for row in rows] == sorted(
        (-row["score"], row["account_key"]) for row in rows
    )
    bounds = deployed.params().risk_levels
    for row in rows:
        level = "low"
        for name in ("medium", "high", "critical"):
            level = name if row["score"] >= getattr(bounds, name) else level
        assert row["risk_level"] == level
    levels = [row["risk_level"] for row in rows]
    counted = {level: levels.count(level) for level in set(levels)}
    assert counted == deployed.records["score", deployed.scored_on]["levels"]
    assert len(counted) >= 3, "the company must have something to tell apart"


def test_a_bound_belongs_to_the_level_above_it() -> None:
    bounds = RiskLevelParams(medium=0.05, high=0.2, critical=0.65)
    given = np.array([0.0, 0.0499, 0.05, 0.2, 0.6499, 0.65, 1.0])
    assert scoring.risk_levels(given, bounds).tolist() == [
        "low", "low", "medium", "high", "high", "critical", "critical",
    ]  # fmt: skip


def test_every_row_has_three_different_reasons_from_three_themes_and_the_facts_behind(
    deployed: Deployment,
) -> None:
    for row in of_day(deployed, SCORES).to_pylist():
        reasons = [row["reason_1"], row["reason_2"], row["reason_3"]]
        assert all(reason.strip() for reason in reasons)
        assert len(set(reasons)) == 3, reasons
        facts = json.loads(row["reasons_json"])
        assert len(facts) == 3
        assert len({fact["feature"] for fact in facts}) == 3


def test_the_action_is_the_one_that_customer_success_wrote(deployed: Deployment) -> None:
    path = deployed.settings.dbt_project / "seeds" / "churn_action_guide.csv"
    with path.open(newline="") as file:
        guide = {row["risk_level"]: row["text"] for row in csv.DictReader(file)}
    for row in of_day(deployed, SCORES).to_pylist():
        assert row["action"].endswith(guide[row["risk_level"]])


def test_an_action_guide_without_a_level_is_refused(deployed: Deployment, tmp_path: Path) -> None:
    seeds = tmp_path / "dbt_project" / "seeds"
    seeds.mkdir(parents=True)
    (seeds / "churn_action_guide.csv").write_text("risk_level,title,text\nlow,No action,Nothing.\n")
    settings = deployed.settings.model_copy(update={"home": tmp_path})
    with pytest.raises(ConfigError, match=r"every risk level, missing: \['medium', 'high', 'critical'\]"):
        scoring._action_guide(settings)


def test_contributions_of_the_sample_belong_to_scored_accounts(deployed: Deployment) -> None:
    rows = of_day(deployed, CONTRIBUTIONS).to_pylist()
    scored = {row["account_key"] for row in of_day(deployed, SCORES).to_pylist()}
    assert {row["account_key"] for row in rows} == scored, "fewer accounts than the sample may have"
    assert all(np.isfinite(row["contribution"]) for row in rows)
    assert any(row["value"] is None for row in rows)


def test_a_day_without_features_is_refused_with_the_command_that_makes_them(deployed: Deployment) -> None:
    with pytest.raises(DataContractError, match=r"has no rows for 2025-06-30.*millrace score churn --as-of"):
        score.run(USECASE, date(2025, 6, 30), settings=deployed.settings, params=deployed.params())


def test_a_volume_that_jumped_is_not_committed(working_copy: Deployment) -> None:
    """The earlier scores of the day and of the other days stay."""
    before = of_day(working_copy, SCORES)
    params = working_copy.params(max_volume_change=0.01)
    with pytest.raises(
        DataContractError, match=r"rows differ from the \d+ of the last scored day"
    ) as failure:
        score.run(USECASE, working_copy.scored_on, settings=working_copy.settings, params=params)
    assert "the previous version stays" in str(failure.value)
    assert of_day(working_copy, SCORES).equals(before)


def test_a_day_with_nobody_in_scope_is_not_committed(working_copy: Deployment) -> None:
    lake, day = working_copy.lake, working_copy.scored_on
    features, before = of_day(working_copy, "features/churn"), of_day(working_copy, SCORES)
    frame = features.to_pandas().assign(in_scope=False, scope_reason="trial")
    nobody = pa.Table.from_pandas(frame, features.schema, preserve_index=False)
    mart = mart_contract(working_copy.settings.dbt_project, "ml", "ml_churn_features")
    lake.replace_partitions(mart.table, nobody, "as_of", [day])
    with pytest.raises(DataContractError, match="no account is in scope: look at the freshness"):
        score.run(USECASE, day, settings=working_copy.settings, params=working_copy.params())
    assert of_day(working_copy, SCORES).equals(before)


def test_without_a_champion_nobody_is_scored_and_the_error_says_what_to_do(working_copy: Deployment) -> None:
    registry = Registry(working_copy.settings, "churn")
    registry.client.delete_registered_model_alias("churn", CHAMPION)
    with pytest.raises(ModelGateError, match="carries the alias 'champion': run `millrace train churn`"):
        score.run(
            USECASE, working_copy.scored_on, settings=working_copy.settings, params=working_copy.params()
        )
    looked = score.run(
        USECASE,
        working_copy.scored_on,
        settings=working_copy.settings,
        params=working_copy.params(),
        alias="challenger",
    )
    assert looked["scored"] == working_copy.records["score", working_copy.scored_on]["scored"]
