"""The balanced forest: scikit-learn's contract, its own trees as oracle, balance, calibration out of bag."""

from __future__ import annotations

import numpy as np
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, log_loss
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from models.classification.balanced_forest import BalancedForestClassifier
from models.classification.packed_trees import PackedTrees


@parametrize_with_checks([BalancedForestClassifier(n_estimators=20, min_samples_leaf=1)])
def test_scikit_learn_contract(estimator, check) -> None:
    check(estimator)


def rare(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of a rare event, its outcomes and its true chances (about 2 %)."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 6))
    chance = 1 / (1 + np.exp(5.0 - 1.2 * X[:, 0] - 0.9 * (X[:, 1] > 0.5)))
    X[rng.random(n) < 0.1, 2] = np.nan
    return X, rng.random(n) < chance, chance


SMALL = {"n_estimators": 60, "max_depth": 6, "min_samples_leaf": 20}


@pytest.fixture(scope="module")
def forest() -> BalancedForestClassifier:
    X, y, _ = rare(40_000, 1)
    return BalancedForestClassifier(**SMALL).fit(X, y)


def test_packed_trees_vote_as_scikit_learns_do() -> None:
    X, y, _ = rare(3_000, 2)
    X = X.astype(np.float32)
    trees = [
        DecisionTreeClassifier(max_depth=5, random_state=seed).fit(X[seed::3], y[seed::3])
        for seed in range(3)
    ]
    wanted = np.mean([tree.predict_proba(X)[:, 1] for tree in trees], axis=0)
    np.testing.assert_allclose(PackedTrees.of(trees).mean(X, n_jobs=2), wanted, atol=1e-7)
    seen = np.zeros((3, len(X)), dtype=bool)
    for seed in range(3):
        seen[seed, seed::3] = True
    unseen = PackedTrees.of(trees).mean_unseen(X, np.arange(len(X)), seen)
    votes = np.array([tree.predict_proba(X)[:, 1] for tree in trees])
    np.testing.assert_allclose(unseen, np.ma.masked_array(votes, seen).mean(axis=0), atol=1e-7)
    assert np.isnan(PackedTrees.of(trees).mean_unseen(X, np.arange(len(X)), ~np.zeros_like(seen))).all()


def test_every_tree_sees_equally_many_of_both_classes(forest) -> None:
    """The root of a tree that is grown on a balanced draw holds as many events as others."""
    roots = forest.trees_.value[forest.trees_.root]
    assert np.unique(roots) == pytest.approx([0.5])


def test_it_finds_rare_events_and_says_how_rare_they_are(forest) -> None:
    X, y, chance = rare(40_000, 3)
    p = forest.predict_proba(X)[:, 1]
    assert average_precision_score(y, p) > 0.8 * average_precision_score(y, chance)
    assert p.mean() == pytest.approx(chance.mean(), rel=0.08)
    assert log_loss(y, p) < log_loss(y, chance) + 0.004
    # The map that undoes the balance is the one a logistic regression on fresh rows would find.
    vote = forest.trees_.mean(X.astype(np.float32))
    fresh = LogisticRegression(C=np.inf).fit(np.log(vote / (1 - vote))[:, None], y)
    assert forest.calibration_.slope == pytest.approx(fresh.coef_[0, 0], rel=0.15)


def test_the_sample_of_others_does_not_change_what_probabilities_mean() -> None:
    X, y, chance = rare(40_000, 1)
    few = BalancedForestClassifier(**SMALL, calibration_rows=2_000).fit(X, y)
    assert few.predict_proba(X)[:, 1].mean() == pytest.approx(chance.mean(), rel=0.15)


def test_with_a_handful_of_events_the_balance_alone_leads_back() -> None:
    X, y, _ = rare(1_200, 4)
    assert 5 < y.sum() < 50
    model = BalancedForestClassifier(n_estimators=30).fit(X, y)
    assert model.calibration_.slope == 1.0
    assert model.calibration_.intercept == pytest.approx(np.log(y.mean() / (1 - y.mean())))


def test_repeated_rows_of_a_customer_do_not_pass_for_unseen() -> None:
    """Ten copies of each row: without groups a forest judges itself on rows it knows, and is too sure of itself."""
    X, y, _ = rare(4_000, 5)
    X, y, customer = (np.repeat(part, 10, axis=0) for part in (X, y, np.arange(4_000)))
    Xt, yt, _ = rare(40_000, 6)
    deep = BalancedForestClassifier(n_estimators=60, min_samples_leaf=1)
    fooled = log_loss(yt, deep.fit(X, y).predict_proba(Xt)[:, 1])
    honest = log_loss(yt, deep.fit(X, y, groups=customer).predict_proba(Xt)[:, 1])
    assert honest < fooled - 0.002


def test_threads_do_not_change_anything(forest) -> None:
    X, y, _ = rare(40_000, 1)
    two = BalancedForestClassifier(**SMALL, n_jobs=2).fit(X, y)
    np.testing.assert_array_equal(two.predict_proba(X), forest.predict_proba(X))


def test_it_is_stored_without_pickle(forest) -> None:
    X, _, _ = rare(500, 7)
    stored = skops.io.dumps(forest)
    types = skops.io.get_untrusted_types(data=stored)
    assert all(name.startswith(("models.", "sklearn.", "numpy.")) for name in types)
    loaded = skops.io.loads(stored, trusted=types)
    np.testing.assert_array_equal(loaded.predict_proba(X), forest.predict_proba(X))


def test_no_trees_are_refused() -> None:
    with pytest.raises(ValueError, match="n_estimators must be at least 1, got 0"):
        BalancedForestClassifier(n_estimators=0).fit(np.zeros((4, 1)), [0, 1, 0, 1])
