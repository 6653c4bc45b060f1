"""Whether the groups would come out again had other stores been seen."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from models.clustering.clusterer import StoreClustering
from models.clustering.tree import Labels, partition

Floats = NDArray[np.float64]

#: Mean Jaccard similarity from which a group is stable, and below which it should not be acted on
#: (Hennig's rules for ``fpc::clusterboot``).
STABLE, DOUBTFUL = 0.75, 0.6
#: A draw in which the best match is no better dissolves the group.
DISSOLVED = 0.5


def bootstrap_jaccard(
    model: StoreClustering,
    n_boot: int = 100,
    *,
    random_state: int = 0,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> pd.DataFrame:
    """Cluster draws of the rows again, and see how much of each group is found.

    Of each draw with replacement, the distinct rows (about 63 %) are clustered into as many groups, in the
    fitted space and coordinates. A group's similarity is the best Jaccard index, over the new groups, of its
    drawn rows.

    Returns
    -------
    pandas.DataFrame
        A row per group: ``cluster``, ``size``, ``jaccard`` (mean over draws), ``recovered`` and
        ``dissolved`` (shares of draws with more than 0.75, and with 0.5 or less), and ``verdict``: ``stable``
        (0.75 or more), ``doubtful`` (0.6 or more), else ``unstable``.

    Notes
    -----
    O(n_boot x n squared). The number of groups is not chosen anew.

    References
    ----------
    Hennig (2007), "Cluster-wise assessment of cluster stability", CSDA 52, 258-271.
    """
    if n_boot < 1:
        raise ValueError(f"n_boot must be at least 1, got {n_boot}")
    rng = np.random.default_rng(random_state)
    labels, n = model.labels_, len(model.labels_)
    dissimilarity = None if model.linkage == "ward" else model.dissimilarity()
    found = np.empty((n_boot, model.n_clusters_))
    for draw in range(n_boot):
        rows = np.unique(rng.integers(0, n, n))
        with threadpool_limits(1):
            again = partition(
                model.coordinates_[rows],
                None if dissimilarity is None else dissimilarity[np.ix_(rows, rows)],
                min(model.n_clusters_, len(rows)),
                linkage=model.linkage,
                consolidated=model.consolidate,
                random_state=random_state,
            )
        found[draw] = jaccard(labels[rows], again, model.n_clusters_).max(axis=1)
        progress(draw + 1, n_boot)
    return _table(found, np.bincount(labels, minlength=model.n_clusters_))


def jaccard(left: Labels, right: Labels, groups: int | None = None) -> Floats:
    """Jaccard index of every group of one partition and every group of another, over the same rows.

    Shape (groups of left, groups of right); 0 for a group without rows.
    """
    height = int(left.max()) + 1 if groups is None else groups
    both = np.zeros((height, int(right.max()) + 1))
    np.add.at(both, (left, right), 1.0)
    either = both.sum(axis=1, keepdims=True) + both.sum(axis=0, keepdims=True) - both
    index: Floats = np.divide(both, either, out=np.zeros_like(both), where=either > 0)
    return index


def warning_of(table: pd.DataFrame) -> str | None:
    """What to say of groups that are not stable; None if all are."""
    weak = table[table["verdict"] != "stable"]
    if weak.empty:
        return None
    facts = ", ".join(
        f"{row.cluster} ({row.jaccard:.2f}, {row.verdict})" for row in weak.itertuples(index=False)
    )
    return (
        f"{len(weak)} of {len(table)} clusters are not stable under resampling (Jaccard below {STABLE}): "
        f"{facts}; policies for them rest on few or unclear stores"
    )


def _table(found: Floats, sizes: NDArray[np.intp]) -> pd.DataFrame:
    mean = found.mean(axis=0)
    verdict = np.where(mean >= STABLE, "stable", np.where(mean >= DOUBTFUL, "doubtful", "unstable"))
    return pd.DataFrame(
        {
            "cluster": np.arange(len(mean)),
            "size": sizes,
            "jaccard": mean,
            "recovered": (found > STABLE).mean(axis=0),
            "dissolved": (found <= DISSOLVED).mean(axis=0),
            "verdict": verdict.astype(object),
        }
    )
