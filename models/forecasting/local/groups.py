"""The function that every engine runs: forecasts of a group of packed series."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.forecasting.local.catalogue import FIT_ERRORS, LOCAL_MODELS, PER_SERIES, VECTORISED
from models.forecasting.local.exchange import RESULT_TYPES
from models.forecasting.local.limits import time_limit
from models.forecasting.local.matrices import Group
from models.forecasting.local.routing import FALLBACKS, REASONS, fallback_forecast, route

Floats = NDArray[np.float64]
Words = NDArray[np.object_]

#: A fit takes a tenth of a second; one that takes this long will not end well.
SECONDS_PER_SERIES = 30.0

#: What stands in for a model that fails on a series.
STAND_IN = "seasonal_naive"


@dataclass
class Forecasts:
    """Forecasts of a group while they are made; arrays of n, ``ahead`` (n, H)."""

    ahead: Floats
    used: Words
    reason: Words
    order: Words
    seconds: Floats


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
        series took. A series' forecast does not depend on the others of its group.

    Raises
    ------
    ValueError
        A model is not one of ``LOCAL_MODELS``.
    """
    if frame.empty:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in RESULT_TYPES.items()})
    started = time.perf_counter()
    asked = frame["model"].astype(str).to_numpy(object)
    if unknown := sorted(set(asked) - set(LOCAL_MODELS)):
        raise ValueError(f"model must be one of {', '.join(LOCAL_MODELS)}, got {', '.join(unknown)}")
    group = Group.of(frame)
    result = _without_fitting(group, asked)
    for model, many in VECTORISED.items():
        rows = np.flatnonzero(result.used == model)
        if len(rows):
            result.ahead[rows] = many(group, rows)
    result.seconds += (time.perf_counter() - started) / len(frame)
    for row in np.flatnonzero(np.isin(result.used, list(PER_SERIES))):
        _fit_one(group, int(row), result)
    open_ahead = group.opened[:, -group.horizon :]
    result.ahead = np.where(open_ahead, np.maximum(result.ahead, 0.0), 0.0)
    return _long(frame, result)


def _without_fitting(group: Group, asked: Words) -> Forecasts:
    """Fallbacks of the series that need one; the stand-in's forecasts of all others."""
    demand, horizon = group.cleaned.demand, group.horizon
    used = route(demand, group.opened[:, -horizon:]).astype(object)
    used = np.where((used == "") & np.isin(asked, FALLBACKS), asked, used)
    routed = used != ""
    ahead = VECTORISED[STAND_IN](group, np.arange(len(demand)))
    ahead[routed] = fallback_forecast(used[routed].astype(str), demand[routed], horizon)
    reason = np.array([REASONS.get(name, "fitted") for name in used], dtype=object)
    nothing = np.full(len(demand), "", dtype=object)
    return Forecasts(ahead, np.where(routed, used, asked), reason, nothing, np.zeros(len(demand)))


def _fit_one(group: Group, row: int, result: Forecasts) -> None:
    """Forecast one series by its model; its stand-in remains, with the reason, if that fails."""
    model = str(result.used[row])
    started = time.perf_counter()
    try:
        with time_limit(SECONDS_PER_SERIES):
            ahead, order = PER_SERIES[model](group, row)
        if not np.isfinite(ahead).all():
            raise FloatingPointError("the forecast is not finite")
        result.ahead[row], result.order[row] = ahead, order
    except FIT_ERRORS as error:
        result.used[row] = STAND_IN
        text = " ".join(str(error).split())[:200]
        result.reason[row] = f"{model} failed: {type(error).__name__}: {text}"
    result.seconds[row] += time.perf_counter() - started


def _long(frame: pd.DataFrame, result: Forecasts) -> pd.DataFrame:
    n, horizon = result.ahead.shape
    by_series = {
        **{name: frame[name].to_numpy() for name in ("row", "store_id", "sku_id", "model")},
        **{name: getattr(result, name) for name in ("used", "reason", "order", "seconds")},
    }
    long = pd.DataFrame({name: np.repeat(values, horizon) for name, values in by_series.items()})
    long["step"] = np.tile(np.arange(horizon), n)
    long["forecast"] = result.ahead.ravel()
    return long[list(RESULT_TYPES)].astype(RESULT_TYPES)
