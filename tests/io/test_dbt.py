"""A dbt run reads the pinned versions, keeps to its folder, and says what broke and how to repeat it."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, time
from pathlib import Path

import pyarrow as pa
import pytest

from features.schemas import Table
from pipelines.errors import ConfigError, DataContractError
from pipelines.io.dbt import PARSE_CACHE, DbtRun, call_dbt, run_dbt, write_docs
from pipelines.io.lake import Lake
from pipelines.settings import PROJECT_ROOT, Settings
from pipelines.sources.landed import landed_table
from pipelines.usecases.churn.layouts import USAGE_EVENTS

USAGE = landed_table("churn", USAGE_EVENTS)
DAY = date(2025, 3, 3)
SELECT = ["stg_churn__usage_events", "stg_run__as_of_dates"]


def usage_rows(*months: str) -> pa.Table:
    rows = [
        {
            "account_key": f"k{number}",
            "used_on": date.fromisoformat(f"{month}-01"),
            "logins": number + 1,
            "duration_min": 1.005,
            "features_used": "",
            "known_at": datetime.combine(date.fromisoformat(f"{month}-02"), time.min),
            "used_month": month,
            "ingested_at": datetime.combine(DAY, time.min),
        }
        for number, month in enumerate(months)
    ]
    return pa.Table.from_pylist(rows, schema=USAGE.arrow_schema)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Usage in two versions: two months, then three."""
    made = Settings(var=tmp_path_factory.mktemp("deploy o'ment"))  # a path that needs quoting
    lake = Lake.of(made)
    lake.overwrite(USAGE, usage_rows("2025-01", "2025-02"))
    lake.overwrite(USAGE, usage_rows("2024-12", "2025-01", "2025-02"))
    return made


def run(settings: Settings, run_id: str, version: int | None = None, table: Table = USAGE) -> DbtRun:
    pins = {} if version is None else {table.name: version}
    return run_dbt(settings, run_id=run_id, select=SELECT, tables=[table], as_of_dates=[DAY, DAY], pins=pins)


def test_runs_at_once_read_their_pinned_versions_and_share_the_parse(settings: Settings) -> None:
    shutil.rmtree(settings.var / "dbt_cache", ignore_errors=True)  # another test may have parsed before
    versions = [Lake.of(settings).version(USAGE.name), Lake.of(settings).version(USAGE.name) - 1]
    first = run(settings, "first", versions[0])
    assert (settings.var / "dbt_cache" / PARSE_CACHE).exists()
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda v: run(settings, f"at-once-{v}", v), versions))
    for built, version, count in zip(runs, versions, (3, 2), strict=True):
        assert built.versions == {USAGE.name: version}
        assert built.read("select * from staging.stg_churn__usage_events").num_rows == count
        said = (built.folder / "logs" / "dbt.log").read_text()
        assert "Starting full parse" not in said
    assert "Starting full parse" in (first.folder / "logs" / "dbt.log").read_text()
    # One day given twice is one day; labels may use what was known before the newest one.
    assert first.read("select * from staging.stg_run__as_of_dates").to_pylist() == [
        {"as_of": DAY, "known_before": DAY, "wants_features": True}
    ]
    months = first.read("select distinct used_month from raw.churn_usage_events order by 1")
    assert months["used_month"].to_pylist() == ["2024-12", "2025-01", "2025-02"]
    assert {node.name.split(".")[-1] for node in first.nodes} >= set(SELECT)
    stream = first.stream("select logins from staging.stg_churn__usage_events order by 1")
    assert stream.read_all()["logins"].to_pylist() == [1, 2, 3]
    first.discard()
    assert sorted(path.name for path in first.folder.rglob("*") if path.is_file()) == [
        "dbt.log",
        "run_results.json",
    ]


def test_a_project_that_does_not_parse_says_so_before_anything_runs(
    settings: Settings, tmp_path: Path
) -> None:
    shutil.copytree(PROJECT_ROOT / "dbt_project", tmp_path / "dbt_project")
    (tmp_path / "dbt_project" / "models" / "broken.sql").write_text("select * from {{ ref('nowhere') }}")
    with pytest.raises(DataContractError, match=r"before any node ran.*'nowhere'.*Repeat by hand: cd "):
        run(settings.model_copy(update={"home": tmp_path}), "broken")


def test_a_missing_table_is_named(settings: Settings) -> None:
    missing = Table("raw/churn_nothing", USAGE.description, USAGE.columns, USAGE.key, USAGE.partition_by)
    with pytest.raises(DataContractError, match="no table 'raw/churn_nothing'"):
        run(settings, "missing", table=missing)


def test_at_least_one_day_is_needed(settings: Settings) -> None:
    with pytest.raises(ConfigError, match="as_of_dates must hold at least one day"):
        run_dbt(settings, run_id="none", select=SELECT, tables=[USAGE], as_of_dates=[])


def test_any_dbt_command_runs_on_the_project(settings: Settings) -> None:
    assert call_dbt(settings, ["parse", "--quiet"]) == 0
    assert call_dbt(settings, ["ls", "--quiet", "--select", "no_such_model", "--warn-error"]) != 0


def test_the_documentation_is_one_page(settings: Settings, tmp_path: Path) -> None:
    page = write_docs(settings, tmp_path / "dbt")
    text = page.read_text()
    assert page.name == "index.html"
    assert "Usage trend over 4 weeks" in text
    assert "salesforce_churn_score" in text
