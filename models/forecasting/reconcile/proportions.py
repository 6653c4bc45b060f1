"""Top-down reconciliation of a tree by forecast proportions.

References
----------
Athanasopoulos, Ahmed & Hyndman (2009), Hierarchical forecasts for Australian domestic tourism, International
Journal of Forecasting 25(1), 146-166. doi:10.1016/j.ijforecast.2008.07.004
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.forecasting.reconcile.tree import Tree

Floats = NDArray[np.float64]

#: Sums smaller than this share of their terms' sizes are rounding, and sums below the other no forecast.
_CANCELLED, _NOTHING = 1e-12, 1e-200


def top_down(tree: Tree, base: Floats, shares: Floats, leaf_counts: Floats, *, anchor: int = 0) -> Floats:
    """Split each parent's value in proportion to its children's base forecasts of one day.

    Parameters
    ----------
    tree : Tree
    base : ndarray of shape (n,)
        Base forecasts of all nodes, finite.
    shares : ndarray of shape (n,)
        What a node weighs where its and its siblings' base forecasts sum to zero: recent sales below it;
        not negative.
    leaf_counts : ndarray of shape (n,)
        Leaves below each node.
    anchor : int
        Depth whose base forecasts stand: 0 keeps the root's. Leaves that end above it keep theirs too, other
        nodes above are sums (middle-out).

    Returns
    -------
    ndarray of shape (n,)
        Parents whose children's forecasts sum to zero, and their shares too, are split evenly over their
        leaves.
    """
    base = base[tree.order]
    x = base.copy()
    for fan in tree.fans[anchor:]:
        value = x[fan.parents]
        weight = base[fan.children]
        total = np.add.reduceat(weight, fan.starts)
        void = is_nothing(total, np.add.reduceat(np.abs(weight), fan.starts)) & (value != 0)
        if void.any():
            nodes = tree.order[fan.children]
            known = np.add.reduceat(shares[nodes], fan.starts) > 0
            other = np.where(np.repeat(known, fan.sizes), shares[nodes], leaf_counts[nodes])
            weight = np.where(np.repeat(void, fan.sizes), other, weight)
            total = np.add.reduceat(weight, fan.starts)
        factor = np.divide(value, total, out=np.zeros_like(value), where=value != 0)
        x[fan.children] = weight * np.repeat(factor, fan.sizes)
    for fan in reversed(tree.fans[:anchor]):
        x[fan.parents] = np.add.reduceat(x[fan.children], fan.starts)
    return tree.placed(x)


def is_nothing(total: Floats, size: Floats) -> NDArray[np.bool_]:
    """Whether a sum of forecasts is too close to zero to be split by, given the sum of their sizes."""
    return np.abs(total) <= np.maximum(_CANCELLED * size, _NOTHING)
