"""Names of the nodes of a hierarchy: one or more columns for each level."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

#: Columns that together name the nodes of a level.
Keys = tuple[NDArray[Any], ...]


def codes(columns: Keys, level: str) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Number of each row's node, nodes sorted by name, and the first row of each node.

    Raises
    ------
    ValueError
        A name is missing.
    """
    code = np.zeros(len(columns[0]), dtype=np.intp)
    for column in columns:
        part, names = pd.factorize(column, sort=True)
        if len(missing := np.flatnonzero(part < 0)):
            raise ValueError(
                f"names of {level} must not be missing, got {len(missing)} missing, the first in row {missing[0]}"
            )
        code = code * len(names) + part
    _, first, code = np.unique(code, return_index=True, return_inverse=True)
    return code, first


def refuse_twins(code: NDArray[np.intp], columns: Keys, level: str) -> None:
    """Raise ValueError where two rows have the same name."""
    if len(twins := np.flatnonzero(pd.Series(code).duplicated())):
        named = ", ".join(repr(one(columns, row)) for row in twins[:5])
        raise ValueError(f"every {level} must have one row, got {len(twins)} more: {named}")


def joined(columns: Keys) -> NDArray[Any]:
    """Names of all nodes of a level; parts are joined by a slash."""
    first, *others = (pd.Series(column).astype(str) for column in columns)
    for other in others:
        first = first + "/" + other
    return np.asarray(first, dtype=object)


def one(columns: Keys, row: Any) -> str:
    """Name of one node of a level."""
    return "/".join(str(column[row]) for column in columns)


def slices(sizes: Mapping[str, int]) -> dict[str, slice]:
    """Places of each level's nodes when levels follow one another."""
    ends = np.cumsum(list(sizes.values())).tolist()
    return {level: slice(end - sizes[level], end) for level, end in zip(sizes, ends, strict=True)}


def name_of(node: int, levels: Mapping[str, slice], keys: Mapping[str, Keys]) -> str:
    """Level and name of a node, by its position among all nodes."""
    level = next(level for level, nodes in levels.items() if node < nodes.stop)
    return f"{level} {one(keys[level], node - levels[level].start)!r}"
