"""Metrics against scikit-learn, against their definitions, and under transformations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from models.evaluation.metrics import (
    Ranking,
    all_metrics,
    auc_pr,
    auc_roc,
    brier,
    expected_calibration_error,
    recall_at_top,
)

# Scores on a coarse grid: ties are the hard part.
rows = st.lists(st.tuples(st.booleans(), st.integers(0, 12), st.integers(0, 3)), min_size=2, max_size=80)


def unpack(data):
    y, score, weight = (np.array(column) for column in zip(*data, strict=True))
    return y.astype(bool), score / 12, weight.astype(float)


@given(rows)
@settings(max_examples=200, deadline=None)
def test_areas_equal_scikit_learn(data):
    y, score, _ = unpack(data)
    if y.any():
        assert auc_pr(y, score) == pytest.approx(average_precision_score(y, score))
    if y.any() and not y.all():
        assert auc_roc(y, score) == pytest.approx(roc_auc_score(y, score))
    assert brier(y, score) == pytest.approx(brier_score_loss(y, score))


@given(rows)
@settings(max_examples=200, deadline=None)
def test_a_weight_is_a_repetition(data):
    y, score, weight = unpack(data)
    times = weight.astype(int)
    if not times.sum():
        return
    weighted = all_metrics(y, score, weights=weight)
    repeated = all_metrics(np.repeat(y, times), np.repeat(score, times))
    for name in ("auc_roc", "auc_pr", "recall_at_top20", "lift_at_top20", "brier"):
        assert weighted[name] == pytest.approx(repeated[name], nan_ok=True), name


@given(rows, st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_order_of_the_rows_does_not_matter(data, random):
    shuffled = list(data)
    random.shuffle(shuffled)
    (y, score, weight), (y2, score2, weight2) = unpack(data), unpack(shuffled)
    first, second = all_metrics(y, score, weights=weight), all_metrics(y2, score2, weights=weight2)
    assert first == pytest.approx(second, nan_ok=True)


@given(rows)
@settings(max_examples=100, deadline=None)
def test_ranking_metrics_know_the_order_only(data):
    y, score, _ = unpack(data)
    first = all_metrics(y, score, probability=False)
    second = all_metrics(y, np.exp(3 * score) - 5, probability=False)
    assert first == pytest.approx(second, nan_ok=True)


@given(rows, st.sampled_from([0.05, 0.2, 0.5, 1.0]))
@settings(max_examples=50, deadline=None)
def test_recall_is_what_random_tie_breaking_gives_on_average(data, share):
    y, score, _ = unpack(data)
    if not y.any():
        return
    k = share * len(y)
    expected = 0.0
    for value in np.unique(score):
        above, tied = (score > value).sum(), score == value
        expected += y[tied].sum() * np.clip((k - above) / tied.sum(), 0, 1)
    assert recall_at_top(y, score, share) == pytest.approx(expected / y.sum())


def test_recall_by_hand():
    y = np.array([1, 0, 1, 0, 0, 0, 0, 0, 1, 0])
    score = np.linspace(1, 0, 10)
    assert recall_at_top(y, score, 0.2) == pytest.approx(1 / 3)
    assert recall_at_top(y, score, 0.3) == pytest.approx(2 / 3)


def test_calibration_error_by_hand():
    # Two bins of five: rates 0.4 and 0 against 0.9 and 0.1.
    y = np.array([1, 1, 0, 0, 0, 0, 0, 0, 0, 0])
    p = np.repeat([0.9, 0.1], 5)
    assert expected_calibration_error(y, p, bins=2) == pytest.approx((0.5 * 5 + 0.1 * 5) / 10)


def test_calibration_error_of_the_truth_is_small_and_of_a_shifted_one_is_the_shift():
    rng = np.random.default_rng(0)
    p = rng.uniform(0.05, 0.6, 50_000)
    y = rng.random(50_000) < p
    assert expected_calibration_error(y, p) < 0.01
    assert expected_calibration_error(y, p + 0.1) == pytest.approx(0.1, abs=0.01)


def test_undefined_is_nan():
    assert np.isnan(auc_pr([0, 0], [0.1, 0.2]))
    assert np.isnan(auc_roc([1, 1], [0.1, 0.2]))
    assert np.isnan(recall_at_top([0, 0], [0.1, 0.2]))
    assert all(np.isnan(value) for value in all_metrics([], []).values())


@pytest.mark.parametrize(
    ("y", "score", "message"),
    [
        ([0, 1], [0.1], "one length"),
        ([0, 1], [0.1, np.nan], "finite, got 1 others"),
        ([0, 2], [0.1, 0.2], "0 and 1 only"),
    ],
)
def test_nonsense_is_refused(y, score, message):
    with pytest.raises(ValueError, match=message):
        Ranking(y, score)


def test_share_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"share must be in \(0, 1\], got 20"):
        recall_at_top([0, 1], [0.1, 0.2], 20)
