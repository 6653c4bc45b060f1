"""From run to run: names stay, moves are counted and explained, unstable groups are called so."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd
import pytest

from models.clustering.clusterer import StoreClustering
from models.clustering.matching import (
    DISSOLVED,
    MOVED_BY_GROUPS,
    MOVED_BY_STORE,
    explain_moves,
    match_labels,
    migrations,
)
from models.clustering.stability import bootstrap_jaccard, jaccard, warning_of


def labels(values, first=0):
    return pd.Series(list(values), index=[f"S{i:03d}" for i in range(first, first + len(values))])


def test_names_follow_the_stores_whatever_the_numbers():
    rng = np.random.default_rng(0)
    old = labels(rng.choice([3, 7, 9], 60))
    for numbers in permutations(range(3)):
        new = old.map(dict(zip((3, 7, 9), numbers, strict=True)))
        found = match_labels(old, new)
        assert found.rename(new).equals(old)
        assert (found.overlap["jaccard"] == 1).all()
        assert found.gone == ()


def test_matching_has_the_largest_overlap_of_all_assignments():
    rng = np.random.default_rng(1)
    old, new = labels(rng.integers(0, 4, 50)), labels(rng.integers(0, 4, 50))
    index = jaccard(new.to_numpy(np.intp), old.to_numpy(np.intp))
    best = max(sum(index[i, p[i]] for i in range(4)) for p in permutations(range(4)))
    found = match_labels(old, new, same_group=0.0).overlap
    assert found["jaccard"].sum() == pytest.approx(best)


def test_new_groups_get_names_never_used_and_old_ones_go():
    old = labels([0] * 10 + [1] * 10 + [5] * 4)
    new = labels([0] * 10 + [1] * 10 + [2] * 8, first=0)  # the last four stores and four new ones
    new.iloc[20:24] = 0
    found = match_labels(old, new)
    assert found.names == {0: 0, 1: 1, 2: 6}
    assert found.gone == (5,)
    assert found.overlap.set_index("cluster")["is_new"].to_list() == [False, False, True]
    words = match_labels(old.map({0: "A", 1: "B", 5: "C"}), new, fresh=["A", "C", "D"])
    assert words.names == {0: "A", 1: "B", 2: "D"}
    with pytest.raises(ValueError, match="fresh must have a name for every new group"):
        match_labels(old, new, fresh=[])


def test_the_first_run_has_no_names_to_keep():
    new = labels([1, 0, 1])
    assert match_labels(new.iloc[:0], new, fresh="AB").names == {0: "A", 1: "B"}


def test_stores_must_be_listed_once_and_have_a_group():
    twice = pd.Series([0, 1], index=["S1", "S1"])
    with pytest.raises(ValueError, match="previous must list each store once, got"):
        match_labels(twice, labels([0]))
    with pytest.raises(
        ValueError, match=r"current must have a group for each store, got none for \['S001'\]"
    ):
        match_labels(labels([0]), labels([0, None]))


def test_every_store_of_either_run_is_accounted_for():
    old, new = labels([0, 0, 1]), labels([0, 1, 1], first=1)
    found = migrations(old, new).set_index("store")
    assert found["status"].to_dict() == {"S000": "left", "S001": "stayed", "S002": "stayed", "S003": "new"}
    found = migrations(old, labels([1, 0, 1])).set_index("store")
    assert found["status"].to_dict() == {"S000": "moved", "S001": "stayed", "S002": "stayed"}
    assert found.loc["S000", ["previous", "current"]].to_list() == [0, 1]


@pytest.fixture(scope="module")
def two_runs(stores, kinds):
    """A store of the first group takes to Sundays, turnover and all; one of the others has only its groups move."""
    before = StoreClustering(kinds, n_clusters=3).fit(stores)
    names = pd.Series(before.labels_, index=stores.index).map({0: "A", 1: "B", 2: "C"})
    known = names[stores.notna().all(axis=1)]
    donor, mover = known[known == "C"].index[0], known[known == "A"].index[0]
    changed = stores.copy()
    for column in ("turnover", "sunday", "size"):
        changed.loc[mover, column] = stores.loc[donor, column]
    changed.loc[mover, "type"] = "c"
    after = StoreClustering(kinds, n_clusters=3).fit(changed)
    new = pd.Series(after.labels_, index=stores.index)
    return names, new, after, changed, mover


def test_a_store_that_changed_is_told_by_what_changed(stores, two_runs):
    names, new, after, changed, mover = two_runs
    matching = match_labels(names, new)
    moves = migrations(names, matching.rename(new))
    assert moves.loc[moves["status"] == "moved", "store"].to_list() == [mover]
    found = explain_moves(after, matching, moves, stores, changed, top=9)
    assert (found["cause"] == MOVED_BY_STORE).all()
    assert set(found["variable"]) == {"turnover", "sunday", "size", "type"}
    assert found["pull"].is_monotonic_decreasing
    sunday = found.set_index("variable").loc["sunday"]
    assert (sunday["before"], sunday["now"]) == (stores.loc[mover, "sunday"], changed.loc[mover, "sunday"])
    assert found[["previous", "current"]].drop_duplicates().to_numpy().tolist() == [["A", "C"]]


def test_a_store_that_did_not_change_was_left_by_its_group(stores, two_runs):
    _, new, after, changed, _ = two_runs
    stable = pd.Series(after.labels_, index=stores.index).map({0: "A", 1: "B", 2: "C"})
    store = stable[stable == "B"].index[0]
    old = stable.copy()
    old[store] = "A"  # as if the groups had been drawn otherwise
    matching = match_labels(old, new)
    found = explain_moves(after, matching, migrations(old, matching.rename(new)), changed, changed)
    assert found[["store", "previous", "current", "cause"]].to_numpy().tolist() == [
        [store, "A", "B", MOVED_BY_GROUPS]
    ]
    assert found["variable"].isna().all()


def test_a_group_that_is_gone_is_the_cause(stores, two_runs):
    _, new, after, changed, _ = two_runs
    old = new.map({0: "A", 1: "B", 2: "C"})
    old.iloc[:3] = "Z"
    matching = match_labels(old, new)
    moves = migrations(old, matching.rename(new))
    found = explain_moves(after, matching, moves, changed, changed)
    assert matching.gone == ("Z",)
    assert (found["cause"] == DISSOLVED).all()
    assert len(found) == 3
    with pytest.raises(ValueError, match=r"before must have the stores that moved; offending: \['S000'"):
        explain_moves(after, matching, moves, changed.iloc[3:], changed)
    assert explain_moves(after, matching, moves[moves["status"] == "stayed"], changed, changed).empty


def test_jaccard_counts_rows():
    found = jaccard(np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 1, 2]), 3)
    assert found.tolist() == [[1 / 2, 1 / 4, 0], [0, 2 / 4, 1 / 3], [0, 0, 0]]


@pytest.mark.parametrize("linkage", ["ward", "average"])
def test_clear_groups_are_stable_and_arbitrary_ones_are_not(stores, kinds, linkage):
    clear = bootstrap_jaccard(StoreClustering(kinds, n_clusters=3, linkage=linkage).fit(stores), 20)
    assert (clear["verdict"] == "stable").all()
    assert warning_of(clear) is None
    assert clear["size"].sum() == len(stores)
    cloud = np.random.default_rng(0).normal(size=(80, 4))
    vague = bootstrap_jaccard(StoreClustering(n_clusters=6, linkage=linkage).fit(cloud), 20)
    assert (vague["verdict"] == "unstable").any()
    assert "of 6 clusters are not stable under resampling (Jaccard below 0.75)" in (warning_of(vague) or "")


def test_draws_are_repeatable_and_counted(stores, kinds):
    model, seen = StoreClustering(kinds, n_clusters=4).fit(stores), []
    once = bootstrap_jaccard(model, 5, random_state=1, progress=lambda done, of: seen.append((done, of)))
    pd.testing.assert_frame_equal(once, bootstrap_jaccard(model, 5, random_state=1), check_exact=True)
    assert seen == [(draw, 5) for draw in range(1, 6)]
    assert not once.equals(bootstrap_jaccard(model, 5, random_state=2))
    with pytest.raises(ValueError, match="n_boot must be at least 1, got 0"):
        bootstrap_jaccard(model, 0)
