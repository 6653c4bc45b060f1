"""Strict hierarchies: every node has one parent, and is the sum of its children."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.forecasting.reconcile.names import Keys, codes, joined, name_of, one, refuse_twins, slices

Ints = NDArray[np.int32]

#: Levels below the root and the columns that tell their nodes apart.
LEVELS: Mapping[str, tuple[str, ...]] = {
    "region": ("region",),
    "store": ("store_id",),
    "sku_store": ("store_id", "sku_id"),
}


@dataclass(frozen=True, eq=False)
class Fan:
    """All nodes of one depth that have children, and these children, which are consecutive.

    Positions are those of the breadth-first order. Sums over the children of each parent are
    ``np.add.reduceat(x[children], starts)``, a parent's value for each child ``np.repeat(x[parents], sizes)``.
    """

    parents: Ints
    children: slice
    starts: Ints
    sizes: Ints


@dataclass(frozen=True, eq=False)
class Tree:
    """A strict hierarchy of any depth and shape, as a few integers per node.

    Make one with :meth:`from_frame` (leaves and the names of their ancestors) or :meth:`from_parents`.
    Arrays that go in and come out follow the caller's order of the nodes; solvers work in breadth-first
    order, in which siblings are neighbours and no sum needs a matrix.

    Attributes
    ----------
    parent : ndarray of int32, shape (n,)
        Parent of each node, -1 for the root; in the caller's order.
    levels : mapping of str to slice
        Nodes of each level in the caller's order; the last level holds the leaves.
    keys : mapping of str to tuple of ndarray
        Columns that name the nodes of a level.
    order : ndarray of int32, shape (n,)
        The caller's position of each node, breadth first.
    fans : tuple of Fan
        By depth, from the root down.
    is_leaf : ndarray of bool, shape (n,)
        Breadth first.
    """

    parent: Ints
    levels: Mapping[str, slice]
    keys: Mapping[str, Keys]
    order: Ints
    fans: tuple[Fan, ...]
    is_leaf: NDArray[np.bool_]

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        levels: Mapping[str, Sequence[str]] = LEVELS,
        *,
        root: tuple[str, str] = ("national", "all"),
    ) -> Tree:
        """Tree of a table with one row per leaf.

        Parameters
        ----------
        frame : pandas.DataFrame, polars.DataFrame or mapping of columns
            Holds the columns of all levels; the rows may be in any order.
        levels : mapping of str to sequence of str
            Columns that tell the nodes of a level apart, from below the root down to the leaves.
        root : (str, str)
            Names of the root's level and of the root.

        Returns
        -------
        Tree
            Its levels are ``root[0]`` and those of ``levels``. Leaves keep the order of the rows; nodes of
            other levels are sorted by their parent, then by name.

        Raises
        ------
        ValueError
            There is no row, a name is missing, a leaf occurs twice, or a node lies under two parents.
        """
        *upper, leaf = levels
        columns = {level: tuple(np.asarray(frame[name]) for name in names) for level, names in levels.items()}
        if not len(columns[leaf][0]):
            raise ValueError(f"a tree needs at least one {leaf}, got an empty frame")
        code, _ = codes(columns[leaf], leaf)
        refuse_twins(code, columns[leaf], leaf)
        keys: dict[str, Keys] = {root[0]: (np.array([root[1]], dtype=object),)}
        parents = [np.array([-1])]
        offset, above = 0, np.zeros_like(code)  # where the level above starts; each row's node within it
        for level in upper:
            code, first = codes(columns[level], level)
            parent = above[first]
            if len(strays := np.flatnonzero(parent[code] != above)):
                row, over = strays[0], list(keys)[-1]
                one_of, other = (one(keys[over], node) for node in (parent[code[row]], above[row]))
                raise ValueError(
                    f"every node must have one parent, got {level} {one(columns[level], row)!r} under "
                    f"{over} {one_of!r} and {other!r}"
                )
            by_parent = np.argsort(parent, kind="stable")
            keys[level] = tuple(column[first[by_parent]] for column in columns[level])
            parents.append(offset + parent[by_parent])
            offset, above = offset + len(parents[-2]), np.argsort(by_parent)[code]
        keys[leaf] = columns[leaf]
        parents.append(offset + above)
        places = slices({level: len(columns[0]) for level, columns in keys.items()})
        return cls._build(np.concatenate(parents), places, keys)

    @classmethod
    def from_parents(cls, parent: ArrayLike, names: Sequence[str] | None = None) -> Tree:
        """Tree from the parent of each node.

        Parameters
        ----------
        parent : array-like of int, shape (n,)
            Position of each node's parent, -1 for the one root; nodes in any order, leaves at any depth.
        names : sequence of str, optional
            Names of the nodes for messages; their positions by default.

        Returns
        -------
        Tree
            With the single level ``node``: arrays hold all nodes in the given order.

        Raises
        ------
        ValueError
            Not one root, a parent that does not exist, or nodes that are their own ancestors.
        """
        given = np.asarray(parent)
        labels = np.asarray(names if names is not None else np.arange(len(given)).astype(str), dtype=object)
        n = len(given)
        roots = np.flatnonzero(given == -1)
        if len(roots) != 1:
            raise ValueError(f"a tree must have one root, got {len(roots)}: {labels[roots[:5]].tolist()}")
        if len(wrong := np.flatnonzero((given < -1) | (given >= n))):
            raise ValueError(
                f"parents must be nodes (0 to {n - 1}) or -1, got {given[wrong[0]]} for {labels[wrong[0]]!r}"
            )
        return cls._build(given, {"node": slice(0, n)}, {"node": (labels,)})

    @classmethod
    def _build(
        cls,
        parent: NDArray[Any],
        levels: Mapping[str, slice],
        keys: Mapping[str, Keys],
    ) -> Tree:
        parent = parent.astype(np.int32)
        n = len(parent)
        by_parent = np.argsort(parent, kind="stable").astype(np.int32)[1:]  # without the root
        n_children = np.bincount(parent[by_parent], minlength=n).astype(np.int32)
        first_child = np.cumsum(n_children) - n_children  # within by_parent
        depths = [np.flatnonzero(parent < 0).astype(np.int32)]
        while len(nodes := depths[-1]):
            counts = n_children[nodes]
            # The children's places: each parent's first one, counted up within the parent.
            within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
            depths.append(by_parent[np.repeat(first_child[nodes], counts) + within])
        order = np.concatenate(depths)
        if len(order) < n:
            lost = np.setdiff1d(np.arange(n), order)
            named = [name_of(node, levels, keys) for node in lost[:5]]
            raise ValueError(f"nodes must hang on the root, but {len(lost)} do not: {', '.join(named)}")
        bounds = np.cumsum([0, *(len(nodes) for nodes in depths[:-1])]).tolist()
        sizes = n_children[order]
        fans = []
        for start, end, after in zip(bounds, bounds[1:], bounds[2:], strict=False):
            parents = np.flatnonzero(sizes[start:end]).astype(np.int32) + np.int32(start)
            fan = sizes[parents]
            starts = (np.cumsum(fan) - fan).astype(np.int32)
            fans.append(Fan(parents, slice(end, after), starts, fan))
        return cls(parent, levels, keys, order, tuple(fans), sizes == 0)

    def __len__(self) -> int:
        return len(self.parent)

    @property
    def leaves(self) -> Ints:
        """Positions of the leaves in the caller's order, ascending."""
        leaf = np.zeros(len(self), dtype=bool)
        leaf[self.order[self.is_leaf]] = True
        return np.flatnonzero(leaf).astype(np.int32)

    @property
    def leaf_level(self) -> str:
        """Name of the last level."""
        return list(self.levels)[-1]

    def ids(self, level: str) -> NDArray[Any]:
        """Names of the nodes of a level; those with several parts are joined by a slash."""
        return joined(self.keys[level])

    def name(self, node: int) -> str:
        """Level and name of a node, for messages; ``node`` is its position in the caller's order."""
        return name_of(node, self.levels, self.keys)

    def leaf_counts(self) -> NDArray[np.float64]:
        """Number of leaves below each node, 1 at leaves; in the caller's order."""
        return self.sum_up(np.ones(len(self)))

    def sum_up(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values of the leaves, and sums of them at all other nodes; in the caller's order."""
        out = values[self.order]
        for fan in reversed(self.fans):
            out[fan.parents] = np.add.reduceat(out[fan.children], fan.starts)
        return self.placed(out)

    def placed(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Breadth-first values in the caller's order."""
        out = np.empty_like(values)
        out[self.order] = values
        return out
