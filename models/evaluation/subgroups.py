"""Does the model work for every kind of account? Metrics by subgroup, each with its interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models.evaluation.bootstrap import LEVEL, Interval, bootstrap_metrics


@dataclass(frozen=True)
class Subgroup:
    """One line of the subgroup table.

    Attributes
    ----------
    dimension, group : str
        For instance ``plan_tier`` and ``starter``.
    n, positives : int
        Rows, and rows with the event.
    rate, mean_score : float
        Observed share of events, and the mean score; far apart means the group is mis-calibrated.
    metrics : dict[str, Interval]
        Empty where there are too few events (or non-events) to say anything.
    """

    dimension: str
    group: str
    n: int
    positives: int
    rate: float
    mean_score: float
    metrics: dict[str, Interval] = field(default_factory=dict)

    @property
    def enough(self) -> bool:
        """Whether there were enough events for metrics."""
        return bool(self.metrics)


def subgroup_table(
    y: Any,
    score: Any,
    clusters: Any,
    segments: Mapping[str, Any],
    *,
    probability: bool = True,
    min_positives: int = 30,
    n_replicates: int = 500,
    level: float = LEVEL,
    seed: int = 0,
) -> list[Subgroup]:
    """Metrics of ``score`` within each group of each dimension.

    Parameters
    ----------
    y, score, clusters : array-like of shape (n,)
        Outcome, score, and the account of each row (resampled as a whole).
    segments : mapping of str to array-like of shape (n,)
        Group of each row by dimension; a missing group is called ``unknown``.
    min_positives : int
        Groups with fewer events, or fewer non-events, are listed without metrics.

    Returns
    -------
    list of Subgroup
        Dimensions in the given order, groups sorted by name.
    """
    y, score, clusters = (np.asarray(values) for values in (y, score, clusters))
    table = []
    for dimension, raw in segments.items():
        # None and NaN are the only values that differ from themselves or are None.
        groups = np.array(
            ["unknown" if g is None or g != g else str(g) for g in np.asarray(raw, dtype=object)]
        )
        for group in np.unique(groups):
            rows = groups == group
            n, positives = int(rows.sum()), int(y[rows].sum())
            metrics = {}
            if min(positives, n - positives) >= min_positives:
                metrics = bootstrap_metrics(
                    y[rows],
                    score[rows],
                    clusters[rows],
                    probability=probability,
                    n_replicates=n_replicates,
                    level=level,
                    seed=seed,
                )
            table.append(
                Subgroup(
                    dimension, str(group), n, positives, positives / n, float(score[rows].mean()), metrics
                )
            )
    return table
