"""The function that every engine runs: forecasts of a group of packed series."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.forecasting.local import arima
from models.forecasting.local.cleaning import Cleaned, clean
from models.forecasting.local.exchange import RESULT_TYPES
from models.forecasting.local.intermittent import tsb
from models.forecasting.local.limits import FitTimeout, time_limit
from models.forecasting.local.naive import seasonal_naive
from models.forecasting.local.prophet_model import prophet_forecast
from models.forecasting.local.routing import FALLBACKS, REASONS, fallback_forecast, route
from models.forecasting.local.smoothing import ets

Floats = NDArray[np.float64]

#: A fit takes a tenth of a second; one that takes this long will not end well.
SECONDS_PER_SERIES = 30.0

#: What the libraries raise on a series they cannot fit. Anything else is our error and stops the run.
FIT_ERRORS = (ValueError, ArithmeticError, RuntimeError, TimeoutError, np.linalg.LinAlgError, FitTimeout)


@dataclass(frozen=True)
class Group:
    """Packed series of one panel as matrices.

    Attributes
    ----------
    days : ndarray of datetime64[D], shape (T + H,)
    cleaned : Cleaned
        Their history.
    opened : ndarray of bool, shape (n, T + H)
    promo : ndarray of shape (n, T + H)
    orders : list of n str
        SARIMA orders, ``""`` where none is given.
    regressors : list of n dict
        Facts known ahead by name, each (T + H,).
    horizon : int
        H.
    """

    days: NDArray[np.datetime64]
    cleaned: Cleaned
    opened: NDArray[np.bool_]
    promo: Floats
    orders: list[str]
    regressors: list[dict[str, Floats]]
    horizon: int

    def lifted(self, base: Floats, row: int) -> Floats:
        """Forecast of one series with the effect of the promotions ahead."""
        ahead = self.promo[row, -self.horizon :]
        return np.asarray(base * np.exp(self.cleaned.elasticity[row] * ahead))


def forecast_group(frame: pd.DataFrame) -> pd.DataFrame:
    """Forecast a group of series, each by its own model.

    Parameters
    ----------
    frame : DataFrame
        Rows of :func:`~models.forecasting.local.exchange.pack`, all of the same panel. May be empty: then
        the result is, too, and tells the columns and types.

    Returns
    -------
    DataFrame
        Columns of ``RESULT_TYPES``: one row per series and step. ``forecast`` is finite and not negative,
        0 where the store is closed. ``used`` is the model that made it: the one asked for, a fallback, or
        ``seasonal_naive`` if a library failed; ``reason`` says which and why. ``seconds`` is what the
        series took.
    """
    if frame.empty:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in RESULT_TYPES.items()})
    started = time.perf_counter()
    group = matrices(frame)
    cleaned, horizon = group.cleaned, group.horizon
    open_ahead = group.opened[:, -horizon:]
    asked = frame["model"].astype(str).to_numpy(object)
    unknown = sorted(set(asked) - set(LOCAL_MODELS))
    if unknown:
        raise ValueError(f"model must be one of {', '.join(LOCAL_MODELS)}, got {', '.join(unknown)}")

    naive = seasonal_naive(cleaned.demand, horizon)
    used = route(cleaned.demand, open_ahead).astype(object)
    named = np.isin(asked, FALLBACKS) & (used == "")
    used[named] = asked[named]
    routed = used != ""
    forecast = np.where(routed[:, None], fallback_forecast(used.astype(str), cleaned.demand, horizon), naive)
    reason = np.array([REASONS.get(name, "fitted") for name in used], dtype=object)
    used[~routed] = asked[~routed]
    order = np.full(len(frame), "", dtype=object)
    shared = np.full(len(frame), (time.perf_counter() - started) / len(frame))
    if any(asked == "tsb"):
        rows = np.flatnonzero((asked == "tsb") & ~routed)
        forecast[rows] = _tsb(group, rows)
    for row in np.flatnonzero(~routed):
        if asked[row] in PER_SERIES:
            begun = time.perf_counter()
            try:
                with time_limit(SECONDS_PER_SERIES):
                    forecast[row], order[row] = PER_SERIES[asked[row]](group, int(row))
            except FIT_ERRORS as error:
                used[row] = "seasonal_naive"
                text = " ".join(str(error).split())[:200]
                reason[row] = f"{asked[row]} failed: {type(error).__name__}: {text}"
            shared[row] += time.perf_counter() - begun
    bad = ~np.isfinite(forecast).all(axis=1)
    reason[bad] = [f"{model} gave no finite forecast" for model in asked[bad]]
    used[bad] = "seasonal_naive"
    forecast[bad] = naive[bad]
    forecast = np.where(open_ahead, np.maximum(forecast, 0.0), 0.0)
    return _long(frame, forecast, used, reason, order, shared)


def matrices(frame: pd.DataFrame) -> Group:
    """Read packed rows of one panel and clean their history."""
    horizon = int(frame["horizon"].iloc[0])
    opened = np.stack(frame["open"].to_list()).astype(bool)
    length = opened.shape[1] - horizon
    days = np.datetime64(str(frame["as_of"].iloc[0]), "D") + np.arange(-length, horizon)
    promo = np.nan_to_num(np.stack(frame["promo"].to_list()).astype(np.float64))
    cleaned = clean(
        np.stack(frame["y"].to_list()).astype(np.float64),
        np.stack(frame["censored"].to_list()).astype(bool),
        opened[:, :length],
        promo[:, :length],
        (days[:length].astype(np.int64) + 3) % 7,
    )
    orders = [str(order) for order in frame["order"]]
    return Group(days, cleaned, opened, promo, orders, _regressors(frame), horizon)


def _tsb(group: Group, rows: NDArray[np.intp]) -> Floats:
    """TSB has no week of its own: it runs on the series without its weekdays, which come back after."""
    base = tsb(group.cleaned.base[rows], group.horizon)
    ahead = group.promo[rows, -group.horizon :]
    return np.asarray(base * np.exp(group.cleaned.elasticity[rows, None] * ahead))


def _ets(group: Group, row: int) -> tuple[Floats, str]:
    base, components = ets(group.cleaned.filled[row], group.horizon)
    return group.lifted(base, row), components


def _sarima(group: Group, row: int) -> tuple[Floats, str]:
    text = group.orders[row]
    order = arima.Order.parse(text) if text else arima.DEFAULT_ORDER
    base = group.cleaned.base[row]
    fitted = arima.fit(base, order)
    return group.lifted(arima.forecast(base, fitted, group.horizon), row), str(order)


def _prophet(group: Group, row: int) -> tuple[Floats, str]:
    regressors = {"promo": group.promo[row], **group.regressors[row]}
    return prophet_forecast(group.cleaned.demand[row], group.days, regressors), ""


def _average(group: Group, row: int) -> tuple[Floats, str]:
    """Mean of exponential smoothing and the same weekday of the last weeks: their errors differ."""
    smooth, components = _ets(group, row)
    naive = seasonal_naive(group.cleaned.base[row : row + 1], group.horizon)[0]
    return 0.5 * (smooth + group.lifted(naive, row)), components


PER_SERIES: dict[str, Callable[[Group, int], tuple[Floats, str]]] = {
    "ets": _ets,
    "sarima": _sarima,
    "prophet": _prophet,
    "average": _average,
}

#: Every name that :func:`forecast_group` takes as a model.
LOCAL_MODELS = ("seasonal_naive", "ets", "sarima", "prophet", "tsb", "average", *FALLBACKS)


def _regressors(frame: pd.DataFrame) -> list[dict[str, Floats]]:
    names = [name for name in str(frame["regressor_names"].iloc[0]).split(",") if name]
    return [
        dict(zip(names, np.asarray(packed, dtype=np.float64).reshape(len(names), -1), strict=True))
        if len(packed)
        else {}
        for packed in frame["regressors"]
    ]


def _long(
    frame: pd.DataFrame,
    forecast: Floats,
    used: NDArray[np.object_],
    reason: NDArray[np.object_],
    order: NDArray[np.object_],
    seconds: Floats,
) -> pd.DataFrame:
    n, horizon = forecast.shape
    by_series = {
        "row": frame["row"].to_numpy(),
        "store_id": frame["store_id"].to_numpy(object),
        "sku_id": frame["sku_id"].to_numpy(object),
        "model": frame["model"].to_numpy(object),
        "used": used,
        "reason": reason,
        "order": order,
        "seconds": seconds,
    }
    result = pd.DataFrame({name: np.repeat(values, horizon) for name, values in by_series.items()})
    result["step"] = np.tile(np.arange(horizon), n)
    result["forecast"] = forecast.ravel()
    return result[list(RESULT_TYPES)].astype(RESULT_TYPES)
