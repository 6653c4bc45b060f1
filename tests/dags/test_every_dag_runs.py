"""Every DAG, run for real: the demos on small data, by Airflow's scheduler, with the twins of the users' systems."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipelines.discovery import find
from pipelines.io.lake import Lake
from pipelines.io.runs import STEP_RUNS
from pipelines.lab.demo import demos
from pipelines.lab.demo.demand import FORECAST_ON
from pipelines.lab.demo.imputation import ARRIVED_ON, COMPLETED_ON
from pipelines.lab.local import LocalStack, Ports
from pipelines.settings import Settings
from pipelines.steps import Step
from pipelines.steps.report import overview

DRIVER = Path(__file__).with_name("run_demos.py")


@dataclass(frozen=True)
class Rehearsal:
    """What the demos left behind.

    Attributes
    ----------
    runs
        All DAG runs in the order in which they were made.
    checks
        What was found equal in the lake and in the users' systems, by use case.
    """

    settings: Settings
    runs: list[dict[str, Any]]
    checks: dict[str, list[str]]

    def records(self, usecase: str, step: Step, day: object) -> list[dict[str, Any]]:
        """What a step returned for a day, in the order of its runs."""
        rows = Lake.of(self.settings).read(STEP_RUNS).sort_by("started_at").to_pylist()
        wanted = (usecase, step, day, "ok")
        return [
            json.loads(row["record_json"])
            for row in rows
            if (row["usecase"], row["step"], row["as_of"], row["outcome"]) == wanted
        ]


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    settings = Settings(var=tmp_path_factory.mktemp("rehearsal"))
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
            patch.delenv(name)
        patch.setenv("MILLRACE_VAR", str(settings.var))
        patch.setenv("AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION", "False")
        for demo in demos():
            patch.setenv(f"MILLRACE_{demo.usecase.upper()}_PARAMS", json.dumps(dict(demo.small.overrides)))
        with LocalStack(settings, Ports.free()) as stack:
            stack.migrate_airflow()
            stack.start_emulator()
            stack.start_dynamodb()
            done = subprocess.run(
                [sys.executable, str(DRIVER), json.dumps(vars(stack.ports))],
                env=stack.environment,
                capture_output=True,
                text=True,
                check=False,
            )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    return Rehearsal(settings, **json.loads(done.stdout.strip().splitlines()[-1]))


def test_the_dags_that_ran_are_all_dags(rehearsal: Rehearsal, airflow_home: Path) -> None:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=Path(rehearsal.settings.home) / "dags")
    assert {run["dag_id"] for run in rehearsal.runs} == set(bag.dags)
    for run in rehearsal.runs:
        assert set(run["tasks"]) == set(bag.dags[run["dag_id"]].task_ids), run


def test_every_run_and_every_task_succeeded(rehearsal: Rehearsal) -> None:
    for run in rehearsal.runs:
        assert run["state"] == "success", run
        assert set(run["tasks"].values()) == {"success"}, run


def test_the_users_systems_hold_what_the_lake_says(rehearsal: Rehearsal) -> None:
    assert set(rehearsal.checks) == {demo.usecase for demo in demos()}
    assert all(rehearsal.checks.values())


def test_a_dag_that_waits_for_an_asset_ran_once_per_day_of_it(rehearsal: Rehearsal) -> None:
    runs = [run for run in rehearsal.runs if run["dag_id"] == "imputation_complete"]
    assert sorted(run["partition"] for run in runs) == [str(ARRIVED_ON), str(COMPLETED_ON)]
    triggered = [run["dag_id"] for run in rehearsal.runs if run["partition"]]
    assert {"churn_publish", "store_clustering"} <= set(triggered)


@pytest.mark.parametrize("demo", demos(), ids=lambda demo: str(demo.usecase))
def test_no_landed_day_is_lost(rehearsal: Rehearsal, demo: Any) -> None:
    found = overview(find(demo.usecase), Lake.of(rehearsal.settings), demo.until).hand_overs
    assert found
    assert {one.upstream: one.lost for one in found} == {one.upstream: () for one in found}


def test_a_night_on_spark_forecasts_what_the_local_engine_does(rehearsal: Rehearsal) -> None:
    """The same bytes: models of single series are the same functions, and their rows are put in order."""
    local, spark = rehearsal.records("demand", Step.SCORE, FORECAST_ON[-1])
    assert (rehearsal.settings.var / "spark").is_dir(), "where Spark runs"
    assert spark["content_hash"] == local["content_hash"]
    first, again = rehearsal.records("demand", Step.PUBLISH, FORECAST_ON[-1])
    assert (first["noop"], again["noop"]) == (False, True), "the version is out already"
