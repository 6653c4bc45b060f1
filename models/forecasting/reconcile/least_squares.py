"""Least-squares reconciliation of a tree, exactly, by one pass up and one pass down.

Minimised is the sum over all nodes of ``(x - y)^2 / variance`` over coherent ``x``, ``y`` being the base
forecasts: the minimum-trace combination with a diagonal covariance of the base errors (all variances 1:
OLS; the number of leaves: ``wls_struct``; estimated: WLS).

On a tree this needs no matrix. Going up, each node merges two opinions of its value, its own base forecast
and the sum of its children's, like a Kalman filter: in inverse proportion to their variances. Going down,
each parent's value is final and what it differs from its children's sum is shared out in proportion to
their variances. Both passes are O(nodes).

**Non-negative.** With ``x >= 0`` at the leaves, leaf i below parent p has ``x_i = max(0, y_i + v_i m_p)``,
where ``m_p`` adds up the pulls ``(y_a - x_a) / v_a`` of all its ancestors. Writing the balance of each parent
(sum of its children minus itself) in these ``m`` gives a system in which every equation is convex
(``max`` is) and rising in its own ``m`` and falling in those of neighbours in the tree: its Jacobian is an
M-matrix. Newton's method then descends monotonically to the solution from the unconstrained one (monotone
Newton theorem, Ortega & Rheinboldt 13.3.4), and one Newton step is: *set the leaves that came out negative to
zero and solve again*. No leaf is ever to be released, so this ends, and it ends at the optimum. On
grouped hierarchies the Jacobian is no M-matrix and the same rule would be a heuristic.

References
----------
Hyndman, Ahmed, Athanasopoulos & Shang (2011), Optimal combination forecasts for hierarchical time series,
CSDA 55(9), 2579-2589. doi:10.1016/j.csda.2011.03.006
Hyndman, Lee & Wang (2016), Fast computation of reconciled forecasts for hierarchical and grouped time series,
CSDA 97, 16-32. doi:10.1016/j.csda.2015.11.007
Wickramasuriya, Athanasopoulos & Hyndman (2019), Optimal forecast reconciliation through trace minimization,
JASA 114(526), 804-819. doi:10.1080/01621459.2018.1448825
Wickramasuriya, Turlach & Hyndman (2020), Optimal non-negative forecast reconciliation, Statistics and
Computing 30, 1167-1182. doi:10.1007/s11222-020-09930-0
Ortega & Rheinboldt (1970), Iterative solution of nonlinear equations in several variables.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.forecasting.reconcile.tree import Tree

Floats = NDArray[np.float64]


def least_squares(tree: Tree, base: Floats, variances: Floats, *, nonnegative: bool) -> Floats:
    """Coherent values nearest to the base forecasts of one day.

    Parameters
    ----------
    tree : Tree
    base : ndarray of shape (n,)
        Base forecasts of all nodes, finite.
    variances : ndarray of shape (n,)
        Error variance of each base forecast, up to a common factor; positive, or zero at a leaf that must
        keep its base forecast.
    nonnegative : bool
        Whether leaves (and so all nodes) must not be negative.

    Returns
    -------
    ndarray of shape (n,)
        The exact optimum, each node the sum of its leaves. Zero for a leaf of variance zero and negative
        base forecast, if negatives are ruled out.

    Raises
    ------
    ValueError
        A variance is zero at a node with children.
    """
    y, v = base[tree.order], variances[tree.order]
    if len(fixed := np.flatnonzero((v <= 0) & ~tree.is_leaf)):
        name = tree.name(int(tree.order[fixed[0]]))
        raise ValueError(f"variances must be positive above the leaves, got {v[fixed[0]]:g} for {name}")
    mean, variance = y.copy(), v.copy()  # at leaves for good, at other nodes merged in each pass
    while True:
        x = _solve(tree, y, v, mean, variance)
        negative = (x < 0) & tree.is_leaf
        if not nonnegative or not negative.any():
            return tree.sum_up(tree.placed(x))
        mean[negative] = variance[negative] = 0.0


def _solve(tree: Tree, y: Floats, v: Floats, mean: Floats, variance: Floats) -> Floats:
    """One pass up, which fills ``mean`` and ``variance`` of the parents, and one down; breadth first."""
    below = []
    for fan in reversed(tree.fans):
        at = fan.parents
        total = np.add.reduceat(mean[fan.children], fan.starts)
        spread = np.add.reduceat(variance[fan.children], fan.starts)
        trust = v[at] / (v[at] + spread)
        mean[at] = y[at] + trust * (total - y[at])
        variance[at] = trust * spread
        below.append((total, spread))
    x = mean.copy()
    for fan, (total, spread) in zip(tree.fans, reversed(below), strict=True):
        gap = x[fan.parents] - total
        pull = np.divide(gap, spread, out=np.zeros_like(gap), where=spread > 0)
        x[fan.children] += variance[fan.children] * np.repeat(pull, fan.sizes)
    return x
