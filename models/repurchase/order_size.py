"""How the products of an order depend on each other: some orders are large as a whole, some small.

Given calibrated probabilities, the log-odds of all products of an order are shifted by the same normal
variable. Its standard deviation is estimated from orders by maximum likelihood; each product's own
probability stays what it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, logsumexp

Floats = NDArray[np.float64]

#: Nodes of the Gauss-Hermite quadrature over the shift: when it serves, and when it is estimated.
NODES, FIT_NODES = 7, 15

#: Largest standard deviation that is looked for.
LARGEST = 4.0


@dataclass(frozen=True)
class OrderSize:
    """Normal shift shared by the log-odds of an order's products.

    Attributes
    ----------
    sd : float
        Its standard deviation; 0 if products are independent.
    """

    sd: float = 0.0

    @classmethod
    def fit(cls, probability: Any, bought: Any, sizes: Any) -> Self:
        """Estimate from orders that the probabilities did not learn from.

        Parameters
        ----------
        probability, bought : array-like of shape (n,)
            Calibrated probability of each candidate, and whether it was in the order.
        sizes : array-like of int, shape (n_orders,)
            Candidates of each order; orders follow each other.
        """
        p = np.clip(np.asarray(probability, dtype=np.float64), 1e-9, 1 - 1e-9)
        y, counts = np.asarray(bought, dtype=bool), np.asarray(sizes, dtype=np.int64)
        if counts.sum() != len(p) or len(y) != len(p):
            raise ValueError(f"sizes must add up to the {len(p)} products, got {counts.sum()}")
        if len(p) == 0:
            return cls()
        found = minimize_scalar(
            lambda sd: -cls(sd)._log_likelihood(p, y, counts),
            bounds=(0.0, LARGEST),
            method="bounded",
            options={"xatol": 1e-3},
        )
        return cls(float(found.x))

    def conditional(self, probability: Floats, nodes: int = NODES) -> Iterator[tuple[Floats, float]]:
        """Probabilities given each node of the shift, and the node's weight."""
        if self.sd == 0:
            yield probability, 1.0
            return
        node, weight = np.polynomial.hermite_e.hermegauss(nodes)
        weight = weight / weight.sum()
        centre = self._centre(probability, node, weight)
        for z, share in zip(node, weight, strict=True):
            # A product that is certain either way stays so.
            inside = (probability > 0) & (probability < 1)
            yield np.where(inside, expit(centre + self.sd * z), probability), float(share)

    def _centre(self, probability: Floats, node: Floats, weight: Floats) -> Floats:
        """Log-odds before the shift whose mean probability is the given one."""
        # The mean probability rises with the centre: inverted once on a grid, then interpolated.
        grid = np.linspace(-30.0, 30.0, 4001)
        mean = expit(grid[:, None] + self.sd * node) @ weight
        wanted = np.clip(probability, mean[0], mean[-1])
        odds = np.log(mean) - np.log1p(-mean)
        found = np.interp(np.log(wanted) - np.log1p(-wanted), odds, grid)
        return np.asarray(found, dtype=np.float64)

    def _log_likelihood(self, p: Floats, y: NDArray[np.bool_], counts: NDArray[np.int64]) -> float:
        starts = np.cumsum(counts) - counts
        starts = starts[counts > 0]
        terms, shares = [], []
        for given, share in self.conditional(p, FIT_NODES):
            given = np.clip(given, 1e-12, 1 - 1e-12)
            terms.append(np.add.reduceat(np.where(y, np.log(given), np.log1p(-given)), starts))
            shares.append(np.log(share))
        return float(logsumexp(np.array(terms) + np.array(shares)[:, None], axis=0).sum())
