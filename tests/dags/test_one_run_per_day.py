"""Days that wait together are completed one by one, by Airflow's own scheduler."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipelines.lab.local import airflow_environment
from pipelines.settings import Settings

DRIVER = Path(__file__).with_name("announce_days.py")
URI = "millrace://lake/raw/landed"
#: Out of order, and one of them twice.
WAITING = ("2026-03-03", "2026-03-05", "2026-03-04", "2026-03-03", "2026-03-06")
DAGS = f"""
from pathlib import Path

from airflow.sdk import Asset, dag, task

from pipelines.orchestration.defaults import AS_OF, dag_kwargs, each_day_of
from pipelines.orchestration.steps import announce_task

LANDED = Asset(name="landed", uri="{URI}")


@dag(dag_id="lands", schedule=None, **dag_kwargs())
def lands():
    announce_task(LANDED)


@dag(dag_id="completes", schedule=each_day_of(LANDED), **dag_kwargs())
def completes():
    @task
    def complete(as_of):
        with Path(__file__).with_name("completed").open("a") as days:
            days.write(as_of + "\\n")

    complete(AS_OF)


lands()
completes()
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], list[dict[str, Any]]]:
    """Days in the order in which they were completed, and all runs."""
    var = tmp_path_factory.mktemp("days")
    dags = var / "dags"
    dags.mkdir()
    (dags / "both.py").write_text(DAGS)
    environment = {
        **airflow_environment(Settings(var=var)),
        "AIRFLOW_HOME": str(var / "airflow"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{var / 'airflow' / 'airflow.db'}",
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    }
    run(environment, "-m", "airflow", "db", "migrate")
    printed = run(environment, str(DRIVER), str(dags), URI, *WAITING)
    return (dags / "completed").read_text().split(), json.loads(printed.strip().splitlines()[-1])


def run(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout


def test_every_day_that_waited_is_completed_once_in_the_order_of_arrival(seen) -> None:
    completed, _ = seen
    assert completed[:4] == ["2026-03-03", "2026-03-05", "2026-03-04", "2026-03-06"]


def test_a_day_announced_again_a_day_of_a_dag_and_a_day_by_hand_are_completed(seen) -> None:
    completed, _ = seen
    assert sorted(completed[4:]) == ["2026-02-02", "2026-03-03", "2026-04-01"]


def test_nothing_failed_and_one_run_went_at_a_time(seen) -> None:
    _, runs = seen
    assert {run["state"] for run in runs} == {"success"}
    days = [run["partition"] for run in runs if run["dag_id"] == "completes"]
    assert len(days) == 7
    assert days.count(None) == 1, "the run by hand has its day from its parameter"
