"""What is usual among accounts of the same kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True)
class Peers:
    """Groups of comparable rows.

    Attributes
    ----------
    group : ndarray of shape (n,)
        Position of each row's group.
    names : tuple of str
        Name of each group, sorted.
    large : ndarray of shape (n_groups,), bool
        Whether the group has enough rows to be compared with; rows of the others are compared with all.
    """

    group: NDArray[np.intp]
    names: tuple[str, ...]
    large: NDArray[np.bool_]

    @classmethod
    def of(cls, groups: Any, *, min_size: int = 5) -> Peers:
        """Group rows by a column; missing groups are called ``unknown``."""
        labels = pd.Series(np.asarray(groups, dtype=object)).fillna("unknown").astype(str)
        names, group = np.unique(labels.to_numpy(dtype=object), return_inverse=True)
        size = np.bincount(group, minlength=len(names))
        return cls(group.astype(np.intp), tuple(str(name) for name in names), size >= min_size)

    def medians(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Median of each row's peers (itself included), missing values left out; NaN if all are."""
        series = pd.Series(values)
        found = series.groupby(self.group).median().reindex(range(len(self.names))).to_numpy(np.float64)
        # Over a column that is missing everywhere, pandas would warn of an empty mean.
        found = np.where(self.large, found, series.dropna().median())
        return np.asarray(found[self.group], dtype=np.float64)

    def shares_alike(self, categories: Any) -> NDArray[np.float64]:
        """Share of each row's peers (itself included) that are in the same category."""
        codes = pd.factorize(np.asarray(categories, dtype=object), use_na_sentinel=False)[0]
        frame = pd.DataFrame({"group": self.group, "code": codes})
        among_peers = frame.groupby(["group", "code"])["code"].transform("size") / frame.groupby("group")[
            "code"
        ].transform("size")
        among_all = frame.groupby("code")["code"].transform("size") / max(len(frame), 1)
        return np.where(self.large[self.group], among_peers, among_all)
