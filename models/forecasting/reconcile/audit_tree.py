"""Certificates of reconciled trees.

Sums run over the caller's parent numbers in the caller's order: the only thing taken from the solvers is
what counts as a sum of zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.forecasting.reconcile.certificate import Audit
from models.forecasting.reconcile.proportions import is_nothing
from models.forecasting.reconcile.tree import Tree

Floats = NDArray[np.float64]


class TreeAudit(Audit):
    """Audit of a tree; all arrays hold one value for each node in the caller's order.

    Parameters
    ----------
    tree, method, nonnegative
        What is reconciled, and how.
    anchor : int
        Depth of the nodes that keep their base forecasts in top-down reconciliation.
    """

    def __init__(self, tree: Tree, method: str, *, nonnegative: bool, anchor: int = 0) -> None:
        super().__init__(method, nonnegative=nonnegative, name=tree.name)
        n = len(tree)
        self.parent = np.where(tree.parent < 0, n, tree.parent)  # n stands for nobody
        self.levels = [tree.order[fan.children] for fan in tree.fans]  # nodes of depth 1, 2, ...
        self.has_children = np.bincount(self.parent, minlength=n + 1)[:n] > 0
        depth = np.zeros(n, dtype=np.int32)
        for below, nodes in enumerate(self.levels, start=1):
            depth[nodes] = below
        self.splits = self.has_children & (depth >= anchor)
        self.stands = (depth == anchor) | ((depth < anchor) & ~self.has_children)

    def bottom_up(self, values: Floats, base: Floats) -> None:
        """Take in the next day: leaves keep their base forecasts."""
        self._look(values)
        self._kept(values, base, ~self.has_children)

    def top_down(self, values: Floats, base: Floats, shares: Floats, counts: Floats) -> None:
        """Take in the next day: children share their parent's value as their base forecasts do.

        Where these sum to zero, as ``shares`` do, and where these do so too, as ``counts`` (of leaves). Nodes
        at the anchor, and leaves above it, keep their base forecasts.
        """
        self._look(values)
        self._kept(values, base, self.stands)
        weight = base
        total, size = self._sums(weight)
        void = is_nothing(total, size) & (values != 0) & self.splits
        if void.any():
            known = self._children(shares) > 0
            self.split(np.flatnonzero(void & known), np.flatnonzero(void & ~known))
            other = np.where(self._from_parent(known), shares, counts)
            weight = np.where(self._from_parent(void), other, base)
            total, size = self._sums(weight)
        some = (values != 0) & self.splits
        factor = np.divide(values, total, out=np.zeros_like(values), where=some)
        blown = np.divide(size, np.abs(total), out=np.ones_like(values), where=some)  # by cancelled terms
        due = weight * self._from_parent(factor)
        gap = np.abs(values - due) * self._from_parent(self.splits)
        self.promise.see(gap, np.abs(due) * self._from_parent(blown), self.place)

    def least_squares(self, values: Floats, base: Floats, variances: Floats) -> None:
        """Take in the next day: no leaf wants to move, the (projected) slope of the squares being zero."""
        self._look(values)
        divisor = np.where(self.has_children, variances, np.inf)  # a leaf is nobody's ancestor
        off, size = values - base, np.abs(values) + np.abs(base)
        step = off + variances * self._above(off / divisor)
        size += variances * self._above(size / divisor)
        moved = np.minimum(values, step) if self.nonnegative else step
        self.promise.see(np.where(self.has_children, 0.0, np.abs(moved)), size, self.place)

    def _look(self, values: Floats) -> None:
        self.day(values)
        total, size = self._sums(values)
        gap = np.where(self.has_children, np.abs(values - total), 0.0)
        self.coherence.see(gap, np.maximum(np.abs(values), size), self.place)

    def _kept(self, values: Floats, base: Floats, nodes: NDArray[np.bool_]) -> None:
        self.promise.see(np.where(nodes, np.abs(values - base), 0.0), np.abs(base), self.place)

    def _sums(self, values: Floats) -> tuple[Floats, Floats]:
        """Sum of each node's children, and of their sizes."""
        total = self._children(values)
        return total, total if values.min() >= 0 else self._children(np.abs(values))

    def _children(self, values: Floats) -> Floats:
        """Sum of each node's children; zero at leaves."""
        total = np.bincount(self.parent, weights=values, minlength=len(values) + 1)
        return total[:-1].astype(np.float64, copy=False)

    def _from_parent(self, values: NDArray[Any]) -> NDArray[Any]:
        """Value of each node's parent; zero at the root."""
        return np.append(values, values.dtype.type(0))[self.parent]

    def _above(self, values: Floats) -> Floats:
        """Sum over each node's ancestors, without itself."""
        out = np.zeros_like(values)
        for nodes in self.levels:
            parents = self.parent[nodes]
            out[nodes] = out[parents] + values[parents]
        return out
