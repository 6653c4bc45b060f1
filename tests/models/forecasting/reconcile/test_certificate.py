"""Certificates are clean for right results only, whoever computed them."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from models.forecasting.reconcile import METHODS, Tree, reconcile
from models.forecasting.reconcile.audit_tree import TreeAudit

TREE = Tree.from_frame(
    {
        "region": np.repeat(["north", "south"], 6),
        "store_id": np.repeat(["S1", "S2", "S3"], 4)[[0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 8, 9]],
        "sku_id": [f"K{i}" for i in range(12)],
    }
)
LEAF = TREE.levels["sku_store"]
VARIANCES = np.linspace(1, 5, len(TREE))


def audit(method, values, base, *, nonnegative=True, variances=VARIANCES):
    found = TreeAudit(TREE, method, nonnegative=nonnegative)
    for x, y in zip(values.T, base.T, strict=True):
        if method == "bottom_up":
            found.bottom_up(x, y)
        elif method == "top_down":
            found.top_down(x, y, np.zeros(len(TREE)), TREE.leaf_counts())
        else:
            found.least_squares(x, y, variances)
    return found.finish()


@pytest.fixture(
    params=[(method, nonnegative) for method in ("bottom_up", "top_down", "wls") for nonnegative in (0, 1)]
)
def solved(request):
    method, nonnegative = request.param
    rng = np.random.default_rng(8)
    counts = TREE.leaf_counts()[:, None]
    base = counts * rng.uniform(1, 2, (len(TREE), 3))  # no leaf ends at zero: it is free to move
    variances = VARIANCES if method == "wls" else None
    values = reconcile(TREE, base, method=method, variances=variances, nonnegative=bool(nonnegative)).values
    return method, bool(nonnegative), np.concatenate(list(values.values())), base


def test_a_right_result_passes(solved):
    method, nonnegative, values, base = solved
    found = audit(method, values, base, nonnegative=nonnegative)
    assert found.ok, found.words
    assert (found.nodes, found.days) == (len(TREE), 3)
    assert found.words.startswith("Coherent and as promised.")


def test_one_wrong_leaf_breaks_the_sums_and_is_named(solved):
    method, nonnegative, values, base = solved
    values = values.copy()
    values[LEAF.start + 3, 1] += 1e-6
    found = audit(method, values, base, nonnegative=nonnegative)
    assert not found.ok
    assert found.incoherence == pytest.approx(1e-6)
    assert "Breach: incoherent at store 'S1', step 2" in found.words


def test_a_coherent_result_that_breaks_the_promise_is_no_better(solved):
    method, nonnegative, values, base = solved
    leaves = np.zeros(len(TREE))
    # Between siblings, so that all sums stay as they are; both positive in each method.
    both = np.flatnonzero((values[LEAF] > 0.1).all(axis=1) & (TREE.parent[LEAF] == TREE.parent[LEAF][0]))[:2]
    assert len(both) == 2
    leaves[LEAF.start + both] = 1e-5, -1e-5
    moved = values + TREE.sum_up(leaves)[:, None]
    found = audit(method, moved, base, nonnegative=nonnegative)
    assert found.incoherence_relative < 1e-9
    assert not found.ok
    assert "not as promised at sku_store" in found.words
    assert found.residual == pytest.approx(1e-5, rel=1)


def test_a_moved_total_breaks_the_promise(solved):
    method, nonnegative, values, base = solved
    found = audit(method, values * 1.001, base, nonnegative=nonnegative)
    assert not found.ok
    assert found.incoherence_relative < 1e-9


def test_a_negative_value_is_a_breach_only_where_ruled_out():
    base = np.linspace(-1, 1, len(TREE))[:, None]
    values = TREE.sum_up(base[:, 0])[:, None]
    assert audit("bottom_up", values, base, nonnegative=False).ok
    found = audit("bottom_up", values, base, nonnegative=True)
    assert not found.ok
    assert f"{(values < 0).sum()} values are negative" in found.words
    assert found.lowest == values.min()


def test_values_that_are_no_numbers_are_a_breach():
    base = np.ones((len(TREE), 1))
    for value in (np.nan, np.inf):
        values = TREE.sum_up(base[:, 0])[:, None]
        values[LEAF.start] = value
        found = audit("bottom_up", values, base)
        assert not found.ok
        assert "1 values are not finite" in found.words


def test_zero_where_it_should_not_be_is_seen():
    # The unbounded optimum with its negative leaves cut off and summed up: coherent, not negative, not optimal.
    rng = np.random.default_rng(1)
    base = rng.normal(0, 3, (len(TREE), 1))
    free = np.concatenate(list(reconcile(TREE, base, method="ols", nonnegative=False).values.values()))
    cut = TREE.sum_up(np.maximum(free[:, 0], 0))[:, None]
    found = audit("ols", cut, base, variances=np.ones(len(TREE)))
    assert found.incoherence_relative < 1e-12
    assert found.negatives == 0
    assert not found.ok
    best = np.concatenate(list(reconcile(TREE, base, method="ols").values.values()))
    assert audit("ols", best, base, variances=np.ones(len(TREE))).ok


def test_it_can_be_stored():
    base = np.ones((len(TREE), 1))
    for method in METHODS:
        variances = VARIANCES if method == "wls" else None
        found = reconcile(TREE, base, method=method, variances=variances).certificate
        assert json.loads(json.dumps(dataclasses.asdict(found)))["method"] == method
