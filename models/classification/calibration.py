"""From raw scores to probabilities that mean what they say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit


@dataclass(frozen=True)
class LogitCalibration:
    """Probability = sigmoid(``slope`` x raw + ``intercept``), strictly increasing in the raw score.

    Two parameters (Platt's scaling on the log-odds scale) because a booster trained on the log loss
    with the classes as they are is nearly calibrated already, and because a strictly increasing map
    keeps the ranking: isotonic regression would tie thousands of accounts at the very top.

    Attributes
    ----------
    slope : float
        Above 1 where the booster is too timid, below 1 where it is overconfident; always > 0.
    intercept : float
        Shift in log-odds.
    """

    slope: float = 1.0
    intercept: float = 0.0

    @classmethod
    def fit(cls, raw: NDArray[np.float64], y: NDArray[np.bool_], *, min_positives: int = 50) -> Self:
        """Fit on out-of-fold raw scores by maximum likelihood.

        Parameters
        ----------
        raw : ndarray of shape (n,)
            Log-odds predicted for rows that the booster had not seen.
        y : ndarray of shape (n,), bool
            What happened.
        min_positives : int
            With fewer events (or fewer non-events), the identity is kept: two parameters estimated
            on a handful of events would do more harm than good.

        References
        ----------
        Platt (1999), Probabilistic outputs for support vector machines; Niculescu-Mizil & Caruana
        (2005), Predicting good probabilities with supervised learning, ICML.
        """
        if min(int(y.sum()), int((~y).sum())) < min_positives:
            return cls()
        target = y.astype(np.float64)

        def loss(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            z = np.exp(theta[0]) * raw + theta[1]  # slope > 0 by construction
            error = expit(z) - target
            value = float(np.mean(np.logaddexp(0.0, z) - target * z))
            return value, np.array([np.mean(error * raw) * np.exp(theta[0]), np.mean(error)])

        found = minimize(loss, np.zeros(2), jac=True, method="L-BFGS-B", bounds=[(-2.0, 2.0), (-10.0, 10.0)])
        return cls(float(np.exp(found.x[0])), float(found.x[1]))

    @classmethod
    def fit_over_folds(
        cls,
        raw: NDArray[np.float64],
        y: NDArray[np.bool_],
        fold: NDArray[np.intp],
        *,
        min_positives: int = 50,
    ) -> Self:
        """Fit on all folds, but only if what is learnt on some folds helps on the others.

        The identity stays unless fits that leave one fold out lower the log loss summed over the folds
        left out. Forward in time this matters: the level of risk wobbles from month to month, and a
        shift learnt from the last months is as often wrong as right for the next. Over five origins of
        a simulated company, always applying the fit raised the log loss by 1 to 2 %, isotonic
        regression by 3 %.

        Parameters
        ----------
        raw, y, fold : ndarray of shape (n,)
            Out-of-fold log-odds, outcomes, and the fold each row was held out in.
        min_positives : int
            See :meth:`fit`.
        """
        gain = 0.0
        for k in np.unique(fold):
            held = fold == k
            found = cls.fit(raw[~held], y[~held], min_positives=min_positives)
            gain += _loss(raw[held], y[held]) - _loss(found.slope * raw[held] + found.intercept, y[held])
        return cls.fit(raw, y, min_positives=min_positives) if gain > 0 else cls()

    def __call__(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities of raw scores."""
        return np.asarray(expit(self.slope * raw + self.intercept), dtype=np.float64)


def _loss(raw: NDArray[np.float64], y: NDArray[np.bool_]) -> float:
    """Log loss of log-odds, summed over the rows."""
    return float((np.logaddexp(0.0, raw) - y * raw).sum())
