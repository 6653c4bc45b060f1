"""The bench of the distances compares them with references that can tell, and says what the peers did."""

from __future__ import annotations

import json
import subprocess

import numpy as np
import pytest
from numpy.testing import assert_allclose

from models.clustering.gower import GowerSpace
from pipelines.lab.bench import gower as bench
from pipelines.lab.bench import gower_peer
from pipelines.lab.bench.result import BenchResult


@pytest.fixture(scope="module")
def found() -> BenchResult:
    return bench.run(rows=700, cols=7, seed=3)


def test_the_bench_measures_time_and_error(found):
    result = json.loads(found.to_json())
    metrics = result["metrics"]
    assert (metrics["rows"], metrics["cols"]) == (700, 7)
    assert 0 < metrics["max_abs_error"] < 1e-12
    for part in ("complete", "missing", "kinds"):
        assert metrics[f"max_abs_error_{part}"] <= metrics["max_abs_error"]
    assert 0 < result["seconds"] < 5
    assert result["peers"]["scipy"]["seconds"] > 0
    assert {"seconds", "ended"} & set(result["peers"]["gower"])


def test_an_error_would_be_seen(monkeypatch):
    right = GowerSpace.pairwise

    def wrong(self, X, Y=None):
        distances = right(self, X, Y)
        distances[0, -1] += 1e-3
        return distances

    monkeypatch.setattr(GowerSpace, "pairwise", wrong)
    metrics = bench.run(rows=60, cols=5).metrics
    for part in ("complete", "missing", "kinds"):
        assert metrics[f"max_abs_error_{part}"] == pytest.approx(1e-3, rel=1e-6)


def test_references_agree_with_each_other():
    frame, kinds = bench.table(40, 9, seed=0)
    composed = bench.composed(frame, kinds)
    assert_allclose(composed, bench.pair_by_pair(frame, kinds, dict.fromkeys(kinds, 1.0)), atol=1e-12)
    assert_allclose(
        np.vstack([block for _, block in bench.composed_blocks(frame, kinds)]), composed, atol=1e-12
    )
    assert bench.with_gaps(frame, 0).notna().any(axis=1).all()


def test_scipy_is_not_timed_where_it_would_not_fit(monkeypatch):
    monkeypatch.setattr(bench, "SCIPY_ROWS", 10)
    assert bench.run(rows=20, cols=4).peers["scipy"]["ended"].startswith("not timed beyond 10 rows")


def test_what_the_package_did_is_told(monkeypatch):
    monkeypatch.setattr(gower_peer, "find_spec", lambda name: None)
    assert gower_peer.peer(10, 2, 0)["ended"].startswith("not installed")
    monkeypatch.setattr(gower_peer, "find_spec", lambda name: object())
    answers = iter([(0, 'note\n{"seconds": 1.5}\n', ""), (1, "", "MemoryError"), None])

    def run(command, **given):
        answer = next(answers)
        if answer is None:
            raise subprocess.TimeoutExpired(command, gower_peer.LIMIT)
        return subprocess.CompletedProcess(command, *answer)

    monkeypatch.setattr(subprocess, "run", run)
    assert gower_peer.peer(10, 2, 0) == {"seconds": 1.5}
    assert gower_peer.peer(10, 2, 0) == {"ended": "ended with exit code 1: MemoryError"}
    assert gower_peer.peer(10, 2, 0) == {"ended": f"stopped after {gower_peer.LIMIT} s"}
