"""A past night: what it would have forecast, and what came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.forecasting.panel import Mask, Matrix

#: Horizons of the tables.
HORIZONS = (1, 7, 14)


@dataclass(frozen=True)
class Past:
    """Forecasts of all series from a past origin, published days only, and what came.

    Attributes
    ----------
    origin
        Day of the forecast.
    begun : ndarray of bool, shape (n,)
        Whether the series was on sale by then: the night would not have forecast the others.
    actual, units : ndarray of shape (n, horizon_days)
        Sales (NaN where not reported, or not begun) and forecasts (0 where not begun).
    censored : ndarray of bool, shape (n, horizon_days)
        Stock-outs.
    """

    origin: date
    begun: NDArray[np.bool_]
    actual: Matrix
    censored: Mask
    units: Matrix


def stacked(past: Sequence[Past], name: str) -> NDArray[Any]:
    """Matrices of several nights, one below the other."""
    return np.concatenate([getattr(one, name) for one in past])
