"""Panels of the nodes above the series: what a store, a region or the nation sold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.forecasting.panel import Panel

#: A node's day counts as known if series that make up this share of its usual sales are.
LEAST_KNOWN = 0.5


def aggregate(panel: Panel, nodes: Sequence[Any] | NDArray[Any]) -> Panel:
    """Sum a panel's series into nodes.

    A store that has not reported yet must not look like a slump of its region: a day's sum is raised by
    what the missing series usually sell, and unknown if these make up half of the node or more. Discounts
    and calendar facts become means, weighted by what the series usually sell.

    Parameters
    ----------
    panel
        n series.
    nodes : sequence of length n
        Node of each series.

    Returns
    -------
    Panel
        One series per node, sorted by name; ``store_id`` holds the name, ``sku_id`` is ``"all"``. Each has
        a calendar of its own.
    """
    names, code = np.unique(np.asarray(nodes), return_inverse=True)
    count = len(names)

    def sums(values: NDArray[Any]) -> NDArray[np.float64]:
        """Sums of rows by node."""
        out = np.zeros((count, values.shape[1]))
        np.add.at(out, code, values)
        return out

    known = np.isfinite(panel.y)
    usual = np.nansum(panel.y, axis=1) / np.maximum(known.sum(axis=1), 1)
    weight = np.maximum(usual, 1e-6)[:, None]
    started = np.maximum.accumulate(known, axis=1)
    expected, reported = sums(started * weight), sums(known * weight)
    share = np.divide(reported, expected, out=np.zeros_like(expected), where=expected > 0)
    total = np.divide(sums(np.nan_to_num(panel.y)), share, out=np.full_like(share, np.nan), where=share > 0)
    total[share < LEAST_KNOWN] = np.nan

    mass = np.bincount(code, weights=weight[:, 0], minlength=count)[:, None]
    store_weight = np.zeros((count, int(panel.store.max(initial=0)) + 1))
    np.add.at(store_weight, (code, panel.store), weight[:, 0])
    calendar = {
        name: _mean(store_weight, values[: store_weight.shape[1]]) for name, values in panel.calendar.items()
    }
    if "is_open" in calendar:
        calendar["is_open"] = (calendar["is_open"] > 0).astype(np.float32)
    return Panel(
        series=pd.DataFrame({"store_id": names.astype(str), "sku_id": "all"}),
        days=panel.days,
        n_history=panel.n_history,
        y=total.astype(np.float32),
        censored=np.zeros((count, panel.n_history), dtype=bool),
        promo=(sums(np.nan_to_num(panel.promo) * weight) / mass).astype(np.float32),
        price=np.full((count, len(panel.days)), np.nan, dtype=np.float32),
        store=np.arange(count, dtype=np.intp),
        calendar=calendar,
    )


def _mean(weight: NDArray[np.float64], values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weighted means of the stores' facts, of those that are known."""
    known = np.isfinite(values)
    mass = weight @ known
    total = weight @ np.where(known, values, 0.0)
    mean = np.divide(total, mass, out=np.full_like(total, np.nan), where=mass > 0)
    return np.asarray(mean, dtype=np.float32)
