"""Reconciliation of base forecasts over a tree, with a certificate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.forecasting.reconcile.audit_tree import TreeAudit
from models.forecasting.reconcile.certificate import Certificate
from models.forecasting.reconcile.least_squares import least_squares
from models.forecasting.reconcile.nodes import NodeValues, Values
from models.forecasting.reconcile.proportions import top_down
from models.forecasting.reconcile.tree import Tree

Floats = NDArray[np.float64]
Method = Literal["bottom_up", "top_down", "ols", "wls_struct", "wls"]
METHODS: tuple[Method, ...] = get_args(Method)


@dataclass(frozen=True)
class Reconciled:
    """Coherent forecasts and the evidence that they are.

    Attributes
    ----------
    values : mapping of str to ndarray of shape (nodes of the level, days)
        By level, nodes in the caller's order.
    certificate : Certificate
    """

    values: Mapping[str, Floats]
    certificate: Certificate


def reconcile(
    tree: Tree,
    base: Values,
    *,
    method: Method,
    variances: Values | None = None,
    shares: ArrayLike | None = None,
    anchor: str | None = None,
    nonnegative: bool = True,
) -> Reconciled:
    """Make base forecasts coherent.

    Days are independent and taken one by one, so that beside input and result only a few vectors of one
    value per node are held.

    Parameters
    ----------
    tree : Tree
    base : mapping of str to array-like of shape (nodes of the level, days), or array-like of shape (n, days)
        Base forecasts by level, or of all nodes in the tree's order (levels one after the other). Levels
        that the method does not look at may be left out of the mapping.
    method : {'bottom_up', 'top_down', 'ols', 'wls_struct', 'wls'}
        ``bottom_up``: sums of the leaves, for operations. ``top_down``: each parent's value is split by its
        children's base forecasts, for planning from the total. ``ols``, ``wls_struct``, ``wls``: the least
        squares combination of all levels, errors of base forecasts taken to have equal variances,
        variances as the number of leaves, or those given.
    variances : as ``base``, or with one value per node, optional
        For ``wls``: error variances of the base forecasts. Zero at a leaf keeps its base forecast (a store
        known to be closed).
    shares : array-like of shape (leaves,), optional
        For ``top_down``: what leaves weigh where the base forecasts below a node sum to zero, for instance
        recent mean sales. Without any, such a node is split evenly over its leaves; the certificate counts.
    anchor : str, optional
        For ``top_down``: the level whose base forecasts stand (middle-out); the root's by default.
    nonnegative : bool
        No value may be negative. Least squares find the best such forecasts; for the other methods negative
        base forecasts count as zero.

    Returns
    -------
    Reconciled

    Raises
    ------
    ValueError
        An unknown method or level, shapes that do not fit, or a value that is missing, infinite or out of
        range, by the name of its node.

    Notes
    -----
    O(nodes x days) time for all methods; non-negative least squares solve days with negative leaves a few
    times over.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    if (variances is None) == (method == "wls"):
        raise ValueError(f"variances must be given for wls and for it only, got method {method!r}")
    if method != "top_down" and (shares is not None or anchor is not None):
        raise ValueError(f"shares and anchor are for top_down only, got method {method!r}")
    levels = list(tree.levels)
    if anchor is not None and anchor not in levels:
        raise ValueError(f"anchor must be one of {', '.join(levels)}, got {anchor!r}")
    depth = levels.index(anchor) if anchor else 0
    first = {"bottom_up": len(levels) - 1, "top_down": depth}.get(method, 0)
    forecasts = NodeValues(tree, base, "base forecasts", needed=levels[first:])
    recent, counts = _summed(tree, shares), tree.leaf_counts()
    spread = _variances(tree, method, variances, forecasts.days)
    audit = TreeAudit(tree, method, nonnegative=nonnegative, anchor=depth)
    result = np.empty((len(tree), forecasts.days))
    for day in range(forecasts.days):
        y = forecasts.day(day)
        if spread is not None:
            v = spread.day(day)
            x = least_squares(tree, y, v, nonnegative=nonnegative)
            audit.least_squares(x, y, v)
        else:
            y = np.maximum(y, 0.0) if nonnegative else y
            if method == "top_down":
                x = top_down(tree, y, recent, counts, anchor=depth)
                audit.top_down(x, y, recent, counts)
            else:
                x = tree.sum_up(y)
                audit.bottom_up(x, y)
        result[:, day] = x
    return Reconciled({level: result[nodes] for level, nodes in tree.levels.items()}, audit.finish())


def _summed(tree: Tree, shares: ArrayLike | None) -> Floats:
    """Shares of the leaves, summed up to all nodes; zeros without."""
    values = np.zeros(len(tree))
    if shares is not None:
        given, leaves = np.asarray(shares), tree.leaves
        if given.shape != leaves.shape:
            raise ValueError(f"shares must have shape {leaves.shape}, got {given.shape}")
        if len(bad := np.flatnonzero(~np.isfinite(given) | (given < 0))):
            name = tree.name(int(leaves[bad[0]]))
            raise ValueError(f"shares must be finite and at least 0, got {given[bad[0]]} for {name}")
        values[leaves] = given
    return tree.sum_up(values)


def _variances(tree: Tree, method: Method, given: Values | None, days: int) -> NodeValues | None:
    if method == "ols":
        given = np.ones(len(tree))
    elif method == "wls_struct":
        given = tree.leaf_counts()
    if given is None:
        return None
    return NodeValues(tree, given, "variances", needed=list(tree.levels), days=days, lowest=0.0)
