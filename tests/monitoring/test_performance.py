from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from pipelines.monitoring.performance import expected_auc_pr


@pytest.mark.parametrize("decimals", [6, 1])
def test_expected_auc_pr_is_the_mean_over_outcomes_drawn_from_the_scores(decimals: int) -> None:
    """Oracle: scikit-learn's average precision over outcomes drawn from the probabilities, with ties."""
    rng = np.random.default_rng(3)
    scores = np.clip(np.round(rng.beta(0.4, 2, 60), decimals), 0.01, 1)
    total, positives = 0.0, 0
    for _ in range(1_500):
        outcomes = rng.random(scores.size) < scores
        if outcomes.any():
            total += average_precision_score(outcomes, scores) * outcomes.sum()
            positives += int(outcomes.sum())
    assert expected_auc_pr(scores) == pytest.approx(total / positives, abs=0.005)


def test_order_does_not_matter_and_zero_scores_are_defined() -> None:
    scores = np.random.default_rng(0).random(50)
    assert expected_auc_pr(scores) == pytest.approx(expected_auc_pr(scores[::-1]), abs=1e-12)
    assert expected_auc_pr(np.zeros(5)) == 0
    assert expected_auc_pr(np.ones(5)) == 1
