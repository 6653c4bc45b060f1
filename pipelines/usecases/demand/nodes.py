"""Nodes of the hierarchy that series belong to, and sums over them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_COLUMNS = {"region": "region", "store": "store_id", "sku": "sku_id"}


def nodes_of(profile: pd.DataFrame, level: str) -> NDArray[np.object_]:
    """Node of each series at a level; series themselves are ``<store>/<product>``."""
    if level == "national":
        return np.full(len(profile), "all", dtype=object)
    if level == "sku_store":
        return np.asarray(profile["store_id"] + "/" + profile["sku_id"], dtype=object)
    return profile[_COLUMNS[level]].astype(str).to_numpy(object)


def level_sums(profile: pd.DataFrame, values: NDArray[Any], level: str) -> NDArray[np.float64]:
    """Sums of the series by node, shape (nodes, columns); NaN where one of them is NaN.

    Nodes are sorted by name; the level of the series themselves keeps their order.
    """
    if level == "sku_store":
        return np.asarray(values, dtype=np.float64)
    names, code = np.unique(nodes_of(profile, level), return_inverse=True)
    out = np.zeros((len(names), values.shape[1]))
    np.add.at(out, code, values)
    return out
