"""The gate refuses luck, asks for evidence, and compares on the same rows."""

from __future__ import annotations

import numpy as np
import pytest

from models.evaluation.gate import Thresholds, judge


def predictions(n: int, quality: float, seed: int = 0):
    """Outcomes at a 6 % rate with a score that separates them by ``quality`` standard deviations."""
    rng = np.random.default_rng(seed)
    y = rng.random(n) < 0.06
    return y, rng.normal(size=n) + quality * y, np.arange(n)


def probability(score):
    return 1 / (1 + np.exp(-score))


def decide(y, score, clusters, **options):
    options = {"scoring_seconds": 4.0, "scored_accounts": 15_000, "n_replicates": 200} | options
    return judge(y, probability(score), clusters, **options)


def checks(verdict):
    return {check.name: check for check in verdict.checks}


def test_a_good_model_passes():
    verdict = decide(*predictions(10_000, 3.2))
    assert verdict.outcome == "pass"
    assert all(check.passed for check in verdict.checks)
    assert verdict.words.startswith("Passed: ")
    assert "AUC-PR is 0." in verdict.words


def test_a_poor_model_is_refused():
    verdict = decide(*predictions(10_000, 1.0))
    assert verdict.outcome == "refused"
    assert not checks(verdict)["auc_pr"].passed
    assert "not above 0.65" in verdict.words


def test_a_lucky_pass_is_refused():
    y, score, clusters = predictions(4_000, 2.6, seed=2)
    found = checks(decide(y, score, clusters))["auc_pr"]
    threshold = (found.low + found.value) / 2  # above the lower bound, below the estimate
    verdict = decide(y, score, clusters, thresholds=Thresholds(auc_pr=threshold, recall_at_top20=0.1))
    assert found.value > threshold
    assert verdict.outcome == "refused"
    assert "luck could explain it" in verdict.words
    relaxed = Thresholds(auc_pr=found.low - 0.001, recall_at_top20=0.1)
    assert decide(y, score, clusters, thresholds=relaxed).outcome == "pass"


def test_a_model_at_the_threshold_passes_one_time_in_twenty():
    # The true AUC-PR, from a sample so large that its own error does not matter.
    y, score, clusters = predictions(400_000, 2.5, seed=1000)
    truth = checks(decide(y, score, clusters, n_replicates=2))["auc_pr"].value
    limits = Thresholds(auc_pr=truth, recall_at_top20=0.0)
    passes = sum(
        decide(*predictions(3_000, 2.5, seed=seed), thresholds=limits).outcome == "pass"
        for seed in range(100)
    )
    assert passes <= 12  # 5 expected, standard deviation 2.2


def test_too_few_events_is_not_a_refusal():
    y, score, clusters = predictions(1_000, 4.0)
    assert 30 < y.sum() < 100
    verdict = decide(y, score, clusters)
    assert verdict.outcome == "not enough evidence"
    assert verdict.words.startswith(f"Not enough evidence: {y.sum()} accounts churned")
    assert "Also seen: AUC-PR" in verdict.words


def test_events_are_counted_by_account():
    y, score, clusters = predictions(1_000, 4.0)
    verdict = decide(np.tile(y, 5), np.tile(score, 5), np.tile(clusters, 5))
    assert verdict.outcome == "not enough evidence"
    assert checks(verdict)["positives"].value == y.sum()


def test_no_event_at_all_is_not_enough_evidence():
    verdict = decide(np.zeros(500, dtype=bool), np.linspace(-1, 1, 500), np.arange(500))
    assert verdict.outcome == "not enough evidence"


def test_baseline_must_be_beaten_beyond_noise():
    y, score, clusters = predictions(8_000, 3.2)
    worse = score + np.random.default_rng(1).normal(0, 1.0, len(y))
    assert decide(y, score, clusters, baselines={"usage_trend": worse}).outcome == "pass"
    as_good = score + np.random.default_rng(1).normal(0, 0.01, len(y))
    verdict = decide(y, score, clusters, baselines={"usage_trend": as_good})
    assert verdict.outcome == "refused"
    assert "not better beyond noise than the baseline 'usage_trend'" in verdict.words


def test_champion_may_be_matched_but_not_fallen_behind():
    y, score, clusters = predictions(8_000, 3.2)
    near = score + np.random.default_rng(1).normal(0, 0.05, len(y))
    assert decide(y, score, clusters, champion=near).outcome == "pass"
    assert decide(y, near, clusters, champion=score).outcome == "pass"
    worse = score + np.random.default_rng(1).normal(0, 0.5, len(y))
    limits = Thresholds(auc_pr=0.3, recall_at_top20=0.3)
    verdict = decide(y, worse, clusters, champion=score, thresholds=limits)
    assert verdict.outcome == "refused"
    assert "worse than the champion (AUC-PR -0." in verdict.words


def test_scoring_time_is_scaled_to_the_budget():
    y, score, clusters = predictions(10_000, 3.2)
    slow = decide(y, score, clusters, scoring_seconds=9.0, scored_accounts=1_000)
    assert slow.outcome == "refused"
    assert checks(slow)["scoring_seconds"].value == pytest.approx(135.0)
    assert decide(y, score, clusters, scoring_seconds=90.0, scored_accounts=15_000).outcome == "pass"


def test_no_scored_account_is_an_error():
    with pytest.raises(ValueError, match="scored_accounts must be at least 1, got 0"):
        decide(*predictions(100, 1.0), scored_accounts=0)
