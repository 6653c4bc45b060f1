"""Every DAG, run for real on a small company: Airflow's task runner, dbt, MLflow and an emulated org."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.dataset as pa_dataset
import pytest

from pipelines.io.promotions import read_promotions
from pipelines.io.runs import STEP_RUNS
from pipelines.lab.emulator import Emulator
from pipelines.lab.local import airflow_environment
from pipelines.usecases.churn.schemas import SCORES

if TYPE_CHECKING:
    from tests.conftest import Deployment

DRIVER = Path(__file__).with_name("run_dags.py")
NO_SCORES = "2025-06-30"

#: A record goes through Airflow's database: ids, counts and short words only.
MAX_RECORD_BYTES = 8_000

Runs = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def org() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture(scope="module")
def runs(module_copy: Deployment, org: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """The four DAGs in the order of a week, and one for a day that has no scores; by DAG or `failing`."""
    home = tmp_path_factory.mktemp("airflow_of_runs")
    accounts = module_copy.lake.read("raw/churn_accounts", columns=["account_id", "account_name"])
    names = {row["account_id"]: row["account_name"] for row in accounts.to_pylist()}
    org.seed_accounts({"Millrace_Account_Id__c": key, "Name": name} for key, name in names.items())
    environment = {
        **airflow_environment(module_copy.settings),
        **module_copy.environment,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "MILLRACE_SALESFORCE__USERNAME": org.credentials.username,
        "MILLRACE_SALESFORCE__PASSWORD": org.credentials.password,
        "MILLRACE_SALESFORCE__SECURITY_TOKEN": org.credentials.security_token,
        "MILLRACE_SALESFORCE__INSTANCE": org.instance,
        "MILLRACE_SALESFORCE__CA_BUNDLE": str(org.ca_bundle),
    }
    trained_on, scored_on = str(module_copy.trained_on), str(module_copy.scored_on)
    wanted = [
        ["churn_train", trained_on],
        ["churn_features", scored_on],
        ["churn_score", scored_on],
        ["churn_publish", scored_on],
        ["churn_publish", NO_SCORES],
    ]
    run(environment, "-m", "airflow", "db", "migrate")
    printed = run(environment, str(DRIVER), json.dumps(wanted))
    done = json.loads(printed.strip().splitlines()[-1])
    assert [each["dag_id"] for each in done] == [dag_id for dag_id, _ in wanted]
    return {**{each["dag_id"]: each for each in done[:-1]}, "failing": done[-1]}


def run(environment: dict[str, str], *arguments: str) -> str:
    """Run Python; what it printed, if it fails."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout


@pytest.mark.parametrize(
    ("dag_id", "tasks"),
    [
        ("churn_features", {"prepare"}),
        ("churn_train", {"prepare", "train", "gate"}),
        ("churn_score", {"prepare", "score", "monitor"}),
        ("churn_publish", {"publish", "report"}),
    ],
)
def test_a_dag_runs_through(runs: Runs, dag_id: str, tasks: set[str]) -> None:
    assert runs[dag_id]["state"] == "success"
    assert {name: task["state"] for name, task in runs[dag_id]["tasks"].items()} == dict.fromkeys(
        tasks, "success"
    )


@pytest.mark.parametrize("name", ["churn_features", "churn_train", "churn_score", "churn_publish"])
def test_every_task_returns_a_small_record(runs: Runs, name: str) -> None:
    for task_id, task in runs[name]["tasks"].items():
        assert isinstance(task["returned"], dict | str), f"{name}.{task_id} returns a record"
        assert len(json.dumps(task["returned"])) < MAX_RECORD_BYTES, f"{name}.{task_id}"


def returned(runs: Runs, dag_id: str, task_id: str) -> dict[str, Any]:
    value = runs[dag_id]["tasks"][task_id]["returned"]
    return dict(json.loads(value) if isinstance(value, str) else value)


def test_training_again_in_airflow_finds_its_own_version(runs: Runs, module_copy: Deployment) -> None:
    """Another process prepared the same snapshots: same data, same parameters, same code."""
    assert returned(runs, "churn_train", "train")["reused"]
    assert returned(runs, "churn_train", "gate")["decided_before"]
    assert len(read_promotions(module_copy.lake, "churn")) == 1


def test_scores_made_in_airflow_are_the_scores_made_by_hand(runs: Runs, deployed: Deployment) -> None:
    by_hand = deployed.records["score", deployed.scored_on]
    assert returned(runs, "churn_score", "score")["content_hash"] == by_hand["content_hash"]
    prepared = deployed.records["prepare", deployed.scored_on]
    assert returned(runs, "churn_features", "prepare")["features_hash"] == prepared["features_hash"]
    assert returned(runs, "churn_score", "prepare")["published"] is False, "features were there"


def test_salesforce_holds_the_accounts_in_scope(runs: Runs, module_copy: Deployment, org: Emulator) -> None:
    where = pa_dataset.field("as_of") == module_copy.scored_on
    keys = set(module_copy.lake.read(SCORES, where=where)["account_key"].to_pylist())
    accounts = module_copy.lake.read("raw/churn_accounts", columns=["account_id", "account_key"])
    wanted = {row["account_id"] for row in accounts.to_pylist() if row["account_key"] in keys}
    assert returned(runs, "churn_publish", "publish")["ok"] == len(wanted)
    assert {record["External_Id__c"] for record in org.records("Churn_Score__c")} == wanted


def test_the_pages_are_written_where_the_record_says(runs: Runs, module_copy: Deployment) -> None:
    record = returned(runs, "churn_publish", "report")
    assert Path(record["page"]).is_relative_to(module_copy.settings.var)
    assert "ledger" not in record["missing"]


def test_step_runs_name_the_dag_run(runs: Runs, module_copy: Deployment) -> None:
    rows = module_copy.lake.read(STEP_RUNS).to_pylist()
    named = {row["dag_run"] for row in rows if row["dag_run"]}
    assert named == {f"{each['dag_id']}/{each['run_id']}" for each in runs.values()}


def test_an_error_of_ours_is_not_tried_again(runs: Runs, module_copy: Deployment) -> None:
    """The same input fails the same way; the report says so all the same."""
    failing = runs["failing"]
    assert failing["state"] == "failed"
    assert (failing["tasks"]["publish"]["state"], failing["tasks"]["publish"]["tries"]) == ("failed", 1)
    assert failing["tasks"]["report"]["state"] == "success"
    page = Path(returned({"failing": failing}, "failing", "report")["page"])
    assert f"There are no scores of {NO_SCORES}." in page.read_text()
    rows = module_copy.lake.read(STEP_RUNS).to_pylist()
    tried = [row for row in rows if row["step"] == "publish" and str(row["as_of"]) == NO_SCORES]
    assert [row["outcome"] for row in tried] == ["failed"]
    assert tried[0]["record_json"].startswith("DataContractError: ")
