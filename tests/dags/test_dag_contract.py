"""What every DAG must satisfy. Parametrised over the DAG files, so that a failure names the DAG."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.usecases import names

ROOT = Path(__file__).resolve().parents[2]
DAG_FILES = sorted((ROOT / "dags").glob("*.py"))
DAG_IDS = [path.stem for path in DAG_FILES]
USERS = "Europe/Paris"
MAX_LINES = 60
HEAVY = (
    "pandas",
    "numpy",
    "sklearn",
    "lightgbm",
    "mlflow",
    "dbt",
    "duckdb",
    "pyarrow",
    "deltalake",
    "polars",
    "boto3",
    "prophet",
    "pyspark",
    "statsforecast",
)


@pytest.fixture(scope="module")
def bag(airflow_home: Path) -> object:
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(dag_folder=ROOT / "dags")


def test_bag_is_the_one_we_ship(bag) -> None:
    assert bag.import_errors == {}
    assert set(bag.dags) == set(DAG_IDS), "file name == dag_id"
    assert {"churn_score", "demand_forecast"} <= set(DAG_IDS), "an empty or mis-pointed bag must fail here"


def test_the_readme_lists_every_dag(bag) -> None:
    readme = (ROOT / "README.md").read_text()
    assert not [dag_id for dag_id in bag.dags if f"| `{dag_id}` |" not in readme]


def test_assets_are_tables_and_models_of_use_cases(bag) -> None:
    """A name that no declaration knows would wait for ever."""
    from pipelines.discovery import every
    from pipelines.io.marts import mart_contract
    from pipelines.settings import Settings

    project = Settings.load().dbt_project
    known = set()
    for usecase in every():
        tables = [*usecase.tables, *usecase.raw_tables]
        tables += [mart_contract(project, "ml", mart.model).table for mart in usecase.marts]
        known |= {f"millrace://lake/{table.name}" for table in tables} | {
            f"millrace://registry/{usecase.name}"
        }
    assets = {
        asset.uri
        for dag in bag.dags.values()
        for task in dag.tasks
        for asset in (*task.inlets, *task.outlets)
    }
    assert assets
    assert assets <= known


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_dag_policy(bag, dag_id: str) -> None:
    dag = bag.dags[dag_id]
    assert dag.doc_md, f"{dag_id}: doc_md is required"
    [usecase] = [tag.removeprefix("usecase:") for tag in dag.tags if tag.startswith("usecase:")]
    assert usecase in names(), f"{dag_id}: there is no use case {usecase}"
    runbook = f"docs/{usecase}.md"
    assert runbook in dag.doc_md, f"{dag_id}: the documentation names its runbook"
    assert (ROOT / runbook).exists(), f"{dag_id}: its runbook {runbook} exists"
    assert not dag.catchup, f"{dag_id}: catchup must be False"
    assert dag.max_active_runs == 1, f"{dag_id}: max_active_runs must be 1"
    assert dag.has_on_failure_callback, f"{dag_id}: a failure must be told to someone"
    assert dag.params.get_param("as_of").schema["format"] == "date"
    for prefix in ("stage:", "impact:"):
        assert [t for t in dag.tags if t.startswith(prefix)], f"{dag_id}: missing a {prefix}* tag"
    for task in dag.tasks:
        assert task.retries >= 1, f"{dag_id}.{task.task_id}: retries must be >= 1"
        assert task.execution_timeout is not None, f"{dag_id}.{task.task_id}: execution_timeout is required"


@pytest.mark.parametrize("month", [1, 7], ids=["winter", "summer"])
def test_the_day_of_a_run_is_the_users_day(bag, month: int) -> None:
    """Airflow's ``ds`` is the day in UTC: a run soon after midnight in summer would be about yesterday."""
    import pendulum
    from airflow.timetables.base import TimeRestriction

    clocks = {dag_id: trigger_of(dag) for dag_id, dag in bag.dags.items() if has_clock(dag)}
    assert len(clocks) > 5
    for dag_id, timetable in clocks.items():
        start = pendulum.datetime(2026, month, 8, tz=USERS)
        info = timetable.next_dagrun_info(
            last_automated_data_interval=None, restriction=TimeRestriction(start, None, catchup=True)
        )
        assert info.run_after.in_timezone("UTC").date() == info.run_after.in_timezone(USERS).date(), dag_id


def has_clock(dag) -> bool:
    from airflow.sdk import CronTriggerTimetable

    return isinstance(dag.timetable, CronTriggerTimetable)


def trigger_of(dag):
    """Timetable of a DAG as the scheduler knows it."""
    from airflow.timetables.trigger import CronTriggerTimetable

    assert str(dag.timetable.timezone) == USERS, f"{dag.dag_id}: schedules are in the users' time zone"
    return CronTriggerTimetable(dag.timetable.expression, timezone=USERS)


def test_a_dag_without_a_clock_runs_once_per_day_of_its_asset(bag) -> None:
    """Without partitions Airflow forgets days that wait together: see test_one_run_per_day.py."""
    from airflow.sdk import Asset, PartitionedAssetTimetable

    waiting = {dag_id: dag.timetable for dag_id, dag in bag.dags.items() if not has_clock(dag)}
    assert waiting
    for dag_id, timetable in waiting.items():
        assert isinstance(timetable, PartitionedAssetTimetable), dag_id
        assert isinstance(timetable.asset_condition, Asset), "of two assets, both days would have to match"
        makers = [
            task
            for dag in bag.dags.values()
            for task in dag.tasks
            if timetable.asset_condition in task.outlets
        ]
        assert makers, f"nothing updates {timetable.asset_condition.uri}"


def test_late_forecasts_are_told_before_the_order_system_opens(bag) -> None:
    from datetime import timedelta

    (alert,) = bag.dags["demand_forecast"].deadline
    assert alert.interval == timedelta(hours=2), "04:00 and two hours: 06:00"
    assert alert.callback.path == "pipelines.orchestration.notifications.notify_deadline"
    assert "order system" in alert.callback.kwargs["for_whom"]


def test_training_runs_on_first_mondays_only(bag) -> None:
    import pendulum
    from airflow.timetables.base import TimeRestriction

    timetable = trigger_of(bag.dags["churn_train"])
    start = pendulum.datetime(2026, 1, 1, tz=USERS)
    runs, last = [], None
    for _ in range(12):
        info = timetable.next_dagrun_info(
            last_automated_data_interval=last, restriction=TimeRestriction(start, None, catchup=True)
        )
        runs.append(info.run_after.in_timezone(USERS))
        last = info.data_interval
    assert [(run.month, run.weekday(), run.day <= 7) for run in runs] == [(m, 0, True) for m in range(1, 13)]


def test_schedules_can_be_switched_off(airflow_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines.orchestration.defaults import schedule

    assert schedule("0 5 * * 1") is not None
    monkeypatch.setenv("MILLRACE_SCHEDULES", "off")
    assert schedule("0 5 * * 1") is None


@pytest.mark.parametrize("path", DAG_FILES, ids=lambda p: p.name)
def test_dag_file_is_thin(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES, f"{path.name}: move logic to pipelines/"


@pytest.mark.parametrize("path", DAG_FILES, ids=lambda p: p.name)
def test_dag_parse_imports_nothing_heavy(path: Path, airflow_home: Path) -> None:
    code = (
        f"import runpy, sys; runpy.run_path({str(path)!r}); print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert out.stdout.strip().splitlines()[-1] == "[]", (
        f"{path.name} imports {out.stdout.strip()} while parsing"
    )


@pytest.mark.parametrize(
    ("params", "partition", "logical_date", "expected"),
    [
        ({"as_of": "2025-02-03"}, "2025-03-03", "2025-04-07", "2025-02-03"),
        ({"as_of": None}, "2025-03-10", None, "2025-03-10"),
        ({"as_of": None}, None, "2025-04-07", "2025-04-07"),
        ({"as_of": None}, None, None, "2025-05-05"),
    ],
    ids=["parameter wins", "partition of the asset", "schedule", "run_after"],
)
def test_as_of_of_a_run(params, partition, logical_date, expected: str, airflow_home: Path) -> None:
    import pendulum
    from airflow.sdk.definitions._internal.templater import SandboxedEnvironment

    from pipelines.orchestration.defaults import AS_OF

    class Run:
        pass

    run = Run()
    run.partition_key = partition
    run.logical_date = pendulum.parse(logical_date) if logical_date else None
    run.run_after = pendulum.datetime(2025, 5, 5)
    assert SandboxedEnvironment().from_string(AS_OF).render(params=params, dag_run=run) == expected
