"""Every method equals the textbook on small trees of any shape, and keeps what it promises on all others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.forecasting.reconcile import METHODS, Tree, reconcile
from pipelines.lab.bench.reconcile_small import largest_differences, small_cases

SQUARES = ("ols", "wls_struct", "wls")


def test_every_method_equals_the_textbook_on_500_trees():
    found = largest_differences(500, seed=20)
    assert set(found) == {*METHODS, *(f"{method}_nonnegative" for method in METHODS)}
    # Signed top-down divides by sums of cancelling forecasts, which costs digits.
    assert max(found.values()) < 1e-8
    assert max(value for label, value in found.items() if "top_down" not in label) < 1e-10


def tree_of(parent):
    return Tree.from_parents(np.asarray(parent))


def options(case, method):
    return {
        "variances": case.variances if method == "wls" else None,
        "shares": case.shares if method == "top_down" else None,
    }


cases = st.integers(0, 10_000).map(lambda seed: next(small_cases(1, seed)))
methods = st.sampled_from(METHODS)


@given(cases, methods, st.booleans())
@settings(max_examples=150, deadline=None)
def test_result_is_coherent_and_certified(case, method, nonnegative):
    found = case.ours(method, nonnegative=nonnegative)
    values = found.values["node"]
    np.testing.assert_allclose(values, case.summing @ values[case.leaves], rtol=1e-9, atol=1e-9)
    assert found.certificate.ok, found.certificate.words
    assert found.certificate.negatives == (values < 0).sum()
    assert not (nonnegative and found.certificate.negatives)


@given(cases, methods, st.booleans())
@settings(max_examples=150, deadline=None)
def test_coherent_forecasts_are_left_as_they_are(case, method, nonnegative):
    coherent = case.summing @ np.abs(case.base[case.leaves])
    found = reconcile(
        tree_of(case.parent), coherent, method=method, nonnegative=nonnegative, **options(case, method)
    )
    np.testing.assert_allclose(found.values["node"], coherent, rtol=1e-12, atol=1e-12)


@given(cases, methods, st.booleans(), st.floats(1e-6, 1e6))
@settings(max_examples=150, deadline=None)
def test_units_do_not_matter(case, method, nonnegative, scale):
    tree = tree_of(case.parent)
    one = reconcile(tree, case.base, method=method, nonnegative=nonnegative, **options(case, method))
    other = reconcile(
        tree, case.base * scale, method=method, nonnegative=nonnegative, **options(case, method)
    )
    np.testing.assert_allclose(
        other.values["node"] / scale, one.values["node"], rtol=1e-7, atol=1e-9 * np.abs(case.base).max()
    )


@given(cases, methods, st.booleans(), st.integers(0, 1000))
@settings(max_examples=150, deadline=None)
def test_order_of_the_nodes_does_not_matter(case, method, nonnegative, seed):
    one = case.ours(method, nonnegative=nonnegative).values["node"]
    place = np.random.default_rng(seed).permutation(len(case.parent))  # new position of each node
    parent = np.empty_like(case.parent)
    parent[place] = np.where(case.parent < 0, -1, place[case.parent])
    base, variances, shares = (
        np.empty_like(values) for values in (case.base, case.variances, case.variances)
    )
    base[place], variances[place] = case.base, case.variances
    shares[place[case.leaves]] = case.shares
    found = reconcile(
        tree_of(parent),
        base,
        method=method,
        variances=variances if method == "wls" else None,
        shares=shares[np.sort(place[case.leaves])] if method == "top_down" else None,
        nonnegative=nonnegative,
    )
    np.testing.assert_allclose(found.values["node"][place], one, rtol=1e-7, atol=1e-9)


@given(cases, st.sampled_from(SQUARES))
@settings(max_examples=100, deadline=None)
def test_no_coherent_forecast_is_nearer_to_the_base(case, method):
    for nonnegative in (False, True):
        found = case.ours(method, nonnegative=nonnegative).values["node"]
        variances = {"ols": 1.0, "wls_struct": case.summing.sum(axis=1), "wls": case.variances}[method]
        weight = np.broadcast_to(1 / np.asarray(variances), len(case.parent))

        def cost(leaves, weight=weight):
            return (weight[:, None] * (case.summing @ leaves - case.base) ** 2).sum()

        best = found[case.leaves]
        rng = np.random.default_rng(0)
        for size in (1e-3, 1.0):
            other = best + rng.normal(0, size, best.shape)
            other = np.maximum(other, 0) if nonnegative else other
            assert cost(other) >= cost(best) * (1 - 1e-12)


def test_days_are_independent():
    case = next(small_cases(1, seed=5))
    tree = tree_of(case.parent)
    for method in METHODS:
        together = reconcile(tree, case.base, method=method, **options(case, method)).values["node"]
        for day in range(3):
            alone = reconcile(tree, case.base[:, [day]], method=method, **options(case, method)).values[
                "node"
            ]
            np.testing.assert_array_equal(together[:, [day]], alone)


# ------------------------------------------------------------------------------- levels and their names

TREE = Tree.from_frame(
    {
        "region": ["south", "north", "south", "north"],
        "store_id": ["S3", "S1", "S3", "S2"],
        "sku_id": ["milk", "milk", "salt", "salt"],
    }
)
BASE = {
    "national": [[100.0]],
    "region": [[30.0], [50.0]],
    "store": [[6.0], [4.0], [7.0]],
    "sku_store": [[1.0], [2.0], [3.0], [5.0]],
}


def values_of(found):
    return {level: values[:, 0].tolist() for level, values in found.values.items()}


def test_bottom_up_looks_at_the_leaves_only():
    found = reconcile(TREE, {"sku_store": np.array([[1], [2], [3], [5]])}, method="bottom_up")
    assert values_of(found) == {
        "national": [11],
        "region": [7, 4],
        "store": [2, 5, 4],
        "sku_store": [1, 2, 3, 5],
    }


def test_top_down_splits_the_total_through_all_levels():
    found = reconcile(TREE, BASE, method="top_down")
    assert values_of(found) == {
        "national": [100],
        "region": [37.5, 62.5],
        "store": [22.5, 15, 62.5],
        "sku_store": [15.625, 22.5, 46.875, 15],
    }


def test_middle_out_keeps_the_level_of_the_anchor():
    without_national = {level: values for level, values in BASE.items() if level != "national"}
    found = reconcile(TREE, without_national, method="top_down", anchor="region")
    assert values_of(found) == {
        "national": [80],
        "region": [30, 50],
        "store": [18, 12, 50],
        "sku_store": [12.5, 18, 37.5, 12],
    }
    assert found.certificate.ok


def test_single_precision_is_summed_in_double():
    leaves = np.full((4, 1), 0.1, dtype=np.float32)
    total = reconcile(TREE, {"sku_store": leaves}, method="bottom_up").values["national"]
    assert total.dtype == np.float64
    assert total[0, 0] == 4 * np.float64(np.float32(0.1))


# ------------------------------------------------------------------------- nothing to split by, and zeros


def test_a_parent_whose_children_are_forecast_nothing_is_split_by_recent_shares():
    base = {**BASE, "sku_store": [[0.0], [2.0], [0.0], [5.0]]}
    found = reconcile(TREE, base, method="top_down", shares=[1, 0, 3, 0])
    assert found.values["sku_store"][:, 0].tolist() == [62.5 / 4, 22.5, 62.5 * 3 / 4, 15]
    assert (found.certificate.split_by_shares, found.certificate.split_evenly) == (1, 0)
    assert found.certificate.ok
    assert (
        "1 times the forecasts below a node summed to zero: split by recent shares" in found.certificate.words
    )


def test_without_shares_it_is_split_evenly_and_named():
    base = {**BASE, "region": [[0.0], [0.0]]}
    found = reconcile(TREE, base, method="top_down")
    # Two leaves on either side.
    assert found.values["region"][:, 0].tolist() == [50, 50]
    assert (found.certificate.split_by_shares, found.certificate.split_evenly) == (0, 1)
    assert "split by equal parts (first national 'all', step 1)" in found.certificate.words


def test_even_splits_count_leaves_rather_than_children():
    # Two children: a leaf, and a node of three leaves.
    tree = Tree.from_parents([-1, 0, 0, 2, 2, 2])
    found = reconcile(tree, [[8.0], [0.0], [0.0], [0.0], [0.0], [0.0]], method="top_down")
    assert found.values["node"][:, 0].tolist() == [8, 2, 6, 2, 2, 2]


def test_nothing_at_all_stays_nothing():
    for method in METHODS:
        found = reconcile(
            TREE,
            np.zeros((len(TREE), 2)),
            method=method,
            variances=np.ones(len(TREE)) if method == "wls" else None,
        )
        assert all((values == 0).all() for values in found.values.values())
        assert found.certificate.ok
        assert found.certificate.split_evenly == 0


def test_forecasts_of_opposite_sign_that_cancel_are_no_shares():
    base = {**BASE, "sku_store": [[0.1 + 0.2], [2.0], [-0.3], [5.0]]}
    found = reconcile(TREE, base, method="top_down", shares=[1, 1, 1, 1], nonnegative=False)
    assert found.values["sku_store"][:, 0].tolist() == [31.25, 22.5, 31.25, 15]
    assert found.certificate.split_by_shares == 1


# ---------------------------------------------------------------------------------------- non-negative


def test_a_store_forecast_to_sell_nothing_takes_its_products_with_it():
    # The store says 0, its product says 1: in the middle without bounds, and never below zero.
    tree = Tree.from_parents([-1, 0, 0])
    found = reconcile(tree, [[0.0], [1.0], [4.0]], method="ols").values["node"][:, 0]
    # Free: 1 - 5/3 and 4 - 5/3. Bounded: the first is zero, and (x - 0)^2 + (x - 4)^2 is least at 2.
    np.testing.assert_allclose(found, [2, 0, 2], atol=1e-14)


def test_pinning_may_take_several_rounds():
    # Each leaf that is set to zero leaves the others to pay for the total.
    tree = Tree.from_parents([-1, *[0] * 12])
    base = np.concatenate([[0.0], 2.0 ** np.arange(12)])
    found = reconcile(tree, base[:, None], method="ols")
    leaves = found.values["node"][1:, 0]
    assert (leaves > 0).tolist() == [False] * 11 + [True]
    assert leaves[-1] == 1024
    assert found.certificate.ok


def test_a_leaf_of_no_variance_keeps_its_forecast():
    variances = {
        "national": [1.0],
        "region": [1.0, 1.0],
        "store": [1.0, 1.0, 1.0],
        "sku_store": [[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 1.0]],
    }
    base = {level: np.repeat(values, 2, axis=1) for level, values in BASE.items()}
    found = reconcile(
        TREE,
        base,
        method="wls",
        variances={
            **variances,
            **{
                level: np.array(values)[:, None].repeat(2, axis=1)
                for level, values in variances.items()
                if level != "sku_store"
            },
        },
    )
    assert found.values["sku_store"][2, 0] == 3
    assert found.values["sku_store"][0, 1] == 1
    assert found.values["sku_store"][0, 0] > 1
    assert found.certificate.ok


# ------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_missing_forecast_is_refused_by_the_name_of_its_node(method, value):
    base = {**BASE, "sku_store": np.array([[1.0], [2.0], [value], [5.0]])}
    with pytest.raises(
        ValueError, match=f"base forecasts must be finite, got {value} for sku_store 'S3/salt' at step 1"
    ):
        reconcile(TREE, base, method=method, variances=np.ones(len(TREE)) if method == "wls" else None)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"method": "mint"}, "method must be one of bottom_up, .* got 'mint'"),
        ({"method": "wls"}, "variances must be given for wls"),
        ({"method": "ols", "variances": np.ones(10)}, "variances must be given for wls .* got method 'ols'"),
        ({"method": "ols", "shares": np.ones(4)}, "for top_down only, got method 'ols'"),
        ({"anchor": "shop"}, "anchor must be one of national, region, store, sku_store, got 'shop'"),
        ({"shares": np.ones(3)}, r"shares must have shape \(4,\), got \(3,\)"),
        ({"shares": [1, 1, -1, 1]}, "shares must be finite and at least 0, got -1 for sku_store 'S3/salt'"),
        ({"base": {**BASE, "shop": [[1.0]]}}, r"must be by level .* got \['shop'\]"),
        ({"base": {"sku_store": BASE["sku_store"]}}, r"got none for \['national', 'region', 'store'\]"),
        ({"base": {**BASE, "store": [[1.0], [2.0]]}}, r"of store must have shape \(3, 1\), got \(2, 1\)"),
        ({"base": {**BASE, "store": np.ones((3, 2))}}, r"of store must have shape \(3, 1\), got \(3, 2\)"),
        ({"base": np.ones(10)}, r"must have shape \(10, 10\), got \(10,\)"),
        ({"base": np.ones((10, 0))}, "at least one day"),
        (
            {"method": "wls", "variances": [*np.ones(9), -2.0]},
            "variances must be finite and at least 0, got -2.0 for sku_store 'S2/salt'",
        ),
        (
            {"method": "wls", "variances": [1, 1, 1, 1, 0, *np.ones(5)]},
            "variances must be positive above the leaves, got 0 for store 'S2'",
        ),
    ],
)
def test_what_does_not_fit_is_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        reconcile(TREE, changed.pop("base", BASE), **{"method": "top_down", **changed})
