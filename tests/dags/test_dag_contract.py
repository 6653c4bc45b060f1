"""What every DAG must satisfy. Parametrised over the DAG files, so that a failure names the DAG."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DAG_FILES = sorted((ROOT / "dags").glob("*.py"))
EXPECTED = {
    "churn_features",
    "churn_train",
    "churn_score",
    "churn_publish",
    "demand_forecast",
    "demand_backtest",
    "store_features",
    "store_clustering",
    "imputation_train",
    "imputation_daily",
    "imputation_complete",
    "repurchase_features",
    "repurchase_train",
    "repurchase_score",
}
#: Runbooks of DAGs that are not called after their use case.
RUNBOOKS = {"store_features": "docs/clustering.md", "store_clustering": "docs/clustering.md"}
SCHEDULES = {
    "churn_features": ("0 5 * * 1", "Europe/Paris"),
    "churn_train": ("0 2 * * MON#1", "Europe/Paris"),
    "churn_score": ("0 6 * * 1", "Europe/Paris"),
    "demand_forecast": ("0 4 * * *", "Europe/Paris"),
    "demand_backtest": ("0 2 * * 0", "Europe/Paris"),
    "store_features": ("30 5 1 * *", "Europe/Paris"),
    "imputation_train": ("0 3 * * 1", "Europe/Paris"),
    "imputation_daily": ("0 5 * * *", "Europe/Paris"),
    "repurchase_features": ("0 3 * * *", "Europe/Paris"),
    "repurchase_train": ("30 2 * * SUN#1", "Europe/Paris"),
    "repurchase_score": ("0 5 * * *", "Europe/Paris"),
}
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
    assert set(bag.dags) == EXPECTED  # an empty or mis-pointed bag must fail here


@pytest.mark.parametrize("dag_id", sorted(EXPECTED))
def test_dag_policy(bag, dag_id: str) -> None:
    dag = bag.dags[dag_id]
    assert dag.doc_md, f"{dag_id}: doc_md is required"
    runbook = RUNBOOKS.get(dag_id, f"docs/{dag_id.partition('_')[0]}.md")
    assert runbook in dag.doc_md, f"{dag_id}: the documentation names its runbook"
    assert (ROOT / runbook).exists(), f"{dag_id}: its runbook {runbook} exists"
    assert not dag.catchup, f"{dag_id}: catchup must be False"
    assert dag.max_active_runs == 1, f"{dag_id}: max_active_runs must be 1"
    assert dag.has_on_failure_callback, f"{dag_id}: a failure must be told to someone"
    assert dag.params.get_param("as_of").schema["format"] == "date"
    for prefix in ("usecase:", "stage:", "impact:"):
        assert [t for t in dag.tags if t.startswith(prefix)], f"{dag_id}: missing a {prefix}* tag"
    for task in dag.tasks:
        assert task.retries >= 1, f"{dag_id}.{task.task_id}: retries must be >= 1"
        assert task.execution_timeout is not None, f"{dag_id}.{task.task_id}: execution_timeout is required"


@pytest.mark.parametrize("dag_id", sorted(SCHEDULES))
def test_schedules_have_a_time_zone(bag, dag_id: str) -> None:
    timetable = bag.dags[dag_id].timetable
    assert (timetable.expression, str(timetable.timezone)) == SCHEDULES[dag_id]


@pytest.mark.parametrize("dag_id", sorted(SCHEDULES))
@pytest.mark.parametrize("month", [1, 7], ids=["winter", "summer"])
def test_the_day_of_a_run_is_the_users_day(dag_id: str, month: int) -> None:
    """Airflow's ``ds`` is the day in UTC: a run soon after midnight in summer would be about yesterday."""
    import pendulum
    from airflow.timetables.base import TimeRestriction
    from airflow.timetables.trigger import CronTriggerTimetable

    expression, timezone = SCHEDULES[dag_id]
    timetable = CronTriggerTimetable(expression, timezone=timezone)
    start = pendulum.datetime(2026, month, 8, tz=timezone)
    info = timetable.next_dagrun_info(
        last_automated_data_interval=None, restriction=TimeRestriction(start, None, catchup=True)
    )
    assert info.run_after.in_timezone("UTC").date() == info.run_after.in_timezone(timezone).date()


@pytest.mark.parametrize("dag_id", sorted(EXPECTED - set(SCHEDULES)))
def test_a_dag_that_waits_for_an_asset_runs_once_per_day_of_it(bag, dag_id: str) -> None:
    """Without partitions Airflow forgets days that wait together: see test_one_run_per_day.py."""
    from airflow.sdk import Asset, PartitionedAssetTimetable

    timetable = bag.dags[dag_id].timetable
    assert isinstance(timetable, PartitionedAssetTimetable)
    assert isinstance(timetable.asset_condition, Asset), "of two assets, both days would have to match"
    makers = [
        task for dag in bag.dags.values() for task in dag.tasks if timetable.asset_condition in task.outlets
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
    from airflow.timetables.trigger import CronTriggerTimetable

    expression, timezone = SCHEDULES["churn_train"]
    timetable = CronTriggerTimetable(expression, timezone=timezone)
    start = pendulum.datetime(2026, 1, 1, tz=timezone)
    runs, last = [], None
    for _ in range(12):
        info = timetable.next_dagrun_info(
            last_automated_data_interval=last, restriction=TimeRestriction(start, None, catchup=True)
        )
        runs.append(info.run_after.in_timezone(timezone))
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
    assert path.stem in EXPECTED, "file name == dag_id"


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
