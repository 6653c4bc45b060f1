"""How good short lists are: whether what was taken is on them, how high, and how much of the catalogue they show."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def average_precisions(
    product: NDArray[np.int64], taken: NDArray[np.bool_], held: NDArray[np.bool_] | None = None
) -> Floats:
    """Average precision of each customer's list; its mean over those who took something is MAP@k.

    Parameters
    ----------
    product : ndarray of shape (n, k)
        Products of the lists, best first; -1 for an empty place.
    taken : ndarray of shape (n, n_products), bool
        What each customer took.
    held : ndarray of shape (n, n_products), bool, optional
        What each held before; it does not count as taken.

    Returns
    -------
    ndarray of shape (n,)
        Mean over the ``min(taken, k)`` best places of the precision at each hit; NaN for who took nothing.
    """
    relevant = taken if held is None else taken & ~held
    hit = np.take_along_axis(relevant, product.clip(0), axis=1) & (product >= 0)
    precision = np.cumsum(hit, axis=1) / np.arange(1, product.shape[1] + 1)
    wanted = np.minimum(relevant.sum(axis=1), product.shape[1])
    total = (precision * hit).sum(axis=1)
    found: Floats = np.divide(total, wanted, out=np.full(len(product), np.nan), where=wanted > 0)
    return found


def mean_average_precision(values: Floats) -> float:
    """MAP@k: the mean over those who took something; NaN if nobody did."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def coverage(product: NDArray[np.int64], n_products: int) -> float:
    """Share of the products that are on anybody's list."""
    return len(np.unique(product[product >= 0])) / n_products if n_products else float("nan")


def filled(product: NDArray[np.int64]) -> float:
    """Share of the customers whose list is full."""
    return float((product >= 0).all(axis=1).mean()) if len(product) else float("nan")
