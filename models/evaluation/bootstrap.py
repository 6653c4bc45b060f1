"""Intervals of metrics by resampling accounts.

An account occurs in several snapshots, and its rows resemble each other; rows drawn one by one would
pretend to more evidence than there is. So whole accounts are drawn: a replicate gives each account the
number of times it was drawn as the weight of all its rows, and the metric is computed from rows that
were sorted once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.evaluation.metrics import Ranking

#: Default share of replicates inside an interval. Its lower end is a one-sided 95 % bound.
LEVEL = 0.9


@dataclass(frozen=True)
class Interval:
    """An estimate and the percentile interval of its bootstrap replicates.

    Attributes
    ----------
    value : float
        The metric on the data as they are.
    low, high : float
        Ends of the interval; NaN if the metric is undefined on most replicates.
    level : float
        Share of replicates inside.
    """

    value: float
    low: float
    high: float
    level: float = LEVEL

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def replicate_counts(
    clusters: Any, n_replicates: int, seed: int
) -> tuple[NDArray[np.intp], Iterator[NDArray[np.float64]]]:
    """Cluster of each row as a position, and how often each cluster is drawn in each replicate.

    Parameters
    ----------
    clusters : array-like of shape (n,)
        What is resampled as a whole, for instance account keys.
    n_replicates, seed : int
        The same seed and the same set of clusters give the same draws.
    """
    names, position = np.unique(np.asarray(clusters), return_inverse=True)
    size = len(names)

    def draw() -> Iterator[NDArray[np.float64]]:
        rng = np.random.default_rng(seed)
        for _ in range(n_replicates):
            yield np.bincount(rng.integers(0, size, size), minlength=size).astype(np.float64)

    return position.reshape(-1), draw()


def bootstrap_metrics(
    y: Any,
    score: Any,
    clusters: Any,
    *,
    probability: bool = True,
    n_replicates: int = 500,
    level: float = LEVEL,
    seed: int = 0,
) -> dict[str, Interval]:
    """Every metric with its interval.

    Parameters
    ----------
    y, score, clusters : array-like of shape (n,)
        Outcome, score, and the account of each row.
    probability : bool
        Whether ``score`` is a probability (adds ``brier`` and ``ece``).
    n_replicates, level, seed
        Number of replicates, share of them inside the interval, seed of the draws.

    Returns
    -------
    dict[str, Interval]

    Notes
    -----
    O(n log n + n_replicates x n): about 4 s for 60,000 rows and 1,000 replicates.
    """
    ranking = Ranking(y, score)
    value = ranking.metrics(probability=probability)
    position, draws = replicate_counts(clusters, n_replicates, seed)
    position = position[ranking.order]
    replicates: dict[str, list[float]] = {name: [] for name in value}
    for counts in draws:
        for name, replicate in ranking.metrics(counts[position], probability=probability).items():
            replicates[name].append(replicate)
    return {name: interval(value[name], replicates[name], level) for name in value}


def paired_difference(
    y: Any,
    score: Any,
    other: Any,
    clusters: Any,
    *,
    n_replicates: int = 500,
    level: float = LEVEL,
    seed: int = 0,
) -> dict[str, Interval]:
    """Ranking metrics of ``score`` minus those of ``other``, both judged on the same draws.

    What the two have in common (easy and hard accounts) cancels, so that much smaller differences are
    seen than by comparing two intervals.

    Returns
    -------
    dict[str, Interval]
        By metric; positive means ``score`` is better.
    """
    ours, theirs = Ranking(y, score), Ranking(y, other)
    position, draws = replicate_counts(clusters, n_replicates, seed)
    our_position, their_position = position[ours.order], position[theirs.order]

    def difference(a: dict[str, float], b: dict[str, float]) -> dict[str, float]:
        return {name: a[name] - b[name] for name in a}

    value = difference(ours.metrics(probability=False), theirs.metrics(probability=False))
    replicates: dict[str, list[float]] = {name: [] for name in value}
    for counts in draws:
        found = difference(
            ours.metrics(counts[our_position], probability=False),
            theirs.metrics(counts[their_position], probability=False),
        )
        for name, replicate in found.items():
            replicates[name].append(replicate)
    return {name: interval(value[name], replicates[name], level) for name in value}


def interval(value: float, replicates: list[float], level: float) -> Interval:
    """Percentile interval of ``replicates``; NaN ends if more than half of them are undefined."""
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got {level!r}")
    defined = np.asarray(replicates)[~np.isnan(replicates)]
    if len(defined) * 2 <= len(replicates):
        return Interval(value, float("nan"), float("nan"), level)
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high), level)
