"""The vectorised bootstrap against one that repeats rows and sorts again for every replicate."""

from __future__ import annotations

import numpy as np
import pytest

from models.evaluation.bootstrap import bootstrap_metrics, cluster_positions, draw_counts, paired_difference
from models.evaluation.metrics import all_metrics


def panel(n_accounts: int, snapshots: int, seed: int, decimals: int = 2):
    """Rows of accounts over snapshots; scores are rounded so that ties occur."""
    rng = np.random.default_rng(seed)
    account = np.repeat([f"a{i:04d}" for i in range(n_accounts)], snapshots)
    risk = np.repeat(rng.normal(-1.5, 1, n_accounts), snapshots) + rng.normal(0, 0.5, n_accounts * snapshots)
    p = 1 / (1 + np.exp(-risk))
    y = rng.random(len(p)) < p
    mix = rng.permutation(len(p))
    noisy = 1 / (1 + np.exp(-risk - rng.normal(0, 1, len(p))))
    return y[mix], p.round(decimals)[mix], noisy.round(decimals)[mix], account[mix]


def brute_force(y, score, clusters, n_replicates, seed, probability=True):
    """Metrics of replicates made by really repeating the drawn accounts' rows."""
    position, size = cluster_positions(clusters)
    out = []
    for chunk in draw_counts(size, n_replicates, seed):
        for counts in chunk.T:
            taken = np.repeat(np.arange(len(y)), counts[position].astype(int))
            out.append(all_metrics(y[taken], score[taken], probability=probability))
    return out


def test_intervals_equal_brute_force():
    y, score, _, account = panel(120, 4, 0)
    fast = bootstrap_metrics(y, score, account, n_replicates=100, seed=3)
    slow = brute_force(y, score, account, 100, 3)
    for name in ("auc_roc", "auc_pr", "recall_at_top20", "lift_at_top20", "brier"):
        low, high = np.quantile([replicate[name] for replicate in slow], [0.05, 0.95])
        assert (fast[name].low, fast[name].high) == pytest.approx((low, high)), name
    assert {name: fast[name].value for name in fast} == pytest.approx(all_metrics(y, score))


def test_paired_difference_equals_brute_force():
    y, score, other, account = panel(120, 4, 1)
    fast = paired_difference(y, score, other, account, n_replicates=100, seed=3)
    ours, theirs = (brute_force(y, s, account, 100, 3, probability=False) for s in (score, other))
    for name in ("auc_roc", "auc_pr", "recall_at_top20"):
        differences = [a[name] - b[name] for a, b in zip(ours, theirs, strict=True)]
        low, high = np.quantile(differences, [0.05, 0.95])
        assert (fast[name].low, fast[name].high) == pytest.approx((low, high)), name


def test_intervals_cover_the_truth_as_often_as_they_say():
    # The truth: AUC-ROC on a panel so large that its own error is negligible.
    y, score, _, _ = panel(40_000, 1, 99, decimals=6)
    truth = all_metrics(y, score)["auc_roc"]
    covered = 0
    for seed in range(100):
        y, score, _, account = panel(300, 1, seed, decimals=6)
        found = bootstrap_metrics(y, score, account, n_replicates=200)["auc_roc"]
        covered += found.low <= truth <= found.high
    assert 80 <= covered <= 98  # 90 expected, standard deviation 3


def test_accounts_not_rows_are_resampled():
    y, score, _, account = panel(200, 1, 4)
    once = bootstrap_metrics(y, score, account)["auc_pr"]
    # The same rows six times over are no further evidence.
    again = bootstrap_metrics(np.tile(y, 6), np.tile(score, 6), np.tile(account, 6))["auc_pr"]
    assert (again.low, again.high) == pytest.approx((once.low, once.high))


def test_order_of_the_rows_does_not_matter():
    y, score, _, account = panel(100, 3, 5)
    mix = np.random.default_rng(0).permutation(len(y))
    first = bootstrap_metrics(y, score, account, n_replicates=50)
    second = bootstrap_metrics(y[mix], score[mix], account[mix], n_replicates=50)
    for name in first:
        assert (first[name].low, first[name].high) == pytest.approx((second[name].low, second[name].high))


def test_a_score_differs_from_itself_by_nothing():
    y, score, _, account = panel(100, 3, 6)
    for name, found in paired_difference(y, score, score, account, n_replicates=50).items():
        assert (found.value, found.low, found.high) == (0, 0, 0), name


def test_mostly_undefined_replicates_give_no_interval():
    y = np.zeros(50, dtype=bool)
    found = bootstrap_metrics(y, np.linspace(0, 1, 50), np.arange(50), n_replicates=20)
    assert np.isnan(found["auc_pr"].low)
    assert found["brier"].low > 0


def test_level_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"level must be in \(0, 1\), got 95"):
        bootstrap_metrics([0, 1], [0.1, 0.2], [1, 2], level=95)
