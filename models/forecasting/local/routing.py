"""Series that no model should be fitted to, and what they are forecast by instead."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.forecasting.panel import Panel

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

FALLBACKS = ("fallback_zero", "fallback_constant", "fallback_short", "fallback_spike", "fallback_closed")

#: Fewest known days that the models which learn a week's pattern are fitted to.
LEAST_DAYS = 28

#: Reason of each fallback, as shown beside the forecast.
REASONS = {
    "fallback_zero": "never sold",
    "fallback_constant": "the same every day",
    "fallback_short": "too few days of history",
    "fallback_spike": "sold on one day only",
    "fallback_closed": "store closed on all days ahead",
}


def route(values: Floats, open_ahead: Mask) -> NDArray[np.str_]:
    """Fallback of each series, or ``""`` where a model can be fitted; shape (n,).

    Parameters
    ----------
    values : ndarray of shape (n, T)
        Demand; NaN where unknown.
    open_ahead : ndarray of bool, shape (n, H)
    """
    known = np.isfinite(values)
    amount = np.where(known, values, 0.0)
    days = known.sum(axis=1)
    sales = (amount > 0).sum(axis=1)
    highest = amount.max(axis=1, initial=0.0)
    lowest = np.where(known, values, np.inf).min(axis=1, initial=np.inf)
    tests = [
        ("fallback_closed", ~open_ahead.any(axis=1)),
        ("fallback_short", (days < LEAST_DAYS) & (sales > 0)),
        ("fallback_zero", sales == 0),
        ("fallback_spike", sales == 1),
        ("fallback_constant", lowest == highest),
    ]
    return np.select([test for _, test in tests], [name for name, _ in tests], default="")


def fallbacks_at(panel: Panel, short_days: int) -> NDArray[np.object_]:
    """Fallback of each series as it stood at the origin of a panel, ``""`` where models could be fitted.

    Parameters
    ----------
    short_days
        Known days from which a series is not too short.
    """
    names = route(panel.y.astype(np.float64), panel.open[:, panel.n_history :]).astype(object)
    known = np.isfinite(panel.y).sum(axis=1)
    names[(names == "fallback_short") & (known >= short_days)] = ""
    return names


def fallback_forecast(names: NDArray[np.str_], values: Floats, horizon: int) -> Floats:
    """Forecast of series by the fallbacks ``names``, shape (n, horizon).

    ``fallback_constant`` repeats the constant and ``fallback_short`` takes the mean of the last 14 known
    days; the others forecast 0, ``fallback_spike`` because one sale says nothing of a next one.
    """
    known = np.isfinite(values)
    from_last = np.cumsum(known[:, ::-1], axis=1)[:, ::-1]
    recent = known & (from_last <= 14)
    mean = np.where(recent, values, 0.0).sum(axis=1) / np.maximum(recent.sum(axis=1), 1)
    level = np.select([names == "fallback_constant", names == "fallback_short"], [mean, mean], default=0.0)
    return np.repeat(level[:, None], horizon, axis=1)
