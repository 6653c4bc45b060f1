"""The baselines rank as they say they do."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from models.classification.baselines import UsageTrendRule, logistic_baseline


def frame(n=2000, seed=0):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(
        {
            "usage_trend_4w": np.where(rng.random(n) < 0.1, np.nan, rng.lognormal(0, 0.6, n)),
            "annual": rng.choice([True, False, None], n),
            "tier": rng.choice(["starter", "growth", None], n),
            "never_known": np.nan,
        }
    )
    logit = -1 - 1.5 * np.log(X["usage_trend_4w"].fillna(1)) + 1.0 * (X["tier"] == "starter")
    return X, rng.random(n) < 1 / (1 + np.exp(-logit))


def test_logistic_regression_on_a_mixed_frame():
    X, y = frame()
    new, outcome = frame(seed=1)
    model = logistic_baseline().fit(X, y)
    assert roc_auc_score(outcome, model.predict_proba(new)[:, 1]) > 0.7
    names = model.named_steps["encode"].get_feature_names_out()
    weights = dict(zip(names, model.named_steps["model"].coef_[0], strict=True))
    assert weights["usage_trend_4w"] < 0 < weights["tier=starter"]
    new["tier"] = "enterprise"
    assert np.isfinite(model.predict_proba(new)).all()


def test_stronger_penalty_means_smaller_weights():
    X, y = frame()
    loose, tight = (
        np.abs(logistic_baseline(penalty_strength=c).fit(X, y).named_steps["model"].coef_).sum()
        for c in (1.0, 1000.0)
    )
    assert tight < loose / 2


def test_rule_ranks_by_the_fall_of_usage():
    X = pd.DataFrame({"usage_trend_4w": [0.0, 0.5, 1.0, 3.0, np.nan], "other": 1.0})
    rule = UsageTrendRule().fit(X, [1, 0, 1, 0, 0])
    score = rule.predict_proba(X)[:, 1]
    assert score[:4].tolist() == [1.0, pytest.approx(2 / 3), 0.5, 0.25]
    assert score[4] == pytest.approx(1 / 1.75)  # the median of the known trends, 0.75
    assert rule.predict(X).tolist() == [1, 1, 0, 0, 1]


def test_rule_names_its_missing_column():
    with pytest.raises(ValueError, match="must have the column 'usage_trend_4w'"):
        UsageTrendRule().fit(pd.DataFrame({"a": [1.0, 2.0]}), [0, 1])
