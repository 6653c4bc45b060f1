"""Which of the products that a customer holds speak for another one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Companions:
    """How much more often each product is held beside another than by everybody.

    Parameters
    ----------
    held : ndarray of shape (n, n_products), bool
        Holdings.

    Attributes
    ----------
    lift : ndarray of shape (n_products, n_products)
        Share of the holders of the column's product who also hold the row's, over the share of all who do; 0 where
        nobody holds either.
    """

    def __init__(self, held: NDArray[np.bool_]) -> None:
        flags = held.astype(np.float64)
        share, together = flags.mean(axis=0), flags.T @ flags / max(len(flags), 1)
        expected = np.outer(share, share)
        self.lift: Floats = np.divide(together, expected, out=np.zeros_like(together), where=expected > 0)
        np.fill_diagonal(self.lift, 0.0)

    def of(self, held: NDArray[np.bool_], product: NDArray[np.int64], *, top: int = 2) -> NDArray[np.int64]:
        """The held products that speak most for each row's product, best first.

        Parameters
        ----------
        held : ndarray of shape (n, n_products), bool
        product : ndarray of shape (n,)
            Column of the product; -1 for none.

        Returns
        -------
        ndarray of shape (n, top)
            Columns; -1 where no further product is held more often beside it than by everybody.
        """
        lift = np.where(held, self.lift[product], 0.0)
        order = np.argsort(-lift, axis=1, kind="stable")[:, :top]
        speaks = np.take_along_axis(lift, order, axis=1) > 1.0
        return np.where(speaks & (product[:, None] >= 0), order, -1).astype(np.int64)
