"""The search is bounded, repeats exactly, and never ends worse than the defaults."""

from __future__ import annotations

import numpy as np
import optuna
import pandas as pd
import pytest

from models.classification.boosted import ChurnClassifier
from models.classification.tuning import tune


def stack(n: int = 1200, seed: int = 0):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(n, 5)), columns=list("abcde"))
    X["tier"] = rng.choice(["starter", "growth"], n)
    logit = X["a"] * X["b"] + X["c"] + (X["tier"] == "starter") - 2
    y = rng.random(n) < 1 / (1 + np.exp(-logit))
    days = np.datetime64("2024-01-01") + np.repeat(np.arange(10) * 31, n // 10)
    return X, y, days


def fold_loss(params, X, y, days):
    return ChurnClassifier(**params, n_folds=3).fit(X, y, days).fold_loss_


def test_result_repeats_and_builds_a_classifier_not_worse_than_the_default():
    X, y, days = stack()
    found = tune(X, y, days, n_trials=4, seed=1)
    assert found == tune(X, y, days, n_trials=4, seed=1, n_jobs=2)
    assert found != tune(X, y, days, n_trials=4, seed=2)
    default = {"learning_rate": found["learning_rate"], "random_state": 1}
    assert fold_loss({**found, "random_state": 1}, X, y, days) <= fold_loss(default, X, y, days)


def test_one_trial_is_the_default():
    X, y, days = stack()
    found = tune(X, y, days, n_trials=1, learning_rate=0.07)
    defaults = ChurnClassifier(learning_rate=0.07).get_params()
    assert len(found) > 1
    assert found == {name: defaults[name] for name in found}


def test_too_few_snapshots_give_the_defaults():
    X, y, _ = stack()
    assert tune(X, y, np.full(len(y), "2024-01-01"), n_trials=3) == {}


def test_rows_are_bounded_and_logging_is_left_as_it_was():
    X, y, days = stack()
    before = optuna.logging.get_verbosity()
    assert tune(X, y, days, n_trials=2, max_rows=500, seed=4)
    assert optuna.logging.get_verbosity() == before


def test_no_trial_is_an_error():
    with pytest.raises(ValueError, match="n_trials must be at least 1, got 0"):
        tune(*stack(), n_trials=0)
