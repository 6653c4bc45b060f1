"""Groups of series: what makes one, sums over members, groupings that say nothing new."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.groups import GROUPS, groups_of

SERIES = pd.DataFrame(
    {
        "store_id": ["a", "a", "a", "b", "b", "b"],
        "sku_id": ["1", "2", "3", "1", "2", "3"],
        "region": ["n", "n", "n", "s", "s", "s"],
        "category": ["x", None, "x", "x", None, "x"],
    }
)


def test_groups_and_those_that_say_nothing_new():
    found = groups_of(SERIES, GROUPS)
    # A region of one store is that store; each series is its own shelf only where categories differ.
    assert list(found) == ["all", "region", "category", "shelf", "sku"]
    assert {name: group.size for name, group in found.items()} == {
        "all": 1, "region": 2, "category": 2, "shelf": 4, "sku": 3,
    }  # fmt: skip
    assert "sku" not in groups_of(SERIES.iloc[:3], GROUPS)


def test_missing_words_make_a_group_of_their_own():
    code = groups_of(SERIES, {"category": ("category",)})["category"].code
    assert code[1] == code[4] != code[0]


def test_sums_are_those_of_pandas():
    values = np.random.default_rng(0).random((6, 3, 2)).astype(np.float32)
    for group in groups_of(SERIES, GROUPS).values():
        by_hand = pd.DataFrame(values.reshape(6, 6)).groupby(group.code).sum().to_numpy()
        np.testing.assert_allclose(group.sum(values).reshape(group.size, 6), by_hand, rtol=1e-5)
