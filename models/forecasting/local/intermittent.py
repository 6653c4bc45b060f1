"""Intermittent demand: the method of Teunter, Syntetos and Babai, over many series at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Smoothing of the size of a sale and of its probability; each series takes the pair that fits it best.
SIZE_SMOOTHING = (0.05, 0.1, 0.2, 0.3)
CHANCE_SMOOTHING = (0.01, 0.03, 0.1, 0.2)


def tsb(
    values: Floats,
    horizon: int,
    *,
    size_smoothing: tuple[float, ...] = SIZE_SMOOTHING,
    chance_smoothing: tuple[float, ...] = CHANCE_SMOOTHING,
) -> Floats:
    """Probability of a sale times its size, each smoothed exponentially; the probability also on days without.

    Unlike Croston's method the forecast falls while nothing sells, so that an article on its way out is not
    ordered for ever. The smoothing parameters minimise the squared errors one day ahead, over the pairs
    given.

    Parameters
    ----------
    values : ndarray of shape (n, T)
        Demand; NaN days change nothing.
    horizon : int
        Days to forecast; they are all alike.
    size_smoothing, chance_smoothing : tuple of floats in (0, 1]
        Values to choose from.

    Returns
    -------
    ndarray of shape (n, horizon)

    References
    ----------
    Teunter, Syntetos & Babai (2011), Intermittent demand: linking forecasting to inventory obsolescence,
    European Journal of Operational Research 214, 606-615.
    """
    pairs = np.array([(a, b) for a in size_smoothing for b in chance_smoothing])
    alpha, beta = pairs[:, :1], pairs[:, 1:]
    known = np.isfinite(values)
    amount = np.where(known, values, 0.0)
    sold = known & (amount > 0)
    days, sales = known.sum(axis=1), sold.sum(axis=1)
    shape = (len(pairs), len(values))
    size = np.broadcast_to(amount.sum(axis=1) / np.maximum(sales, 1), shape).copy()
    chance = np.broadcast_to(sales / np.maximum(days, 1), shape).copy()
    loss = np.zeros(shape)
    for day in range(values.shape[1]):  # over time; all series and pairs at once
        now = amount[:, day]
        loss += np.where(known[:, day], (now - chance * size) ** 2, 0.0)
        size = np.where(sold[:, day], size + alpha * (now - size), size)
        chance = np.where(known[:, day], chance + beta * (sold[:, day] - chance), chance)
    best = np.argmin(loss, axis=0)
    level = (chance * size)[best, np.arange(len(values))]
    return np.repeat(level[:, None], horizon, axis=1)
