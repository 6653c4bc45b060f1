"""Exponential smoothing (ETS) by statsforecast, from a short list of models."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SEASON = 7

#: Error, trend, season of the models that compete by AICc. Additive errors, because days without sales
#: rule out multiplicative ones; no trends, because two weeks ahead they cost more than they bring.
POOL = ("ANN", "ANA")


@lru_cache(1)
def _library() -> Any:
    # A second and a half of imports, which groups of other models do not need.
    import statsforecast.ets

    return statsforecast.ets


def ets(values: Floats, horizon: int, *, pool: tuple[str, ...] = POOL) -> tuple[Floats, str]:
    """Fit the models of ``pool`` and forecast by the one with the least AICc.

    Parameters
    ----------
    values : ndarray of shape (T,)
        Demand without gaps.
    horizon : int
        Days to forecast.
    pool : tuple of str
        Components, error, trend and season, each A (additive) or N (none).

    Returns
    -------
    forecast : ndarray of shape (horizon,)
    components : str
        The model taken.

    Raises
    ------
    ValueError
        No model could be fitted: the series is too short.
    """
    if np.ptp(values) == 0:
        return np.full(horizon, values[-1]), "constant"
    library = _library()
    fits = {name: _fit(library, values, name) for name in pool}
    name = min(fits, key=lambda candidate: fits[candidate]["aicc"])
    if not np.isfinite(fits[name]["aicc"]):
        raise ValueError(f"no ETS model of {', '.join(pool)} fits {len(values)} days")
    mean = library.forecast_ets(fits[name], h=horizon)["mean"]
    return np.asarray(mean, dtype=np.float64), name


def _fit(library: Any, values: Floats, name: str) -> dict[str, Any]:
    nan = float("nan")
    fitted: dict[str, Any] = library.etsmodel(
        values,
        SEASON,
        *name,
        damped=False,
        alpha=nan,
        beta=nan,
        gamma=nan,
        phi=nan,
        lower=np.array([1e-4, 1e-4, 1e-4, 0.8]),
        upper=np.array([0.9999, 0.9999, 0.9999, 0.98]),
        opt_crit="lik",
        nmse=3,
        bounds="both",
    )
    return fitted
