"""What is computed for all groups at once from dissimilarities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import silhouette_samples

Floats = NDArray[np.float64]

#: Names that an error quotes.
NAMED = 5


def silhouettes(dissimilarity: Floats, labels: NDArray[np.intp]) -> Floats:
    """Silhouette of each row; 0 for all if there is but one group, or a group for each row."""
    if not 1 < labels.max() + 1 < len(labels):
        return np.zeros(len(labels))
    return np.asarray(silhouette_samples(dissimilarity, labels, metric="precomputed"))


def mean_by_group(dissimilarity: Floats, labels: NDArray[np.intp], groups: int) -> Floats:
    """Mean dissimilarity from the rows of each group (itself included), shape (rows, groups)."""
    known = ~np.isnan(dissimilarity)
    member = np.eye(groups)[labels]
    total, count = np.where(known, dissimilarity, 0.0) @ member, known.astype(np.float64) @ member
    mean: Floats = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return mean


def share_at_least(values: Floats, value: float) -> float:
    """Share of values that are as large or larger."""
    return float((values >= value - 1e-12).mean())


def check_known_rows(encoded: Floats, index: pd.Index[Any]) -> None:
    """Refuse rows of which nothing is known.

    Raises
    ------
    ValueError
        There are such rows.
    """
    empty: NDArray[np.bool_] = np.asarray(np.isnan(encoded).all(axis=0))
    if empty.any():
        names = list(index[empty])
        raise ValueError(
            f"every row must have a known value; offending: {names[:NAMED]} of {len(names)}: leave them out"
        )
