"""Contributions add up to the score."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models.classification.boosted import ChurnClassifier
from models.explanation.contributions import by_theme, contributions, contributions_and_bias


@pytest.fixture(scope="module", params=[1, 3], ids=["one booster", "three boosters"])
def fitted(request):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "trend": rng.normal(size=2000),
            "noise": np.where(rng.random(2000) < 0.2, np.nan, rng.normal(size=2000)),
            "tier": rng.choice(["starter", "growth", "business"], 2000),
        }
    )
    y = rng.random(2000) < 1 / (1 + np.exp(1 + 2 * X["trend"] - (X["tier"] == "starter")))
    model = ChurnClassifier(n_estimators=60, learning_rate=0.1, n_models=request.param).fit(X, y)
    return model, X


def test_bias_and_contributions_are_the_raw_score(fitted):
    model, X = fitted
    values, bias = contributions_and_bias(model, X)
    assert values.shape == X.shape
    np.testing.assert_allclose(bias + values.sum(axis=1), model.raw_score(X), atol=1e-9)
    np.testing.assert_array_equal(values, contributions(model, X))


def test_what_drives_the_outcome_contributes(fitted):
    model, X = fitted
    values = contributions(model, X)
    size = np.abs(values).mean(axis=0)
    assert size[0] > size[2] > size[1]
    assert np.corrcoef(values[:, 0], X["trend"])[0, 1] < -0.9
    assert values[X["tier"] == "starter", 2].mean() > 0 > values[X["tier"] == "growth", 2].mean()


def test_themes_keep_the_sum(fitted):
    model, X = fitted
    values = contributions(model, X)
    sums, names = by_theme(values, list(X), {"trend": "usage", "noise": "usage", "tier": "contract"})
    assert names == ("usage", "contract")
    np.testing.assert_allclose(sums[:, 0], values[:, 0] + values[:, 1])
    np.testing.assert_allclose(sums.sum(axis=1), values.sum(axis=1))


def test_feature_without_theme_is_named():
    with pytest.raises(ValueError, match=r"offending: \['b'\] of 1"):
        by_theme(np.zeros((1, 2)), ["a", "b"], {"a": "usage"})
    with pytest.raises(ValueError, match="one column per feature, got 2 and 1"):
        by_theme(np.zeros((1, 2)), ["a"], {"a": "usage"})


def test_no_rows_no_contributions(fitted):
    model, X = fitted
    assert contributions(model, X.iloc[:0]).shape == (0, 3)
