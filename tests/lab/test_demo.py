"""The demo replaces nothing but what a demo made."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from features.spine import first_monday
from pipelines.errors import ConfigError
from pipelines.lab.demo import churn, demos
from pipelines.lab.demo import run as demo
from pipelines.settings import Settings
from pipelines.usecases import names

ROOT = Path(__file__).resolve().parents[2]


def test_a_lake_that_no_demo_made_is_left_alone(tmp_path: Path) -> None:
    kept = tmp_path / "lake" / "features" / "part.parquet"
    kept.parent.mkdir(parents=True)
    kept.write_text("years of work")
    said: list[str] = []
    with pytest.raises(ConfigError, match=r"holds data that no demo made.*set MILLRACE_VAR"):
        demo.run_demo(Settings(var=tmp_path), accounts=500, keep=False, say=said.append)
    assert kept.read_text() == "years of work"
    assert said == []


def test_an_earlier_demo_is_replaced_but_secrets_and_caches_stay(tmp_path: Path) -> None:
    settings = Settings(var=tmp_path)
    demo._claim_folder(settings, keep=False)
    for name in ("lake", "report", "secrets", "dbt_cache"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    demo._claim_folder(settings, keep=True)
    assert (tmp_path / "lake" / "file").exists()
    demo._claim_folder(settings, keep=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == [demo.MARKER, "dbt_cache", "secrets"]


def test_the_demo_runs_every_dag() -> None:
    assert {path.stem for path in (ROOT / "dags").glob("*.py")} == {
        dag_id for one in demos() for dag_id in one.dags
    }


def test_a_use_case_that_reads_anothers_results_waits_for_it() -> None:
    known: set[str] = set()
    for one in demos():
        assert set(one.after) <= known
        known.add(one.usecase)
    assert known == set(names())


def test_churn_is_scored_on_days_that_can_be_computed() -> None:
    trained, scored = churn.TRAINED_ON, churn.SCORED_ON
    assert first_monday(trained.year, trained.month) == trained
    assert tuple(sorted(scored)) == scored, "an older day would not be published"
    assert all(day.weekday() == 0 for day in scored)
    assert scored[0] >= trained
    assert scored[-1] <= churn.DEMO.until < scored[-1] + timedelta(days=7)
