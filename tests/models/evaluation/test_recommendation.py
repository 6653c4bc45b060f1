"""Metrics of lists against plain Python."""

from __future__ import annotations

import numpy as np
import pytest

from models.evaluation.recommendation import (
    average_precisions,
    coverage,
    filled,
    mean_average_precision,
)


def by_hand(listed, taken: set[int]) -> float:
    hits, total = 0, 0.0
    for place, product in enumerate(listed, start=1):
        if product in taken:
            hits += 1
            total += hits / place
    return total / min(len(taken), len(listed)) if taken else float("nan")


def test_average_precision_of_lists_is_the_text_books() -> None:
    rng = np.random.default_rng(0)
    lists = np.array([rng.permutation(8)[:3] for _ in range(300)])
    lists[:20, 2] = -1
    taken = rng.random((300, 8)) < 0.2
    found = average_precisions(lists, taken)
    wanted = [by_hand(row, set(np.flatnonzero(got).tolist())) for row, got in zip(lists, taken, strict=True)]
    np.testing.assert_allclose(found, wanted)
    assert np.isnan(found).any()
    assert mean_average_precision(found) == pytest.approx(np.nanmean(wanted))


def test_what_was_held_before_is_no_hit() -> None:
    held = np.array([[False, True]])
    assert np.isnan(average_precisions(np.array([[1, 0]]), np.array([[False, True]]), held)).all()


def test_coverage_counts_products_and_full_lists() -> None:
    lists = np.array([[0, 1, -1], [1, 2, 0]])
    assert coverage(lists, 6) == 0.5
    assert filled(lists) == 0.5
    assert np.isnan(mean_average_precision(np.array([np.nan])))
