"""How well a score ranks and how true its probabilities are.

All metrics come from one sort of the scores and accept non-negative weights per row, which makes a
bootstrap replicate one pass over the sorted rows instead of another sort. Rows with the same score form
a group that no metric can tell apart: the result never depends on the order of the rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Metrics of a ranking; higher is better.
RANKING_METRICS = ("auc_roc", "auc_pr", "recall_at_top20", "lift_at_top20")
#: Metrics of probabilities; lower is better.
PROBABILITY_METRICS = ("brier", "ece")


class Ranking:
    """Rows sorted by score once, ready for metrics under any weights.

    Parameters
    ----------
    y : array-like of shape (n,)
        Whether the event happened (bool or 0/1).
    score : array-like of shape (n,)
        Higher means more likely; finite.

    Raises
    ------
    ValueError
        Lengths differ, a score is not finite, or ``y`` holds something else than 0 and 1.

    Notes
    -----
    O(n log n) once, O(n) per metric.
    """

    def __init__(self, y: Any, score: Any) -> None:
        labels = np.asarray(y)
        values = np.asarray(score, dtype=np.float64)
        if labels.shape != values.shape or labels.ndim != 1:
            raise ValueError(f"y and score must have one length, got {labels.shape} and {values.shape}")
        if not np.isfinite(values).all():
            raise ValueError(f"scores must be finite, got {int((~np.isfinite(values)).sum())} others")
        if not np.isin(labels, (0, 1)).all():
            raise ValueError(f"y must hold 0 and 1 only, got {np.unique(labels)[:5]}")
        self.order: NDArray[np.intp] = np.argsort(-values, kind="stable")
        self.score: Floats = values[self.order]
        self.y: Floats = labels[self.order].astype(np.float64)
        # Last row of each group of equal scores.
        self.ends: NDArray[np.intp] = np.flatnonzero(np.append(np.diff(self.score) != 0, True)[: len(self.y)])
        self._group: NDArray[np.intp] = np.searchsorted(self.ends, np.arange(len(self.y)))
        self._squared: Floats = (self.score - self.y) ** 2

    def __len__(self) -> int:
        return len(self.y)

    def sorted_weights(self, weights: Any = None) -> Floats:
        """Weights of the rows as given, in the order of the ranking; ones if None."""
        if weights is None:
            return np.ones(len(self.y))
        return np.asarray(weights, dtype=np.float64)[self.order]

    def metrics(
        self, weights: Floats | None = None, *, probability: bool = True, bins: int = 10
    ) -> dict[str, float]:
        """All metrics under ``weights`` (already sorted as by :meth:`sorted_weights`).

        Parameters
        ----------
        weights : ndarray of shape (n,), optional
            Non-negative; a row of weight 2 counts as two equal rows.
        probability : bool
            Whether the score is a probability, so that ``brier`` and ``ece`` mean something.
        bins : int
            Quantile bins of the calibration error.

        Returns
        -------
        dict
            ``auc_roc``, ``auc_pr``, ``recall_at_top20``, ``lift_at_top20``, and for probabilities
            ``brier`` and ``ece``. NaN where undefined: all of the ranking metrics without an event,
            ``auc_roc`` also without a non-event.
        """
        w = np.ones(len(self.y)) if weights is None else weights
        cum_all, cum_pos = self.cumulate(w)
        recall = recall_at(cum_all, cum_pos, 0.2)
        out = {
            "auc_roc": auc_roc_of(cum_all, cum_pos),
            "auc_pr": auc_pr_of(cum_all, cum_pos),
            "recall_at_top20": recall,
            "lift_at_top20": recall / 0.2,
        }
        if probability:
            total = float(w.sum())
            out["brier"] = float(w @ self._squared) / total if total else float("nan")
            out["ece"] = self._ece(w, cum_all, bins)
        return out

    def cumulate(self, weights: Floats) -> tuple[Floats, Floats]:
        """Weight and weight of events from the top down to the end of each group of equal scores."""
        return np.cumsum(weights)[self.ends], np.cumsum(weights * self.y)[self.ends]

    def _ece(self, w: Floats, cum_all: Floats, bins: int) -> float:
        total = cum_all[-1] if len(cum_all) else 0.0
        if not total:
            return float("nan")
        bin_of = self.quantile_bins(cum_all, bins)
        gap = np.bincount(bin_of[self._group], weights=w * (self.y - self.score), minlength=bins)
        return float(np.abs(gap).sum() / total)

    def quantile_bins(self, cum_all: Floats, bins: int) -> NDArray[np.intp]:
        """Bin of each group, 0 = highest scores: by the middle of the group's share of the weight."""
        middle = cum_all - np.diff(cum_all, prepend=0.0) / 2
        position = (middle / cum_all[-1] * bins).astype(np.intp)
        return np.asarray(np.minimum(position, bins - 1))


def auc_roc_of(cum_all: Floats, cum_pos: Floats) -> float:
    """Probability that an event outranks a non-event, ties counting half."""
    if not len(cum_all):
        return float("nan")
    positives, negatives = cum_pos[-1], cum_all[-1] - cum_pos[-1]
    if positives <= 0 or negatives <= 0:
        return float("nan")
    cum_neg = cum_all - cum_pos
    # Area under the curve by trapezes: over each group, non-events x mean of events above.
    area = np.diff(cum_neg, prepend=0.0) @ (cum_pos + np.concatenate([[0.0], cum_pos[:-1]])) / 2
    return float(area / (positives * negatives))


def auc_pr_of(cum_all: Floats, cum_pos: Floats) -> float:
    """Average precision: precision at each group's end, weighted by the recall it adds."""
    if not len(cum_all) or cum_pos[-1] <= 0:
        return float("nan")
    precision = np.divide(cum_pos, cum_all, out=np.zeros_like(cum_pos), where=cum_all > 0)
    return float(np.diff(cum_pos, prepend=0.0) @ precision / cum_pos[-1])


def recall_at(cum_all: Floats, cum_pos: Floats, share: float) -> float:
    """Share of the events among the top ``share`` of the weight.

    The group of equal scores (or the single row) that the cut goes through counts in proportion: what
    one gets on average when ties are broken at random.
    """
    if not len(cum_all) or cum_pos[-1] <= 0:
        return float("nan")
    found = np.interp(share * cum_all[-1], np.append(0.0, cum_all), np.append(0.0, cum_pos))
    return float(found / cum_pos[-1])


def auc_roc(y: Any, score: Any, weights: Any = None) -> float:
    """Area under the ROC curve, ties counting half."""
    ranking = Ranking(y, score)
    return auc_roc_of(*ranking.cumulate(ranking.sorted_weights(weights)))


def auc_pr(y: Any, score: Any, weights: Any = None) -> float:
    """Area under the precision-recall curve as average precision (no interpolation)."""
    ranking = Ranking(y, score)
    return auc_pr_of(*ranking.cumulate(ranking.sorted_weights(weights)))


def recall_at_top(y: Any, score: Any, share: float = 0.2, weights: Any = None) -> float:
    """Share of the events found in the top ``share`` of the rows; see :func:`recall_at` for ties.

    Raises
    ------
    ValueError
        ``share`` is not in (0, 1].
    """
    if not 0 < share <= 1:
        raise ValueError(f"share must be in (0, 1], got {share!r}")
    ranking = Ranking(y, score)
    return recall_at(*ranking.cumulate(ranking.sorted_weights(weights)), share)


def lift_at_top(y: Any, score: Any, share: float = 0.2, weights: Any = None) -> float:
    """How many times more events the top ``share`` holds than the same number of rows drawn at random."""
    return recall_at_top(y, score, share, weights) / share


def brier(y: Any, probability: Any, weights: Any = None) -> float:
    """Mean squared difference between probability and outcome; lower is better."""
    return float(
        np.average((np.asarray(probability, dtype=np.float64) - np.asarray(y)) ** 2, weights=weights)
    )


def expected_calibration_error(y: Any, probability: Any, *, bins: int = 10, weights: Any = None) -> float:
    """Mean gap between the predicted and the observed rate over bins of equal weight.

    Rows with the same probability stay in one bin. Biased upwards by chance on small samples: with a
    perfect model it is about ``sqrt(rate x bins / n)``, not 0.
    """
    ranking = Ranking(y, probability)
    return ranking.metrics(ranking.sorted_weights(weights), bins=bins)["ece"]


def all_metrics(y: Any, score: Any, *, probability: bool = True, weights: Any = None) -> dict[str, float]:
    """Every metric by name; see :meth:`Ranking.metrics`."""
    ranking = Ranking(y, score)
    return ranking.metrics(ranking.sorted_weights(weights), probability=probability)
