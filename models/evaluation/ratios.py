"""Intervals of ratios of sums, such as the MAPE or the bias of many series, by drawing whole clusters."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.evaluation.bootstrap import LEVEL, Interval, cluster_positions, draw_counts

Floats = NDArray[np.float64]


def ratio_interval(
    top: Floats,
    bottom: Floats,
    clusters: Any,
    *,
    n_replicates: int = 200,
    level: float = LEVEL,
    seed: int = 0,
) -> Interval:
    """Ratio of two sums with its percentile interval.

    Parameters
    ----------
    top, bottom : ndarray of shape (n,)
        Parts of the two sums.
    clusters : array-like of shape (n,)
        What a row belongs to; all rows of a cluster are drawn together.

    Returns
    -------
    Interval
        NaN where the bottom sums to zero; without interval if only one cluster has any of it.
    """
    top, bottom = np.asarray(top, dtype=np.float64), np.asarray(bottom, dtype=np.float64)
    position, count = cluster_positions(clusters)
    if not count or bottom.sum() == 0:
        return Interval(float("nan"), float("nan"), float("nan"), level)
    a, b = (np.bincount(position, weights=part, minlength=count) for part in (top, bottom))
    value = float(a.sum() / b.sum())
    if np.count_nonzero(b) < 2:
        return Interval(value, float("nan"), float("nan"), level)
    drawn = [(a @ counts, b @ counts) for counts in draw_counts(count, n_replicates, seed)]
    tops, bottoms = (np.concatenate(part) for part in zip(*drawn, strict=True))
    replicates = tops[bottoms > 0] / bottoms[bottoms > 0]
    low, high = (float(end) for end in np.quantile(replicates, [(1 - level) / 2, (1 + level) / 2]))
    return Interval(value, low, high, level)
