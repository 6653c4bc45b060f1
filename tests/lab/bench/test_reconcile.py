"""The bench of the reconciliation reports what it measured, and survives what the library does not."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hierarchicalforecast.methods import BottomUp

from models.forecasting.reconcile import METHODS, Tree
from pipelines.lab.bench import reconcile as bench
from pipelines.lab.bench.reconcile_peer import CASES, timed

EVERY = {*METHODS, *(f"{method}_nonnegative" for method in METHODS)}


def test_every_method_is_measured_and_the_library_beside_it(monkeypatch):
    monkeypatch.setattr(bench, "SMALL_TREES", 10)
    lines = []
    result = bench.run(leaves=10_000, horizon=2, seed=1, say=lines.append)
    found = json.loads(result.to_json())
    metrics = found["metrics"]
    assert (metrics["leaves"], metrics["nodes"]) == (10_000, 10_000 + 2 + 2 + 1)  # stores, regions, nation
    assert set(metrics["seconds"]) == set(metrics["negatives"]) == EVERY
    assert metrics["slowest_method_seconds"] == max(metrics["seconds"].values()) > 0
    assert metrics["certificates_clean"] == metrics["certificates"] == len(EVERY)
    assert result.metrics["max_incoherence"] < 1e-6
    assert 0 < result.metrics["dense_max_difference"] < 1e-8
    for method in ("ols", "wls_struct", "wls"):  # bounds that bind
        assert metrics["negatives"][method] > 100
        assert metrics["negatives"][f"{method}_nonnegative"] == 0
    library = found["peers"]["hierarchicalforecast_10000"]
    assert set(library) == {label for label, *_ in CASES}, library
    assert library["bottom_up"]["worst_leaf_error"] == 0
    assert library["wls_struct"]["worst_leaf_error"] < 0.1
    assert sum("Coherent and as promised" in line for line in lines) == len(EVERY)


def test_the_library_gets_so_much_time(monkeypatch):
    """No machine reconciles half a million leaves in a second; what was known by then is kept."""
    monkeypatch.setattr(bench, "PEER_CPU_SECONDS", 1)
    found = bench.peer(500_000, 1, seed=0)
    assert found["ended"] == "stopped after 1 CPU seconds"
    assert len(found) <= len(CASES)


def test_a_lack_of_memory_is_an_answer():
    class Greedy:
        def fit_predict(self, **given):
            return np.empty((2**45, 2**5))

    assert timed(Greedy(), np.ones((2, 1)))["error"].startswith("MemoryError: Unable to allocate")
    right = timed(BottomUp(), np.ones((2, 1)), S=np.array([[1.0, 1], [1, 0], [0, 1]]), y_hat=np.ones((3, 1)))
    assert right["worst_leaf_error"] == 0


def test_forecasts_are_those_of_a_food_retailer():
    tree = Tree.from_frame(bench.retailer(16_000))
    base, variances = bench.forecasts(tree, 7, seed=3)
    leaf = base["sku_store"]
    assert leaf.dtype == np.float32
    assert 0.15 < (leaf == 0).mean() < 0.5
    assert leaf[:, 5].sum() > 1.4 * leaf[:, 6].sum()  # Saturdays and Sundays
    summed = leaf.sum(axis=0)
    assert base["national"][0] == pytest.approx(summed, rel=0.2)
    assert not np.allclose(base["national"][0], summed, rtol=1e-3)
    assert all((values > 0).all() for values in variances.values())
