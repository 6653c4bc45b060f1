"""The bench of the imputation judges by the truth that it simulated."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from models.imputation.imputer import BootstrapEMImputer
from pipelines.lab.bench import impute as bench
from pipelines.lab.bench import impute_peer


def test_speed_and_errors_are_measured_with_the_peers_beside():
    lines = []
    result = bench.run(rows=3_000, cols=6, m=4, seed=1, say=lines.append)
    found = json.loads(result.to_json())
    metrics = found["metrics"]
    assert found["seconds"] == pytest.approx(metrics["seconds_fit"] + metrics["seconds_draws"], abs=2e-3)
    assert (metrics["rows"], metrics["cols"], metrics["m"]) == (3_000, 6, 4)
    assert metrics["missing_share"] == pytest.approx(0.2, abs=0.01)
    assert metrics["converged"]
    assert len(metrics["iterations"]) == 4
    # 3,600 cells: known to about 1 %.
    assert metrics["rmse_ratio"] == pytest.approx(1, abs=0.03)
    assert metrics["rmse_ratio_expected"] == pytest.approx(1, abs=0.02)
    assert metrics["rmse_optimum"] == pytest.approx(metrics["rmse_optimum_expected"] * np.sqrt(1.25))
    assert metrics["covariance_max_error"] < 0.1
    sklearn = found["peers"]["sklearn_iterative_imputer"]
    assert sklearn["seconds"] == pytest.approx(4 * sklearn["seconds_one_set"], abs=4e-3)
    assert any("converged" in line for line in lines)


def test_the_judge_sees_what_is_wrong():
    covariance = bench.true_covariance(5, 2)
    table = bench.simulate(2_000, covariance, 2)
    imputer = BootstrapEMImputer(2).fit(table)
    judge = bench.Judge(table, covariance, 2)
    for completed in imputer.iter_completed():
        judge.see(np.where(np.isnan(table), completed + 1, completed))
    metrics = judge.metrics(imputer)
    assert metrics["rmse_ratio"] > 1.3
    assert metrics["interval_coverage"] < 0.5


def test_a_large_table_is_simulated_in_parts_that_are_the_same_again(monkeypatch):
    covariance = bench.true_covariance(4, 3)
    monkeypatch.setattr(bench, "CHUNK", 300)
    table = bench.simulate(1_000, covariance, 3)
    assert table.shape == (1_000, 4)
    assert np.array_equal(table, bench.simulate(1_000, covariance, 3), equal_nan=True)
    assert not np.array_equal(table[:300], table[300:600], equal_nan=True)


def test_peers_have_so_much_time_and_may_fail(monkeypatch):
    monkeypatch.setattr(impute_peer, "PEER_SECONDS", 0.2)
    assert impute_peer._timed([sys.executable, "-c", "import time; time.sleep(5)"]) == {
        "ended": "stopped after 0.2 s"
    }
    monkeypatch.setattr(impute_peer, "PEER_SECONDS", 20)
    ended = impute_peer._timed([sys.executable, "-c", "raise SystemExit('no package called Amelia')"])
    assert ended == {"ended": "exit code 1: ['no package called Amelia']"}
