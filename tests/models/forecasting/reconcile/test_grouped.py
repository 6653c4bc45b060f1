"""The library reconciles what is no tree, agrees with us on trees, and is caught where it is wrong."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hierarchicalforecast.methods import BottomUp, MinTrace, TopDown
from scipy.optimize import nnls

from models.forecasting.reconcile import Tree, reconcile
from models.forecasting.reconcile import grouped as module
from models.forecasting.reconcile.grouped import GROUPED_METHODS, Grouping, reconcile_grouped

LEVELS = {
    "total": (),
    "store": ("store",),
    "category": ("category",),
    "store_category": ("store", "category"),
    "series": ("store", "sku"),
}
FRAME = pd.DataFrame(
    {
        "store": ["b", "a", "b", "a", "b"],
        "sku": ["milk", "milk", "salt", "salt", "oil"],
        "category": ["fresh", "fresh", "dry", "dry", "dry"],
    }
)
GROUPING = Grouping.from_frame(FRAME, LEVELS)


def balanced(stores=(4, 3), products=5):
    rows = [
        (f"R{r}", f"R{r}S{s}", f"K{k}")
        for r, count in enumerate(stores)
        for s in range(count)
        for k in range(products)
    ]
    return Tree.from_frame(pd.DataFrame(rows, columns=["region", "store_id", "sku_id"]))


def inputs(grouping, days=3, seed=0, noise=2.0):
    rng = np.random.default_rng(seed)
    leaves = rng.poisson(1.5, (grouping.summing.shape[1], days)).astype(float)
    base = np.maximum(grouping.summing @ leaves + rng.normal(0, noise, (len(grouping), days)), 0)
    return base, np.exp(rng.normal(0, 1, len(grouping))), rng.normal(0, 1, (len(grouping), 60))


def joined(found):
    return np.concatenate(list(found.values.values()))


def exact(summing, base, covariance, *, nonnegative=False):
    """Generalised least squares by the Cholesky factor of the precision."""
    factor = np.linalg.cholesky(np.linalg.inv(covariance)).T
    matrix, days = factor @ summing, (factor @ base).T
    if nonnegative:
        return summing @ np.column_stack([nnls(matrix, day)[0] for day in days])
    return summing @ np.linalg.lstsq(matrix, days.T)[0]


def test_nodes_of_all_levels_add_up():
    assert {level: (nodes.start, nodes.stop) for level, nodes in GROUPING.levels.items()} == {
        "total": (0, 1),
        "store": (1, 3),
        "category": (3, 5),
        "store_category": (5, 9),
        "series": (9, 14),
    }
    values = GROUPING.summing @ np.array([1.0, 2, 4, 8, 16])
    assert values.tolist() == [31, 10, 21, 28, 3, 8, 2, 20, 1, 1, 2, 4, 8, 16]
    assert [GROUPING.name(node) for node in (0, 2, 5, 13)] == [
        "total 'all'",
        "store 'b'",
        "store_category 'a/dry'",
        "series 'b/oil'",
    ]
    assert (Grouping.from_frame(pl.DataFrame(FRAME), LEVELS).summing != GROUPING.summing).nnz == 0


def test_a_tree_has_the_summing_matrix_of_its_sums():
    tree = balanced()
    leaves = np.random.default_rng(0).normal(size=len(tree))
    summed = Grouping.from_tree(tree).summing @ leaves[tree.leaves]
    np.testing.assert_allclose(summed, tree.sum_up(leaves), atol=1e-12)
    with pytest.raises(ValueError, match="leaves must come after all other nodes"):
        Grouping.from_tree(Tree.from_parents([1, -1, 1]))


@pytest.mark.parametrize("nonnegative", [False, True])
@pytest.mark.parametrize("method", GROUPED_METHODS)
def test_grouped_hierarchies_get_the_optimum(method, nonnegative):
    base, variances, errors = inputs(GROUPING, noise=4.0)
    found = reconcile_grouped(
        GROUPING,
        base,
        method=method,
        variances=variances if method == "wls" else None,
        residuals=errors if method == "mint_shrink" else None,
        nonnegative=nonnegative,
    )
    assert found.certificate.ok, found.certificate.words
    summing = GROUPING.summing.toarray()
    if method == "bottom_up":
        wanted = summing @ base[GROUPING.levels["series"]]
    else:
        library = MinTrace("mint_shrink").fit(
            S=summing, y_hat=base, y_insample=errors, y_hat_insample=np.zeros_like(errors)
        )
        covariance = {
            "ols": np.eye(len(base)),
            "wls_struct": np.diag(summing.sum(axis=1)),
            "wls": np.diag(variances),
            "mint_shrink": library.W,
        }[method]
        wanted = exact(summing, base, covariance, nonnegative=nonnegative)
        assert nonnegative or (wanted < 0).any()
    # Single precision, and the tolerance of an interior-point solver.
    np.testing.assert_allclose(joined(found), wanted, atol=1e-5 if nonnegative else 1e-6)


def test_the_sparse_methods_agree_where_they_converge(monkeypatch):
    base, variances, _ = inputs(GROUPING)
    for method in ("ols", "wls_struct", "wls"):
        given = {"method": method, "variances": variances if method == "wls" else None, "nonnegative": False}
        dense = joined(reconcile_grouped(GROUPING, base, **given))
        with monkeypatch.context() as patch:
            patch.setattr(module, "SPARSE_FROM", 1)
            found = reconcile_grouped(GROUPING, base, **given)
        np.testing.assert_allclose(joined(found), dense, atol=1e-4)
        assert found.certificate.ok, found.certificate.words


def test_our_solvers_equal_the_library_on_balanced_trees():
    tree = balanced()
    grouping = Grouping.from_tree(tree)
    base, variances, _ = inputs(grouping, noise=3.0)
    base += 0.01  # the library splits evenly where siblings sum to zero
    summing = grouping.summing.toarray()
    tags = {level: np.arange(nodes.start, nodes.stop) for level, nodes in tree.levels.items()}
    library = {
        "bottom_up": BottomUp().fit_predict(S=summing, y_hat=base),
        "top_down": TopDown("forecast_proportions").fit_predict(S=summing, y_hat=base, tags=tags),
        "ols": MinTrace("ols").fit_predict(S=summing, y_hat=base),
        "wls_struct": MinTrace("wls_struct").fit_predict(S=summing, y_hat=base),
    }
    for method, theirs in library.items():
        ours = joined(reconcile(tree, base, method=method, nonnegative=False))
        np.testing.assert_allclose(ours, theirs["mean"], atol=1e-8, err_msg=method)
    for method, given in (("wls", variances), ("ols", None), ("wls_struct", None)):
        for nonnegative in (False, True):
            ours = reconcile(tree, base, method=method, variances=given, nonnegative=nonnegative)
            theirs = reconcile_grouped(
                grouping, base, method=method, variances=given, nonnegative=nonnegative
            )
            np.testing.assert_allclose(
                joined(ours), joined(theirs), atol=1e-4 if nonnegative else 1e-6, err_msg=method
            )
            assert theirs.certificate.ok


def test_a_sparse_solver_that_stops_too_early_is_caught():
    # Its iteration ends when the error is small beside the sums of a whole chain: units are missing at the leaves.
    tree = balanced(stores=(3, 3, 3), products=3000)
    grouping = Grouping.from_tree(tree)
    rng = np.random.default_rng(0)
    leaves = rng.poisson(1.5, (len(tree.leaves), 1)).astype(float)
    base = grouping.summing @ leaves
    base[: -len(leaves)] *= rng.normal(1, 0.3, (len(base) - len(leaves), 1))
    exact = reconcile(tree, base, method="ols", nonnegative=False)
    assert exact.certificate.ok
    library = reconcile_grouped(grouping, base, method="ols", nonnegative=False)
    off = np.abs(library.values["sku_store"] - exact.values["sku_store"]).max()
    assert off > 1
    assert library.certificate.incoherence_relative < 1e-9  # nothing else gives it away
    assert not library.certificate.ok
    assert library.certificate.residual > off / 2
    assert "not as promised at sku_store" in library.certificate.words


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"method": "top_down"}, "method must be one of bottom_up, .* got 'top_down'"),
        ({"method": "wls"}, "variances must be given for wls"),
        ({"method": "ols", "variances": np.ones(14)}, "variances must be given for wls and for it only"),
        ({"method": "mint_shrink"}, "residuals must be given for mint_shrink"),
        (
            {"method": "mint_shrink", "residuals": np.ones((3, 9))},
            r"of shape \(14, observations\), got \(3, 9\)",
        ),
        (
            {"method": "wls", "variances": np.append(np.ones(13), 0)},
            "variances must be positive, got 0.0 for series 'b/oil'",
        ),
        (
            {"method": "ols", "base": np.full((14, 2), np.nan)},
            "must be finite, got nan for total 'all' at step 1",
        ),
    ],
)
def test_what_does_not_fit_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        reconcile_grouped(GROUPING, given.pop("base", np.ones((14, 2))), **given)


def test_names_are_checked():
    with pytest.raises(ValueError, match="every series must have one row, got 1 more: 'b/milk'"):
        Grouping.from_frame(pd.concat([FRAME, FRAME.iloc[[0]]]), LEVELS)
    with pytest.raises(ValueError, match="names of category must not be missing"):
        Grouping.from_frame(FRAME.assign(category=["fresh", None, "dry", "dry", "dry"]), LEVELS)


def test_the_dense_covariance_is_for_few_nodes():
    grouping = Grouping.from_tree(balanced(stores=(1,), products=2000))
    with pytest.raises(ValueError, match="fewer than 2000 nodes, got 2003"):
        reconcile_grouped(grouping, np.ones((2003, 1)), method="mint_shrink", residuals=np.ones((2003, 5)))


# ------------------------------------------------------------------------------------------ public data


def published(folder):
    """History, summing matrix and names of a data set of the reconciliation literature."""
    summing = pd.read_csv(folder / "agg_mat.csv", index_col=0)
    history = pd.read_csv(folder / "data.csv", index_col=0)
    assert list(history.columns) == list(summing.index)
    return history.to_numpy(float).T, summing


@pytest.mark.real_data
def test_tourism_of_australia_by_region_and_purpose(data_dir):
    history, summing = published(data_dir / "hierarchical" / "tourismlarge")
    name = summing.columns.str
    frame = pd.DataFrame({"state": name[:1], "zone": name[:2], "region": name[:3], "purpose": name[3:]})
    order = ["Hol", "Vis", "Bus", "Oth"]
    frame["purpose"] = frame["purpose"].map({purpose: f"{i}" for i, purpose in enumerate(order)})
    levels = {
        "total": (),
        "state": ("state",),
        "zone": ("zone",),
        "region": ("region",),
        "purpose": ("purpose",),
        "state_purpose": ("state", "purpose"),
        "zone_purpose": ("zone", "purpose"),
        "bottom": ("region", "purpose"),
    }
    grouping = Grouping.from_frame(frame, levels)
    np.testing.assert_array_equal(grouping.summing.toarray(), summing.to_numpy())
    last_year = history[:, -24:-12]
    errors = history[:, 12:-12] - history[:, :-24]
    base = last_year * (1 + errors.mean(axis=1, keepdims=True) / history.mean(axis=1, keepdims=True))
    base[: -summing.shape[1]] *= 1.05
    for method in GROUPED_METHODS:
        found = reconcile_grouped(
            grouping,
            base,
            method=method,
            variances=errors.var(axis=1) + 1 if method == "wls" else None,
            residuals=errors if method == "mint_shrink" else None,
            nonnegative=False,
        )
        assert found.certificate.ok, found.certificate.words
    bounded = reconcile_grouped(grouping, base, method="ols")
    assert bounded.certificate.ok, bounded.certificate.words


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["labour", "traffic", "wiki2"])
def test_published_trees_by_us_and_by_the_library(data_dir, name):
    history, summing = published(data_dir / "hierarchical" / name)
    # A node's parent is the next larger one that contains it; of equals, the one that comes first.
    contains = summing.to_numpy()
    parent = np.full(len(contains), -1)
    for node in range(1, len(contains)):
        above = [other for other in range(node) if (contains[other] >= contains[node]).all()]
        parent[node] = min(above, key=lambda other: (contains[other].sum(), -other))
    tree = Tree.from_parents(parent, list(summing.index))
    leaves = np.random.default_rng(0).normal(size=len(tree))
    np.testing.assert_allclose(tree.sum_up(leaves), contains @ leaves[tree.leaves], atol=1e-9)
    base = history[:, -14:-7].copy()
    base[: -contains.shape[1]] *= 1.1
    tree_values = reconcile(tree, base, method="ols", nonnegative=False).values["node"]
    wanted = MinTrace("ols").fit_predict(S=contains.astype(float), y_hat=base)["mean"]
    np.testing.assert_allclose(tree_values, wanted, atol=1e-8 * np.abs(base).max())
    bounded = reconcile(tree, base, method="wls", variances=history.var(axis=1) + 1e-3)
    assert bounded.certificate.ok, bounded.certificate.words
