"""Trees are built from any order of rows or nodes, and what is not a tree is refused by name."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest

from models.forecasting.reconcile import Tree
from pipelines.lab.bench.reconcile_small import small_cases


def frame(*rows):
    return pd.DataFrame(rows, columns=["region", "store_id", "sku_id"])


RETAILER = frame(
    ("south", "S3", "milk"),
    ("north", "S1", "milk"),
    ("south", "S2", "salt"),
    ("north", "S1", "salt"),
    ("south", "S3", "salt"),
)


def test_levels_follow_the_root_and_leaves_keep_the_order_of_the_rows():
    tree = Tree.from_frame(RETAILER)
    assert {level: tree.ids(level).tolist() for level in tree.levels} == {
        "national": ["all"],
        "region": ["north", "south"],
        "store": ["S1", "S2", "S3"],
        "sku_store": ["S3/milk", "S1/milk", "S2/salt", "S1/salt", "S3/salt"],
    }
    assert tree.parent.tolist() == [-1, 0, 0, 1, 2, 2, 5, 3, 4, 3, 5]
    assert tree.parent.dtype == np.int32
    assert [tree.name(node) for node in (0, 2, 5, 8)] == [
        "national 'all'",
        "region 'south'",
        "store 'S3'",
        "sku_store 'S2/salt'",
    ]


def test_nodes_of_a_level_are_sorted_by_their_parent_first():
    tree = Tree.from_frame(frame(("b", "S1", "milk"), ("a", "S2", "milk"), ("b", "S0", "milk")))
    assert tree.ids("store").tolist() == ["S2", "S0", "S1"]


def test_any_kind_of_frame_and_any_levels():
    columns = {"type": ["a", "a", "b"], "assortment": [1, 2, 1], "store": [7, 5, 6]}
    levels = {"group": ("type", "assortment"), "store": ("store",)}
    for given in (columns, pd.DataFrame(columns), pl.DataFrame(columns)):
        tree = Tree.from_frame(given, levels, root=("total", "chain"))
        assert tree.ids("group").tolist() == ["a/1", "a/2", "b/1"]
        assert tree.ids("store").tolist() == ["7", "5", "6"]
        assert tree.ids("total").tolist() == ["chain"]
        assert tree.sum_up(np.array([0.0, 0, 0, 0, 1, 2, 3])).tolist() == [6, 1, 2, 3, 1, 2, 3]


def test_one_product_in_two_stores_is_two_leaves():
    tree = Tree.from_frame(frame(("a", "S1", "milk"), ("a", "S2", "milk")))
    assert tree.ids("sku_store").tolist() == ["S1/milk", "S2/milk"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "needs at least one sku_store"),
        (
            [("a", "S1", "milk"), ("b", "S2", "milk"), ("b", "S1", "salt")],
            "one parent, got store 'S1' under region 'a' and 'b'",
        ),
        ([("a", "S1", "milk"), ("a", "S2", "milk"), ("a", "S1", "milk")], "one row, got 1 more: 'S1/milk'"),
        ([("a", "S1", "milk"), (None, "S2", "milk")], "names of region .* first in row 1"),
        ([("a", "S1", "milk"), ("a", "S2", None)], "names of sku_store .* first in row 1"),
    ],
)
def test_what_is_no_tree_is_refused_by_name(rows, message):
    with pytest.raises(ValueError, match=message):
        Tree.from_frame(frame(*rows))


@pytest.mark.parametrize(
    ("parent", "message"),
    [
        ([], "one root, got 0"),
        ([1, 0], "one root, got 0"),
        ([-1, 0, -1], r"one root, got 2: \['all', 'milk'\]"),
        ([-1, 3, 0], "got 3 for 'S1'"),
        ([-1, -2, 0], "got -2 for 'S1'"),
        ([-1, 2, 1], "2 do not: node 'S1', node 'milk'"),
    ],
)
def test_parents_that_make_no_tree_are_refused_by_name(parent, message):
    with pytest.raises(ValueError, match=message):
        Tree.from_parents(parent, ["all", "S1", "milk"][: len(parent)])


def test_sums_of_leaves_at_any_depth():
    rng = np.random.default_rng(3)
    for case in small_cases(200, seed=3):
        tree = Tree.from_parents(case.parent)
        values = rng.normal(size=len(case.parent))
        np.testing.assert_allclose(tree.sum_up(values), case.summing @ values[case.leaves], atol=1e-12)
        assert tree.leaves.tolist() == case.leaves.tolist()
        assert tree.leaf_counts().tolist() == case.summing.sum(axis=1).tolist()


def test_a_hundred_thousand_parents_of_few_children():
    n = 300_000
    tree = Tree.from_parents(np.concatenate([[-1], np.arange(n - 1) // 3]))
    values = np.ones(n)
    assert tree.sum_up(values)[0] == len(tree.leaves) == tree.leaf_counts()[0]
