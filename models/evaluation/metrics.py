"""How well a score ranks and how true its probabilities are.

Rows with the same score form a group that no metric can tell apart, so no result depends on the order of
the rows. All metrics come from one sort and accept weights; several sets of weights (the replicates of a
bootstrap) are the columns of one array and cost no further sort.
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
#: The team can contact this share of the accounts.
TOP = 0.2


class Ranking:
    """Rows sorted by score once, cut into segments on which every ranking metric is exact.

    A segment is a group of equal scores that holds events, or a run of groups without any: inside such
    a run neither precision nor recall changes. With few events there are few segments.

    Parameters
    ----------
    y : array-like of shape (n,)
        Whether the event happened (bool or 0/1).
    score : array-like of shape (n,)
        Higher means more likely; finite.
    bins : int
        Bins of the calibration error: equal numbers of rows, equal scores never split.

    Attributes
    ----------
    order : ndarray of shape (n,)
        Positions of the rows from the highest score down.
    y, score : ndarray of shape (n,)
        In that order.
    segment, bin : ndarray of shape (n,)
        Segment and calibration bin of each row, in that order.
    n_segments, n_bins : int

    Raises
    ------
    ValueError
        Lengths differ, a score is not finite, or ``y`` holds something else than 0 and 1.
    """

    def __init__(self, y: Any, score: Any, *, bins: int = 10) -> None:
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
        n = len(self.y)
        group = np.cumsum(np.diff(self.score, prepend=np.inf) != 0) - 1
        n_groups = int(group[-1]) + 1 if n else 0
        eventful = np.bincount(group, weights=self.y, minlength=n_groups) > 0
        segment_of_group = np.cumsum(eventful | np.append(True, eventful[:-1])[:n_groups]) - 1
        self.segment: NDArray[np.intp] = segment_of_group[group]
        self.n_segments = int(self.segment[-1]) + 1 if n else 0
        size = np.bincount(group, minlength=n_groups)
        middle = (np.cumsum(size) - size / 2) / max(n, 1)
        self.n_bins = bins
        self.bin: NDArray[np.intp] = np.minimum((middle * bins).astype(np.intp), bins - 1)[group]

    def __len__(self) -> int:
        return len(self.y)

    def cumulate(self, weights: Any = None) -> tuple[Floats, Floats]:
        """Weight of rows and of events from the top down to the end of each segment.

        Parameters
        ----------
        weights : array-like of shape (n,), optional
            In the order the rows were given; ones if None.
        """
        w = self._sorted(weights)
        rows = np.bincount(self.segment, weights=w, minlength=self.n_segments)
        events = np.bincount(self.segment, weights=w * self.y, minlength=self.n_segments)
        return np.cumsum(rows), np.cumsum(events)

    def metrics(self, weights: Any = None, *, probability: bool = True) -> dict[str, float]:
        """All metrics by name.

        Parameters
        ----------
        weights : array-like of shape (n,), optional
            Not negative, in the order the rows were given; a row of weight 2 counts as two equal rows.
        probability : bool
            Whether the score is a probability, so that ``brier`` and ``ece`` mean something.

        Returns
        -------
        dict
            ``auc_roc``, ``auc_pr``, ``recall_at_top20``, ``lift_at_top20``, and for probabilities
            ``brier`` and ``ece``. NaN where undefined: ranking metrics without an event, ``auc_roc``
            also without a non-event, everything without a row.
        """
        out = ranking_metrics(*self.cumulate(weights))
        if probability:
            w = self._sorted(weights)
            residual = w * (self.y - self.score)
            gap = np.bincount(self.bin, weights=residual, minlength=self.n_bins).astype(np.float64)
            out |= probability_metrics(np.dot(w, self.squared_error), gap, w.sum())
        return {name: float(value) for name, value in out.items()}

    @property
    def squared_error(self) -> Floats:
        """Squared difference between score and outcome of each row, in the order of the ranking."""
        return np.asarray((self.score - self.y) ** 2)

    def _sorted(self, weights: Any) -> Floats:
        if weights is None:
            return np.ones(len(self.y))
        return np.asarray(weights, dtype=np.float64)[self.order]


def ranking_metrics(rows: Floats, events: Floats) -> dict[str, Any]:
    """Ranking metrics from cumulated weights of shape (n_segments,) or (n_segments, n_replicates)."""
    recall = recall_at(rows, events, TOP)
    return {
        "auc_roc": area_under_roc(rows, events),
        "auc_pr": average_precision(rows, events),
        "recall_at_top20": recall,
        "lift_at_top20": recall / TOP,
    }


def probability_metrics(squared: Any, gap: Floats, total: Any) -> dict[str, Any]:
    """Brier score and calibration error from sums: of squared errors, of residuals by bin, of weights."""
    return {"brier": _ratio(squared, total), "ece": _ratio(np.abs(gap).sum(axis=0), total)}


def area_under_roc(rows: Floats, events: Floats) -> Any:
    """Probability that an event outranks a non-event, ties counting half; NaN without either."""
    if not len(rows):
        return np.full(rows.shape[1:], np.nan)
    others = rows - events
    # Area by trapezes: the non-events of a segment times the mean of the events above and within.
    area = (_steps(others) * (events - _steps(events) / 2)).sum(axis=0)
    return _ratio(area, events[-1] * others[-1])


def average_precision(rows: Floats, events: Floats) -> Any:
    """Precision at the end of each segment, weighted by the recall it adds; NaN without events."""
    if not len(rows):
        return np.full(rows.shape[1:], np.nan)
    precision = np.divide(events, rows, out=np.zeros_like(events), where=rows > 0)
    return _ratio((_steps(events) * precision).sum(axis=0), events[-1])


def recall_at(rows: Floats, events: Floats, share: float) -> Any:
    """Share of the events among the top ``share`` of the weight; NaN without events.

    Rows of equal score that the cut goes through (also a single row, if the cut falls inside it) count
    in proportion: what one gets on average when ties are broken at random.
    """
    if not len(rows):
        return np.full(rows.shape[1:], np.nan)
    cut = share * rows[-1]
    reached = np.minimum((rows < cut).sum(axis=0), len(rows) - 1)  # the segment the cut falls into

    def at(cumulated: Floats) -> tuple[Any, Any]:
        end = np.take_along_axis(cumulated, np.expand_dims(reached, 0), axis=0)[0]
        step = np.take_along_axis(_steps(cumulated), np.expand_dims(reached, 0), axis=0)[0]
        return end, step

    (row_end, row_step), (event_end, event_step) = at(rows), at(events)
    inside = np.where(row_step > 0, 1 - (row_end - cut) / np.where(row_step > 0, row_step, 1), 1.0)
    return _ratio(event_end - event_step * (1 - inside), events[-1])


def _steps(cumulated: Floats) -> Floats:
    return np.diff(cumulated, axis=0, prepend=np.zeros((1, *cumulated.shape[1:])))


def _ratio(numerator: Any, denominator: Any) -> Any:
    numerator, denominator = np.asarray(numerator, dtype=np.float64), np.asarray(denominator)
    return np.divide(
        numerator, denominator, out=np.full(numerator.shape, np.nan), where=np.asarray(denominator > 0)
    )


def auc_roc(y: Any, score: Any, weights: Any = None) -> float:
    """Area under the ROC curve, ties counting half."""
    return float(area_under_roc(*Ranking(y, score).cumulate(weights)))


def auc_pr(y: Any, score: Any, weights: Any = None) -> float:
    """Area under the precision-recall curve as average precision (no interpolation)."""
    return float(average_precision(*Ranking(y, score).cumulate(weights)))


def recall_at_top(y: Any, score: Any, share: float = TOP, weights: Any = None) -> float:
    """Share of the events found in the top ``share`` of the rows; :func:`recall_at` has the tie rule.

    Raises
    ------
    ValueError
        ``share`` is not in (0, 1].
    """
    if not 0 < share <= 1:
        raise ValueError(f"share must be in (0, 1], got {share!r}")
    return float(recall_at(*Ranking(y, score).cumulate(weights), share))


def brier(y: Any, probability: Any, weights: Any = None) -> float:
    """Mean squared difference between probability and outcome; lower is better."""
    return Ranking(y, probability).metrics(weights)["brier"]


def expected_calibration_error(y: Any, probability: Any, *, bins: int = 10, weights: Any = None) -> float:
    """Mean gap between predicted and observed rate over quantile bins of the rows; lower is better.

    Biased upwards by chance on few rows: a perfect model has about ``sqrt(rate x bins / n)``, not 0.
    """
    return Ranking(y, probability, bins=bins).metrics(weights)["ece"]


def all_metrics(y: Any, score: Any, *, probability: bool = True, weights: Any = None) -> dict[str, float]:
    """Every metric by name; see :meth:`Ranking.metrics`."""
    return Ranking(y, score).metrics(weights, probability=probability)
