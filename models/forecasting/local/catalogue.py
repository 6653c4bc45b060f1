"""The models by name: what each is given of a cleaned series."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from models.forecasting.local import arima
from models.forecasting.local.intermittent import tsb
from models.forecasting.local.limits import FitTimeout
from models.forecasting.local.matrices import Group
from models.forecasting.local.naive import seasonal_naive
from models.forecasting.local.prophet_model import prophet_forecast
from models.forecasting.local.routing import FALLBACKS
from models.forecasting.local.smoothing import ets

Floats = NDArray[np.float64]

#: What the libraries raise on a series they cannot fit. Anything else is our error and stops the run.
FIT_ERRORS = (ValueError, ArithmeticError, RuntimeError, TimeoutError, np.linalg.LinAlgError, FitTimeout)

#: Forecast of one series of a group, (H,), and the orders or components taken, ``""`` if there are none.
OneSeries = Callable[[Group, int], tuple[Floats, str]]

#: Forecasts of some series of a group at once, shape (len(rows), H).
ManySeries = Callable[[Group, NDArray[np.intp]], Floats]


def of_seasonal_naive(group: Group, rows: NDArray[np.intp]) -> Floats:
    """The last weeks as they were, promotions included: what needs no model."""
    return seasonal_naive(group.cleaned.demand[rows], group.horizon)


def of_tsb(group: Group, rows: NDArray[np.intp]) -> Floats:
    """TSB has no notion of a week: it sees the series without weekdays and promotions, which come back after."""
    cleaned, horizon = group.cleaned, group.horizon
    length = cleaned.base.shape[1]
    factor = cleaned.week[rows]
    level = tsb(cleaned.base[rows] / factor[:, group.weekday[:length]], horizon)
    return cleaned.lifted(level * factor[:, group.weekday[length:]], group.promo[rows, length:], rows)


def of_ets(group: Group, row: int) -> tuple[Floats, str]:
    """Exponential smoothing of the series without promotions, its gaps filled by what was expected."""
    base, components = ets(group.cleaned.filled[row], group.horizon)
    return group.lifted(base, row), components


def of_sarima(group: Group, row: int) -> tuple[Floats, str]:
    """Seasonal ARIMA with the orders given, of the series without promotions; gaps stay gaps."""
    text = group.orders[row]
    order = arima.Order.parse(text) if text else arima.DEFAULT_ORDER
    base = group.cleaned.base[row]
    fitted = arima.fit(base, order)
    return group.lifted(arima.forecast(base, fitted, group.horizon), row), str(order)


def of_prophet(group: Group, row: int) -> tuple[Floats, str]:
    """Prophet of the demand, with promotions and the calendar as regressors."""
    regressors = {"promo": group.promo[row], **group.regressors[row]}
    return prophet_forecast(group.cleaned.demand[row], group.days, regressors), ""


def of_average(group: Group, row: int) -> tuple[Floats, str]:
    """Mean of seasonal ARIMA and TSB, the two whose errors differ most for what they cost."""
    autoregressive, order = of_sarima(group, row)
    return 0.5 * (autoregressive + of_tsb(group, np.array([row]))[0]), order


VECTORISED: dict[str, ManySeries] = {"seasonal_naive": of_seasonal_naive, "tsb": of_tsb}
PER_SERIES: dict[str, OneSeries] = {
    "ets": of_ets,
    "sarima": of_sarima,
    "prophet": of_prophet,
    "average": of_average,
}

#: Every name that can be asked for as a model.
LOCAL_MODELS = (*VECTORISED, *PER_SERIES, *FALLBACKS)
