"""How long things last when some have not ended yet: the Kaplan-Meier estimator, on a grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Fewest rows still observed at which the estimator goes on; the tail of fewer is noise.
MIN_AT_RISK = 10


def survival_curve(time: Floats, ended: NDArray[np.bool_], grid: Floats) -> Floats:
    """Share that lasts longer than each point of a grid.

    Parameters
    ----------
    time : ndarray of shape (n,)
        When it ended, or until when it was observed. Any real scale.
    ended : ndarray of bool, shape (n,)
        Whether it ended; others are censored: they lasted at least so long.
    grid : ndarray of shape (g,)
        Rising points.

    Returns
    -------
    ndarray of shape (g,)
        Falling from at most 1. Beyond the last time at which ``MIN_AT_RISK`` rows were observed it stays level.

    References
    ----------
    Kaplan & Meier (1958), Nonparametric Estimation from Incomplete Observations, JASA 53.
    """
    if len(time) == 0:
        return np.ones(len(grid))
    points, position = np.unique(time, return_inverse=True)
    ends = np.bincount(position, weights=ended, minlength=len(points))
    gone = np.bincount(position, minlength=len(points))
    at_risk = len(time) - np.concatenate([[0], np.cumsum(gone)[:-1]])
    # With very few rows in all, every one counts.
    enough = at_risk >= min(MIN_AT_RISK, len(time))
    curve = np.cumprod(np.where(enough, 1 - ends / at_risk, 1.0))
    place = np.searchsorted(points, grid, side="right") - 1
    return np.where(place >= 0, curve[np.maximum(place, 0)], 1.0)
