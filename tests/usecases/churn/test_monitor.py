"""A scored day, held against the reference and against what became of earlier scores."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pyarrow.dataset as pa_dataset
import pytest
from sklearn.metrics import average_precision_score

from pipelines.monitoring.schemas import MONITORING
from pipelines.monitoring.stored import read_findings
from pipelines.steps import monitor
from pipelines.usecases.churn import USECASE
from pipelines.usecases.churn.schemas import SCORES

if TYPE_CHECKING:
    from tests.conftest import Deployment


def test_performance_is_measured_once_the_labels_of_an_old_monday_are_known(
    working_copy: Deployment,
) -> None:
    day, lake = working_copy.scored_on, working_copy.lake
    record = monitor.run(USECASE, day, settings=working_copy.settings, params=working_copy.params())
    assert record["model_version"] == "churn/1"
    field = pa_dataset.field
    [found] = lake.read(MONITORING, where=(field("as_of") == day) & (field("metric") == "auc_pr")).to_pylist()
    scored = field("as_of") == working_copy.trained_on
    scores = lake.read(SCORES, columns=["account_key", "score"], where=scored)
    labels = lake.read("features/churn_labels", columns=["account_key", "churned"], where=scored)
    both = scores.join(labels, "account_key", join_type="inner")
    assert both.num_rows == scores.num_rows == found["rows"]
    expected = average_precision_score(both["churned"].to_numpy(), both["score"].to_numpy())
    assert found["value"] == pytest.approx(expected, abs=1e-9)
    assert found["state"] in ("ok", "alarm")


def test_alarms_are_told_and_can_be_told_again(working_copy: Deployment) -> None:
    params = working_copy.params(monitoring__min_predictions=890, monitoring__min_auc_pr=0.999)
    day = working_copy.scored_on
    record = monitor.run(USECASE, day, settings=working_copy.settings, params=params)
    alarms = {alarm["name"]: alarm for alarm in record["alarms"]}
    assert {"predictions", "auc_pr"} <= set(alarms)
    assert alarms["predictions"]["severity"] == "critical"
    assert "expected 890 to 900" in alarms["predictions"]["finding"]
    assert all(alarm["first_step"] and alarm["meaning"] for alarm in record["alarms"])
    assert record["findings"]["alarm"] >= 2
    assert [
        alarm.as_dict() for alarm in USECASE.word_alarms(day, read_findings(working_copy.lake, "churn", day))
    ] == record["alarms"]


def test_a_repeated_run_replaces_the_findings_of_its_day_only(working_copy: Deployment) -> None:
    params, settings, lake = working_copy.params(), working_copy.settings, working_copy.lake
    earlier = monitor.run(USECASE, working_copy.trained_on, settings=settings, params=params)
    first = monitor.run(USECASE, working_copy.scored_on, settings=settings, params=params)
    count = sum(earlier["findings"].values()) + sum(first["findings"].values())
    assert lake.read(MONITORING).num_rows == count
    assert monitor.run(USECASE, working_copy.scored_on, settings=settings, params=params) == first
    assert lake.read(MONITORING).num_rows == count


def test_a_day_without_scores_raises_the_volume_alarm(working_copy: Deployment) -> None:
    record = monitor.run(
        USECASE, date(2025, 6, 30), settings=working_copy.settings, params=working_copy.params()
    )
    assert record["model_version"] is None
    assert "predictions" in [alarm["name"] for alarm in record["alarms"]]
