"""What a user would pick instead: forecasts of the same panels by plain libraries."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping

import lightgbm as lgb
import numpy as np
import pandas as pd
from mlforecast import MLForecast
from mlforecast.lag_transforms import RollingMean
from numpy.typing import NDArray
from statsforecast.models import AutoETS

from models.forecasting.panel import Panel

Matrix = NDArray[np.float64]

#: Series that AutoETS is fitted to, and days of their past; it takes a tenth of a second for each.
ETS_SERIES, ETS_DAYS = 200, 400

#: Days that the plain LightGBM learns from.
PLAIN_DAYS = 500

#: Weeks whose same weekdays the seasonal naive forecast is a mean of.
NAIVE_WEEKS = 4


def _history(panel: Panel, days: int) -> Matrix:
    """Sales of the last days: 0 where the store was closed, NaN before the series began, else the last known."""
    past = panel.y[:, -days:].astype(np.float64)
    begun = np.maximum.accumulate(np.isfinite(past), axis=1)
    closed = ~panel.open[:, : panel.n_history][:, -days:]
    filled = pd.DataFrame(np.where(closed & begun, 0.0, past)).ffill(axis=1).to_numpy()
    return np.where(begun, filled, np.nan)


def _open_only(panel: Panel, units: Matrix) -> Matrix:
    return np.where(panel.open[:, panel.n_history :], np.maximum(units, 0.0), 0.0)


def seasonal_naive(panel: Panel) -> Matrix:
    """Mean of the same weekday in the last four weeks."""
    weeks = _history(panel, 7 * NAIVE_WEEKS).reshape(len(panel), NAIVE_WEEKS, 7)
    known = np.isfinite(weeks)
    mean = np.where(known, weeks, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return _open_only(panel, mean[:, np.arange(panel.horizon) % 7])


def auto_ets(panel: Panel) -> Matrix:
    """AutoETS of statsforecast with a weekly season, on a sample of the series; NaN for the others."""
    out = np.full((len(panel), panel.horizon), np.nan)
    able = np.flatnonzero(np.isfinite(panel.y).sum(axis=1) >= 28)
    for row in np.random.default_rng(0).permutation(able)[:ETS_SERIES]:
        past = _history(panel.take(np.array([row])), ETS_DAYS)[0]
        out[row] = AutoETS(season_length=7).forecast(past[np.isfinite(past)], panel.horizon)["mean"]
    return np.where(np.isfinite(out), _open_only(panel, out), np.nan)


def plain_lightgbm(panel: Panel) -> Matrix:
    """LightGBM of mlforecast on lags, rolling means, calendar, discount and what the series are."""
    past = _history(panel, PLAIN_DAYS)
    days = panel.days[panel.n_history - past.shape[1] :]
    n, whole = len(panel), len(days)
    static = [name for name in ("store_id", "category", "region") if name in panel.series]
    frame = pd.DataFrame(
        {
            "unique_id": np.repeat(np.arange(n), whole),
            "ds": np.tile(days.astype("datetime64[ns]"), n),
            "y": np.concatenate([past, np.full((n, panel.horizon), np.nan)], axis=1).ravel(),
            "discount": panel.promo[:, -whole:].ravel(),
            "is_open": panel.open[:, -whole:].ravel().astype(np.float32),
            **{name: pd.Categorical(panel.series[name]).codes.repeat(whole) for name in static},
        }
    )
    ahead = frame["ds"] >= panel.as_of
    known = frame[~ahead & frame["y"].notna()]
    forecaster = MLForecast(
        models=lgb.LGBMRegressor(objective="tweedie", n_estimators=300, num_leaves=63, n_jobs=2, verbose=-1),
        freq="D",
        lags=[1, 7, 14, 28],
        lag_transforms={1: [RollingMean(7), RollingMean(28)], 7: [RollingMean(28)]},
        date_features=["dayofweek", "day", "month"],
    )
    forecaster.fit(known, static_features=static, dropna=False)
    future = frame.loc[ahead, ["unique_id", "ds", "discount", "is_open"]]
    future = future[future["unique_id"].isin(known["unique_id"].unique())]
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "Found null values"
        )  # of young series, whose lags LightGBM does without
        found = forecaster.predict(panel.horizon, X_df=future)
    out = np.full((n, panel.horizon), np.nan)
    out[found["unique_id"].to_numpy(), np.tile(np.arange(panel.horizon), len(found) // panel.horizon)] = (
        found["LGBMRegressor"]
    )
    return np.where(np.isfinite(out), _open_only(panel, out), np.nan)


PEERS: Mapping[str, Callable[[Panel], Matrix]] = {
    "seasonal_naive": seasonal_naive,
    "auto_ets": auto_ets,
    "plain_lightgbm": plain_lightgbm,
}
