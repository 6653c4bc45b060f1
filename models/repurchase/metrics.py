"""How good predicted dates and lists are.

A list is judged against the products of the next order that the customer had bought before: what is bought for the
first time is not predicted. If the order repeats nothing, the right list is the empty one, which then has the F1 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def f1_of(named: Any, hits: Any, repeated: Any) -> Floats:
    """F1 of lists, shape (n,).

    Parameters
    ----------
    named, hits, repeated : array-like of shape (n,)
        Products listed; of these, in the order; products in the order that could have been listed.
    """
    k, tp, m = (np.asarray(part, dtype=np.float64) for part in (named, hits, repeated))
    return np.where(k + m == 0, 1.0, 2 * tp / np.maximum(k + m, 1))


def list_metrics(named: Any, hits: Any, repeated: Any) -> dict[str, float]:
    """Mean F1, precision and recall per order, and shares of empty lists.

    Precision is the mean over lists that name something, recall over orders that repeat something.
    """
    k, tp, m = (np.asarray(part, dtype=np.float64) for part in (named, hits, repeated))
    return {
        "f1": _mean(f1_of(k, tp, m)),
        "precision": _mean(tp[k > 0] / k[k > 0]),
        "recall": _mean(tp[m > 0] / m[m > 0]),
        "named": _mean(k),
        "repeated": _mean(m),
        "nothing_named": _mean(k == 0),
        "nothing_repeated": _mean(m == 0),
    }


def timing_metrics(days: Any, expected: Any, low: Any = None, high: Any = None) -> dict[str, float]:
    """Errors in days over customers who came back, and the coverage of the window.

    Parameters
    ----------
    days, expected, low, high : array-like of shape (n,)
        True and predicted days; ends of the window.
    """
    y, guess = np.asarray(days, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    found = {
        "mae_days": _mean(np.abs(guess - y)),
        "median_error_days": float(np.median(np.abs(guess - y))) if len(y) else float("nan"),
        "bias_days": _mean(guess - y),
    }
    if low is not None and high is not None:
        a, b = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
        found |= {"coverage": _mean((a <= y) & (y <= b)), "window_days": _mean(b - a + 1)}
    return found


def curve(probability: Any, happened: Any, *, bins: int = 20) -> dict[str, NDArray[Any]]:
    """Rows in bins of equal size, likeliest first: mean probability and share that came true.

    Gains are cumulative sums of it. Equal probabilities may be split; ties go by position.

    Returns
    -------
    dict
        ``rows``, ``predicted``, ``observed``, each of shape (at most ``bins``,).
    """
    p, y = np.asarray(probability, dtype=np.float64), np.asarray(happened, dtype=np.float64)
    order = np.argsort(-p, kind="stable")
    edges = np.unique(np.linspace(0, len(p), min(bins, len(p)) + 1).astype(np.intp))
    if len(p) == 0:
        return {"rows": np.empty(0, dtype=np.int64), "predicted": np.empty(0), "observed": np.empty(0)}
    starts, rows = edges[:-1], np.diff(edges)
    return {
        "rows": rows.astype(np.int64),
        "predicted": np.add.reduceat(p[order], starts) / rows,
        "observed": np.add.reduceat(y[order], starts) / rows,
    }


def _mean(values: Any) -> float:
    array = np.asarray(values, dtype=np.float64)
    return float(array.mean()) if len(array) else float("nan")
