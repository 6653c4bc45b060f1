"""What the models must beat: rules that a person could apply."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.repurchase.bgnbd import BgNbd, History

Floats = NDArray[np.float64]


def median_gap(gap_median: Any, days_since_last: Any, usual: float) -> Floats:
    """Days to the next order if the customer keeps the median gap; today if that day has passed.

    Parameters
    ----------
    gap_median : array-like of shape (n,)
        Median days between the customer's orders; NaN after one order.
    days_since_last : array-like of shape (n,)
    usual : float
        Gap of customers without one.
    """
    gap = np.asarray(gap_median, dtype=np.float64)
    gap = np.where(np.isnan(gap), usual, gap)
    return np.maximum(gap - np.asarray(days_since_last, dtype=np.float64), 0.0)


def purchase_history(orders: Any, days_since_last: Any, tenure_days: Any) -> History:
    """History as BG/NBD wants it."""
    n, since, tenure = (np.asarray(part, dtype=np.float64) for part in (orders, days_since_last, tenure_days))
    return History.of(np.maximum(n - 1, 0), np.maximum(tenure - since, 0), tenure)


def bg_nbd(history: History, horizon_days: int) -> tuple[Floats, Floats]:
    """Days to the next order and probability of a return, by BG/NBD fitted on the same histories."""
    model = BgNbd.fit(history)
    return model.time_to_next(history, 0.5, horizon_days), model.returns_within(history, horizon_days)


def last_order_again(in_last_order: Any, sizes: NDArray[np.int64]) -> tuple[Floats, NDArray[np.int64]]:
    """Score of each candidate and length of each customer's list: what the last order had."""
    last = np.asarray(in_last_order, dtype=np.float64)
    return last, np.add.reduceat(last, np.cumsum(sizes) - sizes).astype(np.int64)


def most_frequent(
    times_bought: Any, orders_since_last: Any, basket_mean: Any, sizes: NDArray[np.int64]
) -> tuple[Floats, NDArray[np.int64]]:
    """The most often bought products, as many as an average order of the customer has; ties by the newest.

    Parameters
    ----------
    basket_mean : array-like of shape (n,)
        Mean products per order of the candidate's customer.
    """
    times, since = (np.asarray(part, dtype=np.float64) for part in (times_bought, orders_since_last))
    size = np.asarray(basket_mean, dtype=np.float64)[np.cumsum(sizes) - sizes]
    score = times - since / (since.max() + 1) if len(since) else times
    return score, np.minimum(np.rint(np.nan_to_num(size)).astype(np.int64), sizes)
