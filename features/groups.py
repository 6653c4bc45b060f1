"""Groups of series - a store, a product, a category - and what their members sell together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

Floats = NDArray[np.float32]

#: Columns of the series table that make a group, by the group's name.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "all": (),
    "region": ("region",),
    "store": ("store_id",),
    "format": ("store_type",),
    "category": ("category",),
    "shelf": ("store_id", "category"),
    "sku": ("sku_id",),
}


@dataclass(frozen=True)
class Group:
    """One way of grouping n series.

    Attributes
    ----------
    code : ndarray of int, shape (n,)
        Group of each series, 0..size-1.
    size : int
        Number of groups.
    """

    code: NDArray[np.intp]
    size: int

    def sum(self, values: Floats) -> Floats:
        """Sum of the members' rows, shape (size, columns); values must be finite."""
        members = csr_matrix(
            (np.ones(len(self.code), dtype=np.float32), (self.code, np.arange(len(self.code)))),
            shape=(self.size, len(self.code)),
        )
        flat = values.reshape(len(values), -1)
        return np.asarray(members @ flat, dtype=np.float32).reshape(self.size, *values.shape[1:])


def groups_of(series: pd.DataFrame, by: Mapping[str, Sequence[str]] = GROUPS) -> dict[str, Group]:
    """Group series by their attributes.

    Groupings whose columns the table lacks are left out, and so are those that say nothing new: each
    series its own group, or the same groups as one before.

    Parameters
    ----------
    series : DataFrame of n rows
        Attributes; missing values make a group of their own.
    by : mapping
        Columns of each grouping; none means all series together.
    """
    found: dict[str, Group] = {}
    for name, columns in by.items():
        if not set(columns) <= set(series.columns):
            continue
        code = np.zeros(len(series), dtype=np.intp)
        for column in columns:
            values = pd.factorize(series[column].astype(object), use_na_sentinel=False)[0]
            code = np.unique(code * (int(values.max(initial=0)) + 1) + values, return_inverse=True)[1]
        group = Group(code, int(code.max(initial=-1)) + 1)
        if (group.size < len(series) or not columns) and not any(
            _same(group, other) for other in found.values()
        ):
            found[name] = group
    return found


def _same(one: Group, other: Group) -> bool:
    """Whether two groupings split the series in the same way."""
    if one.size != other.size:
        return False
    pairs = np.unique(one.code * other.size + other.code)
    return len(pairs) == one.size
