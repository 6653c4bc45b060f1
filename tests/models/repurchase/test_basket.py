"""The classifier of candidates: scikit-learn's contract, calibration, dependence, one model against many."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from models.repurchase.basket import BasketCalibration, BasketClassifier, run_lengths

QUICK = {"rounds": 60, "learning_rate": 0.15, "max_depth": 4}


@parametrize_with_checks(
    [BasketClassifier(rounds=20, learning_rate=0.3, min_child_weight=0.5, subsample=1.0, colsample=1.0)]
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def candidates(orders: int, seed: int, sd: float = 0.8) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Candidates, purchases and orders (20 candidates each) whose log-odds and shared shift are known."""
    rng = np.random.default_rng(seed)
    n = orders * 20
    X = pd.DataFrame(
        {
            "share": rng.beta(1, 3, n),
            "due": rng.lognormal(0, 0.6, n),
            "aisle": pd.Categorical(rng.choice(["dairy", "spice", "toys"], n)),
        }
    )
    base = -2 + 3 * X["share"] - np.abs(np.log(X["due"])) + 1.0 * (X["aisle"] == "dairy")
    shift = np.repeat(rng.normal(0, sd, orders), 20)
    return X, rng.random(n) < expit(base + shift), np.repeat(np.arange(orders), 20)


@pytest.fixture(scope="module")
def fitted() -> BasketClassifier:
    X, bought, _ = candidates(1200, 1)
    model = BasketClassifier(**QUICK).fit(X, bought)
    later, then_bought, then_order = candidates(3000, 11)
    return model.calibrate(BasketCalibration.fit(model.raw_score(later), then_bought, then_order))


def test_ranks_and_is_calibrated(fitted):
    X, bought, _ = candidates(1200, 2)
    p = fitted.predict_proba(X)[:, 1]
    assert roc_auc_score(bought, p) > 0.685  # by the true log-odds without the shift: 0.697
    assert p.mean() == pytest.approx(bought.mean(), abs=0.01)
    for group in np.array_split(np.argsort(p), 5):
        assert p[group].mean() == pytest.approx(bought[group].mean(), abs=0.03)


def test_finds_that_orders_are_large_or_small_as_a_whole(fitted):
    # Of the features none tells of it, so all of it is left.
    assert fitted.calibration.order_size.sd == pytest.approx(0.8, abs=0.15)


def test_is_not_calibrated_by_what_it_learned_from():
    X, bought, _ = candidates(300, 3)
    model = BasketClassifier(**QUICK).fit(X, bought)
    assert model.calibration == BasketCalibration()
    np.testing.assert_allclose(model.predict_proba(X)[:, 1], expit(model.raw_score(X)))


def test_a_level_that_moved_is_met_by_the_calibration():
    X, bought, _ = candidates(800, 1)
    model = BasketClassifier(**QUICK).fit(X, bought)
    later, _, later_order = candidates(800, 12)
    raw = model.raw_score(later)
    fewer = np.random.default_rng(0).random(len(raw)) < expit(raw - 0.5)
    moved = BasketCalibration.fit(raw, fewer, later_order)
    assert moved.logit.intercept == pytest.approx(-0.5, abs=0.1)
    assert moved.logit(raw).mean() == pytest.approx(fewer.mean(), abs=1e-4)


def test_one_model_for_all_learns_what_one_per_product_is_too_poor_for():
    X, bought, _ = candidates(600, 4, sd=0.0)
    product = np.random.default_rng(5).integers(0, 300, len(X))  # 40 rows each
    fresh, later, _ = candidates(600, 6, sd=0.0)
    of_fresh = np.random.default_rng(7).integers(0, 300, len(fresh))
    one = BasketClassifier(**QUICK).fit(X, bought).predict_proba(fresh)[:, 1]
    many = np.full(len(fresh), bought.mean())
    for k in range(40):
        own, asked = product == k, of_fresh == k
        if 0 < bought[own].sum() < own.sum():
            small = BasketClassifier(rounds=15, min_child_weight=1.0).fit(X[own], bought[own])
            many[asked] = small.predict_proba(fresh[asked])[:, 1]
    compared = of_fresh < 40
    assert log_loss(later[compared], one[compared]) < log_loss(later[compared], many[compared]) - 0.01


def test_the_same_rows_make_the_same_model():
    X, bought, _ = candidates(200, 8)
    first, second = (BasketClassifier(**QUICK).fit(X, bought) for _ in range(2))
    assert first.boosters_ == second.boosters_


def test_several_boosters_are_averaged():
    X, bought, _ = candidates(200, 9)
    two = BasketClassifier(**QUICK, n_models=2).fit(X, bought)
    alone = [BasketClassifier(**QUICK, random_state=seed).fit(X, bought) for seed in (0, 1)]
    mean = sum(model.raw_score(X) for model in alone) / 2
    np.testing.assert_allclose(two.raw_score(X), mean, atol=1e-6)


def test_lengths_of_runs():
    assert run_lengths(["a", "a", "b", "a"]).tolist() == [2, 1, 1]
    assert run_lengths([]).tolist() == []
