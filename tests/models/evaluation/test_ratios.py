"""Intervals of ratios hold what they should, and say when they cannot."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models.evaluation.ratios import ratio_interval


def test_the_interval_is_about_as_wide_as_the_ratio_varies() -> None:
    """Against draws of new data: 90 % intervals hold the true ratio about as often."""
    rng = np.random.default_rng(0)
    inside, widths, values = 0, [], []
    for seed in range(200):
        bottom = rng.integers(1, 20, 120).astype(float)
        top = bottom * rng.normal(0.2, 0.3, 120)
        found = ratio_interval(top, bottom, np.arange(120), n_replicates=100, seed=seed)
        inside += found.low <= 0.2 <= found.high
        widths.append(found.high - found.low)
        values.append(found.value)
    assert 0.82 <= inside / 200 <= 0.96
    assert np.mean(widths) == pytest.approx(2 * 1.645 * np.std(values), rel=0.15)


def test_rows_of_a_cluster_are_drawn_together() -> None:
    """Copies of a row are no further evidence."""
    rng = np.random.default_rng(1)
    top, bottom = rng.normal(1, 1, 60), np.ones(60)
    once = ratio_interval(top, bottom, np.arange(60))
    copied = ratio_interval(np.repeat(top, 5), np.repeat(bottom, 5), np.repeat(np.arange(60), 5))
    assert (copied.value, copied.low, copied.high) == pytest.approx((once.value, once.low, once.high))
    apart = ratio_interval(np.repeat(top, 5), np.repeat(bottom, 5), np.arange(300))
    assert apart.high - apart.low < 0.6 * (once.high - once.low)


def test_what_cannot_be_told_is_nan() -> None:
    nothing = ratio_interval(np.zeros(3), np.zeros(3), ["a", "b", "c"])
    assert math.isnan(nothing.value)
    assert math.isnan(ratio_interval(np.zeros(0), np.zeros(0), []).value)
    one = ratio_interval(np.ones(3), np.full(3, 4.0), ["a", "a", "a"])
    assert one.value == 0.25
    assert math.isnan(one.low)
