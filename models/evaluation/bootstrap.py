"""Intervals of metrics by resampling accounts.

An account occurs in several snapshots, and its rows resemble each other; rows drawn one by one would
pretend to more evidence than there is. So whole accounts are drawn: a replicate weights all rows of an
account by the number of times it was drawn. The weights of a segment of the ranking are then
a sparse product (segments x accounts) x (accounts x replicates): no replicate sorts, or even visits, rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from models.evaluation.metrics import Ranking, probability_metrics, ranking_metrics

Floats = NDArray[np.float64]

#: Share of replicates inside an interval by default. Its lower end is a one-sided 95 % bound.
LEVEL = 0.9
#: Replicates computed at once: bounds the memory at about 64 x (accounts + segments) floats.
CHUNK = 64


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


class ClusteredRanking:
    """A ranking whose rows belong to accounts, ready for replicates.

    Parameters
    ----------
    ranking : Ranking
    position : ndarray of shape (n,)
        Account of each row (0 .. n_accounts - 1), in the order the rows were given to ``ranking``.
    n_accounts : int
    """

    def __init__(self, ranking: Ranking, position: NDArray[np.intp], n_accounts: int) -> None:
        account = position[ranking.order]

        def by_account(values: Floats, place: NDArray[np.intp], n_places: int) -> Any:
            return sparse.csr_matrix((values, (place, account)), shape=(n_places, n_accounts))

        self._rows = by_account(np.ones(len(ranking)), ranking.segment, ranking.n_segments)
        self._events = by_account(ranking.y, ranking.segment, ranking.n_segments)
        self._events.eliminate_zeros()
        self._gap = by_account(ranking.y - ranking.score, ranking.bin, ranking.n_bins)
        self._squared = np.bincount(account, weights=ranking.squared_error, minlength=n_accounts)

    def metrics(self, counts: Floats, *, probability: bool = True) -> dict[str, Floats]:
        """Metrics of replicates.

        Parameters
        ----------
        counts : ndarray of shape (n_accounts, n_replicates)
            How often each account was drawn.
        probability : bool
            Whether the score is a probability (adds ``brier`` and ``ece``).

        Returns
        -------
        dict of ndarray of shape (n_replicates,)
        """
        rows = np.cumsum(self._rows @ counts, axis=0)
        out: dict[str, Floats] = ranking_metrics(rows, np.cumsum(self._events @ counts, axis=0))
        if probability and len(rows):
            out |= probability_metrics(self._squared @ counts, self._gap @ counts, rows[-1])
        return out


def cluster_positions(clusters: Any) -> tuple[NDArray[np.intp], int]:
    """Position of each row's cluster among the sorted distinct ones, and how many there are."""
    names, position = np.unique(np.asarray(clusters), return_inverse=True)
    return position.reshape(-1), len(names)


def draw_counts(n_accounts: int, n_replicates: int, seed: int) -> Iterator[Floats]:
    """How often each account is drawn, in chunks of shape (n_accounts, up to ``CHUNK``)."""
    rng = np.random.default_rng(seed)
    for start in range(0, n_replicates, CHUNK):
        size = min(CHUNK, n_replicates - start)
        drawn = [
            np.bincount(rng.integers(0, n_accounts, n_accounts), minlength=n_accounts) for _ in range(size)
        ]
        yield np.ascontiguousarray(np.array(drawn, dtype=np.float64).T)


def bootstrap_metrics(
    y: Any,
    score: Any,
    clusters: Any,
    *,
    probability: bool = True,
    n_replicates: int = 1000,
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

    Notes
    -----
    The calibration bins stay those of the whole data in every replicate.
    """
    ranking = Ranking(y, score)
    value = ranking.metrics(probability=probability)
    position, n_accounts = cluster_positions(clusters)
    clustered = ClusteredRanking(ranking, position, n_accounts)
    chunks = [
        clustered.metrics(counts, probability=probability)
        for counts in draw_counts(n_accounts, n_replicates, seed)
    ]
    return _intervals(value, chunks, level)


def paired_difference(
    y: Any,
    score: Any,
    other: Any,
    clusters: Any,
    *,
    n_replicates: int = 1000,
    level: float = LEVEL,
    seed: int = 0,
) -> dict[str, Interval]:
    """Ranking metrics of ``score`` minus those of ``other``, both judged on the same draws.

    What the two have in common (easy and hard accounts) cancels, so that much smaller differences are
    seen than by comparing two intervals. Positive means that ``score`` is better.
    """
    rankings = Ranking(y, score), Ranking(y, other)
    ours, theirs = (ranking.metrics(probability=False) for ranking in rankings)
    position, n_accounts = cluster_positions(clusters)
    left, right = (ClusteredRanking(ranking, position, n_accounts) for ranking in rankings)
    chunks = []
    for counts in draw_counts(n_accounts, n_replicates, seed):
        a, b = (side.metrics(counts, probability=False) for side in (left, right))
        chunks.append({name: a[name] - b[name] for name in a})
    return _intervals({name: ours[name] - theirs[name] for name in ours}, chunks, level)


def _intervals(value: dict[str, float], chunks: list[dict[str, Floats]], level: float) -> dict[str, Interval]:
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got {level!r}")
    out = {}
    for name, estimate in value.items():
        replicates = np.concatenate([chunk[name] for chunk in chunks])
        defined = replicates[~np.isnan(replicates)]
        low = high = float("nan")
        if len(defined) * 2 > len(replicates):
            low, high = (float(q) for q in np.quantile(defined, [(1 - level) / 2, (1 + level) / 2]))
        out[name] = Interval(estimate, low, high, level)
    return out
