"""The same function on both engines, on a real cluster that loses a worker on the way."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import psutil
import pytest

from models.forecasting.local import exchange, forecast_group, pack
from models.forecasting.panel import Panel
from pipelines.engines import engine_of
from pipelines.engines.base import GROUP, PLACE, EngineError
from pipelines.engines.spark import JOB, SparkEngine
from pipelines.engines.spark_job import arguments_of, named, of_group
from pipelines.errors import ConfigError
from pipelines.lab.standalone import StandaloneCluster
from pipelines.settings import Settings

#: The runtime that comes with the environment, so that the test is the same on every machine; small heaps.
SMALL = {
    "bundled_java": True,
    "conf": {"spark.driver.memory": "512m", "spark.executor.memory": "512m"},
}


def sales(n: int = 96, length: int = 300, horizon: int = 15) -> Panel:
    rng = np.random.default_rng(3)
    days = np.datetime64("2025-03-10") + np.arange(-length, horizon)
    week = np.array([0.8, 0.8, 0.9, 1.0, 1.3, 1.6, 0.6])[np.arange(length) % 7]
    y = rng.poisson(rng.uniform(0.3, 12, (n, 1)) * week).astype(np.float32)
    y[:, 40] = np.nan
    promo = (rng.random((n, length + horizon)) < 0.05).astype(np.float32) * 0.2
    series = pd.DataFrame({"store_id": ["s1"] * n, "sku_id": [f"k{i:03d}" for i in range(n)]})
    price = np.ones_like(promo)
    return Panel(series, days, length, y, y > 20, promo, price, np.zeros(n, dtype=np.intp), {})


@pytest.fixture
def packed(monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """24 groups of real work: mostly SARIMA, every model there."""
    monkeypatch.setattr(exchange, "GROUP_SIZES", {"sarima": 4, "ets": 4, "prophet": 1, "average": 2})
    models = ["sarima"] * 72 + ["ets"] * 8 + ["prophet"] * 2 + ["average"] * 2
    models += ["tsb"] * 4 + ["seasonal_naive"] * 4 + ["fallback_zero"] * 4
    frame = pack(sales(), models)
    assert frame["group"].nunique() > 20
    return frame


@pytest.mark.chaos
def test_a_cluster_that_loses_a_worker_gives_the_results_of_one_machine(
    packed: pd.DataFrame, tmp_path: Path
) -> None:
    before = set(psutil.Process().children(recursive=True))
    killed_at: list[int] = []
    told: list[tuple[int, int]] = []
    with StandaloneCluster(tmp_path / "a cluster", bundled_java=True) as cluster:

        def progress(done: int, of: int) -> None:
            told.append((done, of))
            if done and not killed_at:
                assert cluster.has_executor(0)
                assert cluster.has_executor(1)
                killed_at.append(done)
                cluster.kill_worker(0)

        engine = SparkEngine(str(tmp_path / "an exchange"), tmp_path / "my scratch", cluster.url, **SMALL)
        spread = engine.map_groups(forecast_group, packed, key="group", progress=progress)
        assert not cluster.has_executor(0)
    groups = packed["group"].nunique()
    assert 0 < killed_at[0] < groups, "the worker was to be killed in the middle of the run"
    assert told[-1] == (groups, groups)

    with engine_of("local", Settings(var=tmp_path), workers=1) as local:
        here = local.map_groups(forecast_group, packed, key="group")
    pd.testing.assert_frame_equal(
        spread.drop(columns="seconds"), here.drop(columns="seconds"), check_exact=True
    )
    assert (spread["seconds"] > 0).all()
    assert len(spread) == len(packed) * 15
    assert set(spread["reason"]) <= {"fitted", "never sold"}

    assert set(psutil.Process().children(recursive=True)) <= before, "processes were left behind"
    assert not list((tmp_path / "an exchange").iterdir()), "tables on their way were left behind"


def test_a_job_that_fails_says_why_and_leaves_nothing(functions: ModuleType, tmp_path: Path) -> None:
    engine = SparkEngine(str(tmp_path / "exchange"), tmp_path / "scratch", "local[1]", **SMALL)
    frame = pd.DataFrame({"group": list("ab"), "name": list("xy"), "value": [1.0, 2.0]})
    # The function is on the path of this process only.
    with pytest.raises(EngineError, match=r"(?s)code 1.*No module named 'group_functions'"):
        engine.map_groups(functions.doubled, frame, key="group")
    assert not list((tmp_path / "exchange").iterdir())
    assert engine.map_groups(functions.doubled, frame.iloc[:0], key="group").empty  # takes no Spark


def test_a_group_on_spark_is_put_in_order_and_named_in_errors(functions: ModuleType) -> None:
    rows = pd.DataFrame({"group": "b", "name": list("xyz"), "value": [1.0, 2.0, 3.0], PLACE: [7, 9, 8]})
    done: list[int] = []
    result = of_group(functions.doubled, "group", done.append)(rows)
    assert result["name"].tolist() == ["x", "z", "y"]
    assert result[PLACE].tolist() == [0, 1, 2]
    assert set(result[GROUP]) == {"b"}
    with pytest.raises(ArithmeticError, match="no such number") as caught:
        of_group(functions.refuses, "group", done.append)(rows)
    assert caught.value.__notes__ == ["in the group 'b'"]
    assert done == [1]


def test_the_script_for_emr_submits_the_same_job() -> None:
    script = JOB.with_name("submit_emr.sh")
    done = subprocess.run(
        ["bash", script, "s3://b/packed.parquet", "s3://b/results", "800"],
        env={"PATH": os.environ["PATH"], "SPARK_SUBMIT": "echo"},
        capture_output=True,
        text=True,
        check=True,
    )
    words = done.stdout.split()
    assert words[words.index("--master") + 1] == "yarn"
    assert "spark.executorEnv.OMP_NUM_THREADS=1" in words
    job = words[words.index(str(JOB)) + 1 :]
    given = arguments_of(job)
    assert (given.source, given.target, given.groups, given.key) == (
        "s3://b/packed.parquet", "s3://b/results", 800, "group",
    )  # fmt: skip
    assert named(given.function) is forecast_group


def test_there_are_two_engines(tmp_path: Path) -> None:
    settings = Settings(var=tmp_path)
    assert [engine_of(name, settings).name for name in ("local", "spark")] == ["local", "spark"]
    with pytest.raises(ConfigError, match="engine must be local or spark, got 'dask'"):
        engine_of("dask", settings)
