"""BG/NBD: how often customers buy, and whether they are still customers, from counts and dates alone.

Customers buy at a rate of their own (gamma distributed) until, after some purchase, they leave for good (with a
chance of their own, beta distributed). It needs no features, so it is what a model with features must beat.

References
----------
Fader, Hardie & Lee (2005), "Counting Your Customers" the Easy Way: An Alternative to the Pareto/NBD Model,
Marketing Science 24(2). Their parameters for a sample of CDNOW are reproduced by a test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import betaln, gammaln, hyp2f1

Floats = NDArray[np.float64]

#: Starts of the search, as logs of (r, alpha in units of the mean age, a, b).
_STARTS = ((0.0, 0.0, 0.0, 0.0), (-1.0, -2.0, -0.5, 1.0), (1.0, 0.0, -1.0, 0.0))

#: Bounds of the logs: parameters may neither vanish nor run away where the data do not pin them down.
_BOUND = 9.0


@dataclass(frozen=True)
class History:
    """What the model knows of each customer, all of shape (n,), in one unit of time.

    Attributes
    ----------
    repeats : ndarray
        Purchases after the first; several on a day are one.
    recency : ndarray
        Time from the first purchase to the last; 0 without repeats.
    age : ndarray
        Time from the first purchase to now.
    """

    repeats: Floats
    recency: Floats
    age: Floats

    @classmethod
    def of(cls, repeats: Any, recency: Any, age: Any) -> Self:
        """Check and convert.

        Raises
        ------
        ValueError
            Something is negative or missing, or a last purchase is later than now.
        """
        x, t, T = (np.asarray(part, dtype=np.float64) for part in (repeats, recency, age))
        if not ((x >= 0) & (t >= 0) & (t <= T)).all():
            raise ValueError("repeats must be >= 0 and recency between 0 and age, without missing values")
        return cls(x, t, T)


@dataclass(frozen=True)
class BgNbd:
    """Parameters of the model.

    Attributes
    ----------
    r, alpha : float
        Shape and rate of the gamma distribution of purchase rates; ``alpha`` is a time.
    a, b : float
        Beta distribution of the chance to leave after a purchase.
    log_likelihood : float
        Of the customers fitted on; NaN if the parameters were given.
    """

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float = float("nan")

    @classmethod
    def fit(cls, history: History) -> Self:
        """Fit by maximum likelihood.

        Raises
        ------
        ValueError
            No customer bought again: nothing says how often they do.
        """
        if not (history.repeats > 0).any():
            raise ValueError("at least one customer must have bought again, got none")
        rows = np.column_stack([history.repeats, history.recency, history.age])
        distinct, count = np.unique(rows, axis=0, return_counts=True)
        x, t, T = distinct.T
        scale = max(float(T.mean()), 1e-9)

        def loss(theta: Floats) -> float:
            r, alpha, a, b = np.exp(theta)
            return float(-(count @ _log_likelihood(r, alpha, a, b, x, t / scale, T / scale)) / count.sum())

        found = min(
            (
                minimize(
                    loss,
                    np.array(start),
                    method="L-BFGS-B",
                    jac="3-point",
                    bounds=[(-_BOUND, _BOUND)] * 4,
                    options={"ftol": 1e-13, "gtol": 1e-8, "maxiter": 500},
                )
                for start in _STARTS
            ),
            key=lambda result: float(result.fun),
        )
        r, alpha, a, b = (float(value) for value in np.exp(found.x))
        alpha *= scale
        return cls(r, alpha, a, b, float(count @ _log_likelihood(r, alpha, a, b, x, t, T)))

    def alive(self, history: History) -> Floats:
        """Probability that each customer has not left, shape (n,)."""
        return np.asarray(1 / (1 + self._odds_of_having_left(history)), dtype=np.float64)

    def expected_purchases(self, history: History, ahead: float) -> Floats:
        """Expected purchases of each customer in the next ``ahead`` units of time, shape (n,)."""
        x, T = history.repeats, history.age
        shape, b, c = self.r + x, self.b + x, self.a + self.b + x - 1
        if abs(self.a - 1) < 1e-9:  # the formula has a hole there
            return BgNbd(self.r, self.alpha, 1 + 1e-6, self.b).expected_purchases(history, ahead)
        z = ahead / (self.alpha + T + ahead)
        share = ((self.alpha + T) / (self.alpha + T + ahead)) ** shape
        mean = c / (self.a - 1) * (1 - share * hyp2f1(shape, b, c, z))
        return np.asarray(mean / (1 + self._odds_of_having_left(history)), dtype=np.float64)

    def returns_within(self, history: History, ahead: Any) -> Floats:
        """Probability that each customer buys within ``ahead``, shape (n,)."""
        waits = ((self.alpha + history.age) / (self.alpha + history.age + np.asarray(ahead))) ** (
            self.r + history.repeats
        )
        return np.asarray(self.alive(history) * (1 - waits), dtype=np.float64)

    def time_to_next(self, history: History, share: float, ahead: float) -> Floats:
        """Quantile of the time to the next purchase among those that come within ``ahead``.

        Parameters
        ----------
        share : float in (0, 1)
            0.5 for the median.
        """
        # Given that the customer has not left, the wait is Lomax distributed.
        age, shape = self.alpha + history.age, self.r + history.repeats
        within = 1 - (age / (age + ahead)) ** shape
        return np.asarray(age * ((1 - share * within) ** (-1 / shape) - 1), dtype=np.float64)

    def _odds_of_having_left(self, history: History) -> Floats:
        x = history.repeats
        ratio = ((self.alpha + history.age) / (self.alpha + history.recency)) ** (self.r + x)
        return np.where(x > 0, self.a / (self.b + np.maximum(x, 1) - 1) * ratio, 0.0)


def _log_likelihood(r: float, alpha: float, a: float, b: float, x: Floats, t: Floats, T: Floats) -> Floats:
    """Log likelihood of each customer."""
    rate = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
    stays = betaln(a, b + x) - betaln(a, b) - (r + x) * np.log(alpha + T)
    last = np.maximum(x, 1)
    leaves = betaln(a + 1, b + last - 1) - betaln(a, b) - (r + x) * np.log(alpha + t)
    return np.asarray(rate + np.where(x > 0, np.logaddexp(stays, leaves), stays), dtype=np.float64)
