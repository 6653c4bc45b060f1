"""Seasonal naive: a day is forecast by the same weekday of the last weeks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WEEKS = 4


def seasonal_naive(values: Floats, horizon: int, *, weeks: int = WEEKS) -> Floats:
    """Mean of the last ``weeks`` known days of each day's weekday.

    Parameters
    ----------
    values : ndarray of shape (n, T)
        Demand; NaN on days the store was closed or did not report, which are passed over.
    horizon : int
        Days to forecast, following the last column.
    weeks : int
        Known days of a weekday to average.

    Returns
    -------
    ndarray of shape (n, horizon)
        A weekday that was never known takes the mean over the other weekdays; a series without any known
        day, 0.
    """
    n, length = values.shape
    padded = np.hstack([np.full((n, -length % 7), np.nan), values])
    by_week = padded.reshape(n, -1, 7)  # the first column of a week is the weekday of the first step
    known = np.isfinite(by_week)
    from_last = np.cumsum(known[:, ::-1], axis=1)[:, ::-1]
    used = known & (from_last <= weeks)
    count = used.sum(axis=1)
    total = np.where(used, by_week, 0.0).sum(axis=1)
    mean = np.divide(total, count, out=np.full((n, 7), np.nan), where=count > 0)
    days_known = np.isfinite(mean).sum(axis=1, keepdims=True)
    other = np.nan_to_num(mean).sum(axis=1, keepdims=True) / np.maximum(days_known, 1)
    mean = np.where(np.isnan(mean), other, mean)
    return np.asarray(mean[:, np.arange(horizon) % 7])
