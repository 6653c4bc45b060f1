"""Many trees in a few flat arrays: small to store, and fast to ask.

A forest of scikit-learn's trees is thousands of objects; asking each of them costs more than the comparisons do.
Here all nodes of all trees stand one after the other, and one compiled loop walks them.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models.compiled import compiled

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

#: Rows that go through a tree together: they and the tree fit the processor's cache.
_BLOCK = 256
#: A thread takes so many rows at once.
_ROWS = 8_192


@dataclass(frozen=True)
class PackedTrees:
    """Nodes of all trees of a forest for two classes; a tree is a run of nodes from its root on.

    Attributes
    ----------
    root : ndarray of shape (n_trees,)
        Position of each root.
    feature : ndarray of shape (n_nodes,)
        Column compared; -1 in a leaf.
    threshold : ndarray of shape (n_nodes,)
        Rows with at most this value go left.
    left, right : ndarray of shape (n_nodes,)
        Positions of the children.
    missing_left : ndarray of shape (n_nodes,)
        Whether rows without a value go left.
    value : ndarray of shape (n_nodes,)
        Share of the event among the rows of the node.
    """

    root: NDArray[np.int32]
    feature: NDArray[np.int32]
    threshold: Floats
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    missing_left: NDArray[np.bool_]
    value: Singles

    @classmethod
    def of(cls, trees: Sequence[Any]) -> Self:
        """Pack fitted classification trees of two classes."""
        inner = [tree.tree_ for tree in trees]
        sizes = np.array([tree.node_count for tree in inner])
        root = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int32)
        pairs = list(zip(inner, root, strict=True))
        return cls(
            root=root,
            feature=np.concatenate([tree.feature for tree in inner]).clip(-1).astype(np.int32),
            threshold=np.concatenate([tree.threshold for tree in inner]),
            left=np.concatenate([tree.children_left + at for tree, at in pairs]).astype(np.int32),
            right=np.concatenate([tree.children_right + at for tree, at in pairs]).astype(np.int32),
            missing_left=np.concatenate([tree.missing_go_to_left for tree in inner]).astype(np.bool_),
            value=np.concatenate([_event_share(tree.value[:, 0]) for tree in inner]).astype(np.float32),
        )

    def __len__(self) -> int:
        return len(self.root)

    def mean(self, X: Singles, *, n_jobs: int = 1) -> Floats:
        """Mean share of the event over the leaves that rows fall into, shape (n,)."""
        nobody = np.zeros((0, 0), dtype=np.bool_)
        return self._walk(X, np.zeros(0, dtype=np.intp), nobody, n_jobs)

    def mean_unseen(
        self, X: Singles, group: NDArray[np.intp], seen: NDArray[np.bool_], *, n_jobs: int = 1
    ) -> Floats:
        """The same over the trees that have not seen the row's group; NaN where all have.

        Parameters
        ----------
        group : ndarray of shape (n,)
            Group of each row.
        seen : ndarray of shape (n_trees, n_groups)
            Whether a tree was grown on any row of the group.
        """
        return self._walk(X, group, seen, n_jobs)

    def _walk(self, X: Singles, group: NDArray[np.intp], seen: NDArray[np.bool_], n_jobs: int) -> Floats:
        out = np.empty(len(X))
        nodes = (
            self.root, self.feature, self.threshold, self.left, self.right, self.missing_left, self.value,
        )  # fmt: skip

        def part(start: int) -> None:
            stop = min(start + _ROWS, len(X))
            _mean_rows(X, start, stop, *nodes, group, seen, out)

        with ThreadPoolExecutor(n_jobs) as pool:
            list(pool.map(part, range(0, len(X), _ROWS)))
        return out


def _event_share(weights: Floats) -> Floats:
    return np.asarray(weights[:, 1] / weights.sum(axis=1))


@compiled
def _mean_rows(
    X: Singles,
    start: int,
    stop: int,
    root: NDArray[np.int32],
    feature: NDArray[np.int32],
    threshold: Floats,
    left: NDArray[np.int32],
    right: NDArray[np.int32],
    missing_left: NDArray[np.bool_],
    value: Singles,
    group: NDArray[np.intp],
    seen: NDArray[np.bool_],
    out: Floats,
) -> None:
    total, trees = np.empty(_BLOCK), np.empty(_BLOCK)
    for first in range(start, stop, _BLOCK):
        size = min(_BLOCK, stop - first)
        total[:] = 0.0
        trees[:] = 0.0
        for t in range(len(root)):
            for i in range(size):
                if len(group) and seen[t, group[first + i]]:
                    continue
                node = root[t]
                while feature[node] >= 0:
                    x = X[first + i, feature[node]]
                    go_left = missing_left[node] if np.isnan(x) else x <= threshold[node]
                    node = left[node] if go_left else right[node]
                total[i] += value[node]
                trees[i] += 1.0
        for i in range(size):
            out[first + i] = total[i] / trees[i] if trees[i] else np.nan
