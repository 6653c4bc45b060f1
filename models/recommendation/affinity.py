"""How far the other holdings of a customer speak for a product."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

Floats = NDArray[np.float64]

#: Customers that a share of few holders leans on, as if they had been seen with everybody's share.
_PRIOR = 5.0


class Affinity:
    """Chance that a customer holds a product, told from the other holdings as if these were independent of each other.

    Naive Bayes, which counts and needs no fitting. The chances of many holdings are too extreme, but their order is
    what trees ask for: one number in place of a split for each of two dozen flags.

    Parameters
    ----------
    held : ndarray of shape (n, n_products), bool
        Holdings.

    Attributes
    ----------
    base : ndarray of shape (n_products,)
        Log-odds with no other product held.
    gain : ndarray of shape (n_products, n_products)
        What holding the row's product adds to those of the column's; 0 on the diagonal.
    """

    def __init__(self, held: NDArray[np.bool_]) -> None:
        flags = held.astype(np.float64)
        n, share, together = len(flags), flags.mean(axis=0), flags.T @ flags
        holders, leaning = together.diagonal(), _PRIOR * share[:, None]
        inside = np.clip((together + leaning) / (holders + _PRIOR), 1e-6, 1 - 1e-6)
        outside = np.clip((holders[:, None] - together + leaning) / (n - holders + _PRIOR), 1e-6, 1 - 1e-6)
        self.gain: Floats = logit(inside) - logit(outside)
        np.fill_diagonal(self.gain, 0.0)
        without = np.log1p(-inside) - np.log1p(-outside)
        np.fill_diagonal(without, 0.0)
        self.base: Floats = logit(np.clip(share, 1e-6, 1 - 1e-6)) + without.sum(axis=0)

    def of(self, held: NDArray[np.bool_]) -> Floats:
        """Chance of every product for every customer, shape (n, n_products)."""
        return np.asarray(expit(self.base + held @ self.gain))
