"""Values of all nodes of a hierarchy, as they are given: by level or in one array, checked, day by day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
#: One array by level, or one for all nodes in the hierarchy's order.
Values = Mapping[str, ArrayLike] | ArrayLike


class Hierarchy(Protocol):
    """Nodes in an order, by level, with names."""

    @property
    def levels(self) -> Mapping[str, slice]:
        """Nodes of each level."""

    def __len__(self) -> int: ...

    def name(self, node: int) -> str:
        """Level and name of a node."""


class NodeValues:
    """Values of the nodes on each day.

    Parameters
    ----------
    hierarchy : Tree or Grouping
    values : mapping of str to array-like, or array-like
        By level, or of all nodes; of shape (nodes, days), or (nodes,) for the same on all days.
    what : str
        Name for messages.
    needed : sequence of str
        Levels that must be there; others are left out.
    days : int, optional
        How many there must be; any number by default, but then values of shape (nodes,) are refused.
    lowest : float
        Smallest value allowed.

    Raises
    ------
    ValueError
        A level that is missing or unknown, another shape, or a value that is not finite or too low.
    """

    def __init__(
        self,
        hierarchy: Hierarchy,
        values: Values,
        what: str,
        *,
        needed: Sequence[str],
        days: int | None = None,
        lowest: float = -np.inf,
    ) -> None:
        if isinstance(values, Mapping):
            if unknown := set(values) - set(hierarchy.levels):
                raise ValueError(
                    f"{what} must be by level ({', '.join(hierarchy.levels)}), got {sorted(unknown)}"
                )
            if missing := [level for level in needed if level not in values]:
                raise ValueError(f"{what} must be given for {', '.join(needed)}, got none for {missing}")
            parts = {level: (hierarchy.levels[level], values[level]) for level in needed}
        else:
            parts = {"all nodes": (slice(0, len(hierarchy)), values)}
        self._parts = []
        for level, (nodes, given) in parts.items():
            array = np.atleast_1d(given)
            shape = (nodes.stop - nodes.start, days if days is not None else array.shape[-1])
            if array.shape != shape and not (days is not None and array.shape == shape[:1]):
                raise ValueError(f"{what} of {level} must have shape {shape}, got {array.shape}")
            if not array.size:
                raise ValueError(f"{what} of {level} must hold at least one day, got shape {array.shape}")
            bad = ~np.isfinite(array) | (array < lowest)
            if bad.any():
                node, *day = np.argwhere(bad)[0]
                rule = "finite" if lowest == -np.inf else f"finite and at least {lowest:g}"
                at = f" at step {day[0] + 1}" if day else ""
                raise ValueError(
                    f"{what} must be {rule}, got {array[node, *day]} for {hierarchy.name(nodes.start + node)}{at} "
                    f"({bad.sum()} such values in {level})"
                )
            self._parts.append((nodes, array))
            days = shape[1]
        self.days = days or 0
        self._n = len(hierarchy)
        self._constant = all(array.ndim == 1 for _, array in self._parts)
        self._last: Floats | None = None

    def day(self, day: int) -> Floats:
        """Values of all nodes in the caller's order, zeros where a level was left out; shape (n,)."""
        if self._last is None or not self._constant:
            out = np.zeros(self._n)
            for nodes, array in self._parts:
                out[nodes] = array if array.ndim == 1 else array[:, day]
            self._last = out
        return self._last
