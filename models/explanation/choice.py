"""Which few facts to tell about a score.

Columns that are facets of one fact (the trend over four and over eight weeks) form a *topic*, topics belong
to business *themes*. A topic raises or lowers the risk by the sum of its contributions, and is told by its
strongest column whose plain reading agrees: that logins *rose* is no reason to worry, whatever a tree made
of it in passing. Order of preference for the places to fill:

1. the strongest raising topic of each theme that raises the risk, by the theme's sum;
2. further raising topics, by their own sum;
3. topics that lower the risk, strongest first;
4. topics without much effect, or whose effect has no plain reading.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Smallest sum of log-odds that counts as raising or lowering: odds change by 5 %.
MIN_EFFECT = 0.05

#: Distance between ranks of preference; above any sum of log-odds.
_STEP = 1e6


@dataclass(frozen=True)
class Chosen:
    """Facts to tell, best first.

    Attributes
    ----------
    feature : ndarray of shape (n, top), int
        Column told at each place.
    effect : ndarray of shape (n, top), int
        1 where it raises the risk, -1 where it lowers it, 0 where it does little either way.
    """

    feature: NDArray[np.intp]
    effect: NDArray[np.int8]


def choose(
    contributions: Floats,
    topics: Sequence[str],
    themes: Sequence[str],
    readings: NDArray[np.int8],
    *,
    top: int = 3,
    min_effect: float = MIN_EFFECT,
) -> Chosen:
    """Choose ``top`` features of different topics for each row.

    Parameters
    ----------
    contributions : ndarray of shape (n, n_features)
        Log-odds.
    topics, themes : sequence of str
        Topic and theme of each feature; a topic belongs to one theme.
    readings : ndarray of shape (n, n_features), int
        How the value reads: 1 unfavourable, -1 favourable, 0 either.
    top : int
        Places to fill.
    min_effect : float
        Topics whose sum is smaller in size neither raise nor lower.

    Raises
    ------
    ValueError
        There are fewer topics than places, or a topic has two themes.

    Notes
    -----
    O(n x n_features); ties go to the topic, then the feature, that comes first.
    """
    names = list(dict.fromkeys(topics))
    if len(names) < top:
        raise ValueError(f"there must be at least {top} topics, got {names}")
    theme_of = dict(zip(topics, themes, strict=True))
    if len({*zip(topics, themes, strict=True)}) != len(names):
        raise ValueError("a topic must belong to one theme")

    n = len(contributions)
    totals, plain = np.zeros((n, len(names))), np.zeros((n, len(names)), dtype=bool)
    best = np.zeros((n, len(names)), dtype=np.intp)
    for k, name in enumerate(names):
        columns = np.array([i for i, topic in enumerate(topics) if topic == name])
        part = contributions[:, columns]
        totals[:, k] = part.sum(axis=1)
        sign = np.where(totals[:, k] < 0, -1.0, 1.0)[:, None]
        # Strength in the topic's direction; columns that read the other way come last.
        agrees = readings[:, columns] * sign >= 0
        strength = np.where(agrees, part * sign, part * sign - _STEP)
        at = strength.argmax(axis=1)
        best[:, k] = columns[at]
        plain[:, k] = strength[np.arange(n), at] > 0

    raises, lowers = (totals >= min_effect) & plain, (totals <= -min_effect) & plain
    priority = np.abs(totals)
    priority[lowers] += _STEP
    priority[raises] += 2 * _STEP
    _prefer_one_per_theme(priority, totals, raises, [theme_of[name] for name in names])
    order = np.argsort(-priority, axis=1, kind="stable")[:, :top]
    rows = np.arange(n)[:, None]
    effect = raises[rows, order].astype(np.int8) - lowers[rows, order].astype(np.int8)
    return Chosen(best[rows, order], effect)


def _prefer_one_per_theme(
    priority: Floats, totals: Floats, raises: NDArray[np.bool_], themes: Sequence[str]
) -> None:
    """Lift the strongest raising topic of each raising theme above all others, by the theme's sum."""
    for theme in dict.fromkeys(themes):
        columns = np.array([k for k, of in enumerate(themes) if of == theme])
        total = totals[:, columns].sum(axis=1)
        strength = np.where(raises[:, columns], totals[:, columns], -np.inf)
        first = columns[strength.argmax(axis=1)]
        rows = np.flatnonzero((total > 0) & raises[:, columns].any(axis=1))
        priority[rows, first[rows]] = 3 * _STEP + total[rows]
