"""Reconciliation of small trees as textbooks write it, with explicit matrices: what exactness is held against."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from models.forecasting.reconcile import METHODS, Method, Reconciled, Tree, reconcile

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class SmallCase:
    """A tree of up to 40 nodes with base forecasts.

    Attributes
    ----------
    parent : ndarray of shape (n,)
        -1 for the root, which may be anywhere.
    base : ndarray of shape (n, 3)
        Some are negative; whole days, whole families and single nodes are zero.
    variances : ndarray of shape (n,)
    shares : ndarray of shape (leaves,)
    """

    parent: Ints
    base: Floats
    variances: Floats
    shares: Floats

    @property
    def leaves(self) -> Ints:
        """Nodes without children."""
        return np.setdiff1d(np.arange(len(self.parent)), self.parent)

    @property
    def summing(self) -> Floats:
        """Which leaves each node is the sum of; shape (n, leaves)."""
        out = np.zeros((len(self.parent), len(self.leaves)))
        for column, node in enumerate(self.leaves):
            while node >= 0:
                out[node, column] = 1
                node = self.parent[node]
        return out

    def ours(self, method: Method, *, nonnegative: bool) -> Reconciled:
        """What this project's solvers make of it."""
        return reconcile(
            Tree.from_parents(self.parent),
            self.base,
            method=method,
            variances=self.variances if method == "wls" else None,
            shares=self.shares if method == "top_down" else None,
            nonnegative=nonnegative,
        )

    def textbook(self, method: Method, *, nonnegative: bool) -> Floats:
        """The same by explicit matrices, a general non-negative solver, and loops over parents."""
        base = self.base
        if nonnegative and method in ("bottom_up", "top_down"):
            base = np.maximum(base, 0)
        if method == "bottom_up":
            return np.asarray(self.summing @ base[self.leaves])
        if method == "top_down":
            return self._split(base)
        counts = self.summing.sum(axis=1)
        variances = {"ols": np.ones(len(counts)), "wls_struct": counts, "wls": self.variances}[method]
        scale = 1 / np.sqrt(variances)
        matrix, days = scale[:, None] * self.summing, (scale[:, None] * base).T
        if nonnegative:
            return np.asarray(self.summing @ np.column_stack([nnls(matrix, day)[0] for day in days]))
        return np.asarray(self.summing @ np.linalg.lstsq(matrix, days.T)[0])

    def _split(self, base: Floats) -> Floats:
        out = np.full_like(base, np.nan)
        root = int(np.flatnonzero(self.parent < 0)[0])
        out[root] = base[root]
        shares, counts = self.summing @ self.shares, self.summing.sum(axis=1)
        waiting = [root]
        while waiting:
            node = waiting.pop()
            children = np.flatnonzero(self.parent == node)
            waiting += children.tolist()
            for day in range(base.shape[1]):
                for weight in (base[children, day], shares[children], counts[children]):
                    if abs(weight.sum()) > 1e-9:
                        out[children, day] = out[node, day] * weight / weight.sum()
                        break
        return out


def small_cases(number: int, seed: int) -> Iterator[SmallCase]:
    """Random trees of any shape: chains, stars, leaves at all depths, nodes in any order."""
    rng = np.random.default_rng(seed)
    for _ in range(number):
        n = int(rng.integers(1, 41))
        reach = int(rng.integers(1, n + 1))  # short: a chain; long: a star
        parent = np.array([-1, *(int(rng.integers(max(0, i - reach), i)) for i in range(1, n))])
        place = rng.permutation(n)
        shuffled = np.empty(n, dtype=np.int64)
        shuffled[place] = np.where(parent < 0, -1, place[parent])
        base = rng.normal(2, 5, (n, 3)) * (rng.random((n, 3)) < 0.8)
        family = shuffled == rng.integers(0, n)
        base[family] = 0
        base[:, 2] *= rng.random() < 0.8
        leaves = n - len(np.setdiff1d(shuffled, -1))
        shares = rng.gamma(1, 1, leaves) * (rng.random(leaves) < 0.5)
        yield SmallCase(shuffled, base, np.exp(rng.normal(0, 1.5, n)), shares)


def largest_differences(number: int, seed: int) -> dict[str, float]:
    """Largest difference of ours and the textbook's values over random small trees, by method."""
    worst: dict[str, float] = {}
    for case in small_cases(number, seed):
        for method in METHODS:
            for nonnegative in (False, True):
                ours = case.ours(method, nonnegative=nonnegative).values["node"]
                textbook = case.textbook(method, nonnegative=nonnegative)
                label = f"{method}_nonnegative" if nonnegative else method
                worst[label] = max(worst.get(label, 0.0), float(np.abs(ours - textbook).max()))
    return worst
