"""Seasonal ARIMA with given orders: statsforecast's compiled likelihood and forecasts, our own search.

statsforecast 2.1.1 keeps the state covariance of one evaluation of the likelihood for the next, so with
differencing the function that its optimiser sees depends on the path: it stops tens of units of
log-likelihood below the optimum, and with gaps it hardly leaves the start. The likelihood itself is
right. Here the series is differenced first, every evaluation starts afresh, and the optimum is that of
statsmodels at a fraction of its time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Floats = NDArray[np.float64]

SEASON = 7


@dataclass(frozen=True)
class Order:
    """Orders (p, d, q)(P, D, Q) of a weekly seasonal ARIMA."""

    p: int
    d: int
    q: int
    P: int
    D: int
    Q: int

    @classmethod
    def parse(cls, text: str) -> Order:
        """Read ``"(1,0,1)(0,1,1)"``.

        Raises
        ------
        ValueError
            The text is not six small numbers in that form.
        """
        parts = text.replace(")(", ",").strip("()").split(",")
        if len(parts) != 6 or not all(part.strip().isdigit() for part in parts):
            raise ValueError(f"an order must look like (1,0,1)(0,1,1), got {text!r}")
        return cls(*(int(part) for part in parts))

    def __str__(self) -> str:
        return f"({self.p},{self.d},{self.q})({self.P},{self.D},{self.Q})"

    @property
    def coefficients(self) -> int:
        """Number of AR and MA coefficients."""
        return self.p + self.q + self.P + self.Q

    @property
    def lost(self) -> int:
        """Days that differencing takes."""
        return self.d + SEASON * self.D

    @property
    def mean(self) -> bool:
        """Whether a mean is estimated: only without differencing."""
        return self.d + self.D == 0


#: Where no search has been made: level and weekdays that move slowly, which suits most daily sales.
DEFAULT_ORDER = Order(1, 0, 1, 0, 1, 1)


@dataclass(frozen=True)
class Fitted:
    """A fitted model.

    Attributes
    ----------
    order
        Its orders.
    coefficients : ndarray
        ar, ma, seasonal ar, seasonal ma, then the mean if there is one.
    loglik : float
        Log-likelihood of the differenced series.
    aicc : float
        Corrected Akaike criterion; comparable between models with the same differencing only.
    """

    order: Order
    coefficients: Floats
    loglik: float
    aicc: float


@lru_cache(1)
def _library() -> Any:
    # A second and a half of imports, which groups of other models do not need.
    import statsforecast.arima

    return statsforecast.arima


def fit(y: Floats, order: Order) -> Fitted:
    """Estimate the coefficients by maximum likelihood.

    Parameters
    ----------
    y : ndarray of shape (T,)
        Demand; NaN are gaps.
    order : Order

    Raises
    ------
    ValueError
        There are too few days for the order.
    """
    series = difference(y, order)
    used = int(np.isfinite(series).sum())
    parameters = order.coefficients + order.mean + 1
    if used < max(4 * parameters, 2 * SEASON):
        raise ValueError(
            f"{order} needs {max(4 * parameters, 2 * SEASON)} days after differencing, got {used}"
        )
    scale = float(np.nanstd(series)) or 1.0
    mean = float(np.nanmean(series)) if order.mean else 0.0
    centred = (series - mean) / scale
    objective = _objective(centred, order)
    start = np.concatenate(
        [np.full(order.p, 0.3), np.full(order.q, -0.3), np.full(order.P, 0.3), np.full(order.Q, -0.7)]
    )
    if order.mean:
        start = np.append(start, 0.0)
    best = start
    value = objective(start)
    if len(start):
        found = minimize(objective, start, method="BFGS", tol=1e-4, options={"maxiter": 100})
        if found.fun <= value:
            best, value = found.x, float(found.fun)
    raw = _library().arima_undopars(best, _arma(order, differenced=True)) if order.coefficients else best
    coefficients = np.asarray(raw, dtype=np.float64)
    if order.mean:
        coefficients = np.append(coefficients[: order.coefficients], mean + scale * best[-1])
    loglik = -used * (value + math.log(scale) + 0.5 + 0.5 * math.log(2 * math.pi))
    aicc = -2 * loglik + 2 * parameters * used / max(used - parameters - 1, 1)
    return Fitted(order, coefficients, loglik, aicc)


def forecast(y: Floats, fitted: Fitted, horizon: int) -> Floats:
    """Mean forecast of the days after ``y``, shape (horizon,); gaps in ``y`` are bridged by the model."""
    library = _library()
    order = fitted.order
    model = library.arima(
        np.asarray(y, dtype=np.float64),
        order=(order.p, order.d, order.q),
        seasonal={"order": (order.P, order.D, order.Q), "period": SEASON},
        include_mean=order.mean,
        method="ML",
        fixed=fitted.coefficients.copy(),
    )
    return np.asarray(library.predict_arima(model, horizon, se_fit=False), dtype=np.float64)


def difference(y: Floats, order: Order) -> Floats:
    """Series after the order's differencing, T - ``order.lost`` long."""
    series = np.asarray(y, dtype=np.float64)
    for lag in [1] * order.d + [SEASON] * order.D:
        series = series[lag:] - series[:-lag]
    return series


def _arma(order: Order, *, differenced: bool) -> NDArray[np.int32]:
    d, seasonal_d = (0, 0) if differenced else (order.d, order.D)
    return np.array([order.p, order.q, order.P, order.Q, SEASON, d, seasonal_d], dtype=np.int32)


def _objective(series: Floats, order: Order) -> Callable[[Floats], float]:
    """Half the mean of minus twice the log-likelihood (up to a constant), of unconstrained parameters."""
    library = _library()
    arma = _arma(order, differenced=True)
    none = np.empty(0)

    def objective(parameters: Floats) -> float:
        phi, theta = library.arima_transpar(parameters, arma, True)
        state = library.make_arima(phi, theta, none)  # afresh: the filter writes into it
        data = series - parameters[-1] if order.mean else series
        squares, logs, count, _ = library.arima_like(
            data, phi, theta, state["delta"], state["a"], state["P"], state["Pn"], 0, False
        )
        if not (count > 0 and squares > 0 and math.isfinite(squares) and math.isfinite(logs)):
            return 1e10
        return float(0.5 * (math.log(squares / count) + logs / count))

    return objective
