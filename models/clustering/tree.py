"""The tree of merged groups, its cuts, and the inertia that each cut leaves within the groups."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import cut_tree, linkage
from scipy.spatial.distance import squareform
from sklearn.cluster import KMeans

Floats = NDArray[np.float64]
Labels = NDArray[np.intp]

WARD = "ward"
#: Ways to measure how far two groups are apart: Ward's on coordinates, the others on the distances themselves.
LINKAGES = (WARD, "average", "complete")


def grow(coordinates: Floats, distances: Floats | None, method: str) -> Floats:
    """Merge rows step by step, nearest groups first; SciPy's linkage matrix.

    Parameters
    ----------
    coordinates : ndarray of shape (n, axes)
        Read by Ward's method: the height of a merge is ``sqrt(2 n * gain)``, the gain being the inertia that
        keeping both groups apart explains.
    distances : ndarray of shape (n, n)
        Read by the other methods.

    Raises
    ------
    ValueError
        ``method`` is not known, or lacks the distances.
    """
    if method not in LINKAGES:
        raise ValueError(f"linkage must be one of {', '.join(LINKAGES)}, got {method!r}")
    if method == WARD:
        return np.asarray(linkage(coordinates, WARD))
    if distances is None:
        raise ValueError(f"linkage {method} needs distances")
    return np.asarray(linkage(squareform(distances, checks=False), method))


def cut(tree: Floats, n_clusters: int) -> Labels:
    """Groups 0, 1, ... of each row when exactly ``n_clusters`` are left, numbered by first appearance."""
    return np.asarray(cut_tree(tree, n_clusters=n_clusters)[:, 0], dtype=np.intp)


def centres_of(coordinates: Floats, labels: Labels) -> Floats:
    """Mean coordinates of each group, shape (groups, axes)."""
    member = _membership(labels)
    return np.asarray((member.T @ coordinates) / member.sum(axis=0)[:, None])


def within_inertia(coordinates: Floats, labels: Labels) -> float:
    """Mean squared distance of a row from the centre of its group."""
    return float(((coordinates - centres_of(coordinates, labels)[labels]) ** 2).sum() / len(labels))


def squared_distances(coordinates: Floats, centres: Floats) -> Floats:
    """Squared distances of rows from centres, shape (rows, centres)."""
    return np.asarray(((coordinates[:, None, :] - centres[None, :, :]) ** 2).sum(axis=2))


def consolidate(coordinates: Floats, labels: Labels, random_state: Any = 0) -> Labels:
    """Move rows to the nearest centre until none moves (k-means started from the groups).

    The tree never undoes a merge; this corrects what later merges made wrong.
    """
    centres = centres_of(coordinates, labels)
    model = KMeans(len(centres), init=centres, n_init=1, tol=0.0, random_state=random_state)
    return np.asarray(model.fit(coordinates).labels_, dtype=np.intp)


def in_order(coordinates: Floats, labels: Labels) -> Labels:
    """Number the groups by their centre on the first axis, so that row order does not matter."""
    centres = centres_of(coordinates, labels)
    rank = np.empty(len(centres), dtype=np.intp)
    rank[np.lexsort(centres.T[::-1])] = np.arange(len(centres))
    return rank[labels]


def partition(
    coordinates: Floats,
    distances: Floats | None,
    n_clusters: int,
    *,
    linkage: str = WARD,
    consolidated: bool = True,
    random_state: Any = 0,
) -> Labels:
    """Grow, cut and, if asked, consolidate: the whole way from rows to groups."""
    labels = cut(grow(coordinates, distances, linkage), n_clusters)
    if consolidated:
        labels = consolidate(coordinates, labels, random_state)
    return in_order(coordinates, labels)


def _membership(labels: Labels) -> Floats:
    member = np.zeros((len(labels), int(labels.max()) + 1))
    member[np.arange(len(labels)), labels] = 1.0
    return member
