"""Every run of a step is on record, whatever became of it."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import ConfigError, DataContractError
from pipelines.io.lake import Lake
from pipelines.io.runs import STEP_RUNS, recording
from pipelines.settings import Settings
from pipelines.steps import parse_as_of, run_step

DAY = date(2025, 6, 2)


def rows(settings: Settings) -> list[dict[str, Any]]:
    return Lake.of(settings).read(STEP_RUNS).to_pylist()


def test_a_step_that_ends_well_leaves_its_record(tmp_path: Path) -> None:
    settings = Settings(var=tmp_path)
    with recording(settings, "churn", "score", DAY) as done:
        done({"scored": 3, "as_of": DAY})
    [row] = rows(settings)
    assert (row["usecase"], row["step"], row["as_of"], row["outcome"]) == ("churn", "score", DAY, "ok")
    assert json.loads(row["record_json"]) == {"scored": 3, "as_of": "2025-06-02"}
    assert row["dag_run"] is None
    assert row["seconds"] >= 0


def test_a_step_that_fails_leaves_the_error_in_words_and_fails(tmp_path: Path) -> None:
    settings = Settings(var=tmp_path)
    with (
        pytest.raises(DataContractError, match="no rows"),
        recording(settings, "churn", "score", DAY),
    ):
        raise DataContractError("no rows for the day")
    [row] = rows(settings)
    assert (row["outcome"], row["record_json"]) == ("failed", "DataContractError: no rows for the day")


def test_a_run_in_airflow_names_its_dag_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CTX_DAG_ID", "churn_score")
    settings = Settings(var=tmp_path)
    with recording(settings, "churn", "score", DAY) as done:
        done({})
    monkeypatch.setenv("AIRFLOW_CTX_DAG_RUN_ID", "manual__1")
    with recording(settings, "churn", "monitor", DAY) as done:
        done({})
    assert {row["step"]: row["dag_run"] for row in rows(settings)} == {
        "score": None,
        "monitor": "churn_score/manual__1",
    }


def test_steps_of_the_use_cases_are_on_record(tmp_path: Path) -> None:
    """Through the door that commands and DAGs use."""
    settings = Settings(var=tmp_path)
    with pytest.raises(DataContractError, match="churn_scores has no rows"):
        run_step("churn", "publish", "2025-06-02", settings=settings)
    [row] = rows(settings)
    assert (row["step"], row["as_of"], row["outcome"]) == ("publish", DAY, "failed")


@pytest.mark.parametrize("text", ["02/06/2025", "2025-13-01", "", "today"])
def test_a_day_is_a_day(text: str) -> None:
    assert parse_as_of("2025-06-02") == parse_as_of(DAY) == DAY
    with pytest.raises(ConfigError, match="as_of must be a day as YYYY-MM-DD, got"):
        parse_as_of(text)
