from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from pipelines.monitoring.performance import expected_auc_pr


@pytest.mark.parametrize("decimals", [6, 1])
def test_expected_auc_pr_is_the_mean_over_outcomes_drawn_from_the_scores(decimals: int) -> None:
    """Oracle: scikit-learn's average precision over outcomes drawn from the probabilities, with ties."""
    rng = np.random.default_rng(3)
    scores = np.clip(np.round(rng.beta(0.4, 4, 3_000), decimals), 0.001, 1)
    measured = [average_precision_score(rng.random(scores.size) < scores, scores) for _ in range(300)]
    assert expected_auc_pr(scores) == pytest.approx(np.mean(measured), abs=0.004)


def test_order_does_not_matter_and_zero_scores_are_defined() -> None:
    scores = np.random.default_rng(0).random(50)
    assert expected_auc_pr(scores) == pytest.approx(expected_auc_pr(scores[::-1]), abs=1e-12)
    assert expected_auc_pr(np.zeros(5)) == 0
    assert expected_auc_pr(np.ones(5)) == 1
