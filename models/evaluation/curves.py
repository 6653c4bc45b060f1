"""Curves for the report, as small arrays whatever the number of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.evaluation.metrics import Ranking

Curve = dict[str, NDArray[np.float64]]


def precision_recall_curve(y: Any, score: Any, *, points: int = 200) -> Curve:
    """Precision by recall.

    Returns
    -------
    dict
        ``recall`` (ascending), ``precision`` and ``share`` (of rows that far down), at most ``points``
        each; empty without an event. Points are those of the exact curve, thinned evenly in recall.
    """
    rows, events = Ranking(y, score).cumulate()
    if not len(rows) or events[-1] <= 0:
        return {name: np.empty(0) for name in ("recall", "precision", "share")}
    eventful = np.diff(events, prepend=0.0) > 0
    rows, events, total = rows[eventful], events[eventful], rows[-1]
    at = np.unique(np.searchsorted(events, np.linspace(events[0], events[-1], points)))
    return {"recall": events[at] / events[-1], "precision": events[at] / rows[at], "share": rows[at] / total}


def gain_curve(y: Any, score: Any, *, points: int = 101) -> Curve:
    """Recall and lift by share of the accounts contacted, from the highest score down.

    Returns
    -------
    dict
        ``share`` (0 to 1), ``recall`` (the same as :func:`~models.evaluation.metrics.recall_at_top`) and
        ``lift`` (NaN at share 0); recall is NaN without an event.
    """
    rows, events = Ranking(y, score).cumulate()
    share = np.linspace(0, 1, points)
    if not len(rows) or events[-1] <= 0:
        return {"share": share, "recall": np.full(points, np.nan), "lift": np.full(points, np.nan)}
    recall = np.interp(share * rows[-1], np.append(0.0, rows), np.append(0.0, events)) / events[-1]
    lift = np.divide(recall, share, out=np.full(points, np.nan), where=share > 0)
    return {"share": share, "recall": recall, "lift": lift}


def calibration_curve(y: Any, probability: Any, *, bins: int = 10) -> Curve:
    """Observed rate against predicted probability, over bins of about equal numbers of rows.

    Returns
    -------
    dict
        ``predicted`` (mean, ascending), ``observed``, ``n``, and the Wilson 95 % interval of the
        observed rate as ``low`` and ``high``. Empty bins (many equal scores) are left out.

    References
    ----------
    Wilson (1927), Probable inference, the law of succession, and statistical inference, JASA 22.
    """
    ranking = Ranking(y, probability, bins=bins)
    n = np.bincount(ranking.bin, minlength=bins).astype(np.float64)
    some = np.flatnonzero(n)[::-1]
    n = n[some]
    predicted = np.bincount(ranking.bin, weights=ranking.score, minlength=bins)[some] / n
    observed = np.bincount(ranking.bin, weights=ranking.y, minlength=bins)[some] / n
    z = 1.959964
    middle = (observed + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(observed * (1 - observed) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return {
        "predicted": predicted,
        "observed": observed,
        "n": n,
        "low": np.clip(middle - half, 0, 1),
        "high": np.clip(middle + half, 0, 1),
    }
