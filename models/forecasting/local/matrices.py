"""Packed rows of one panel as matrices, with their history cleaned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.forecasting.local.cleaning import Cleaned, clean

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Group:
    """n series over T days of history and H days to forecast.

    Attributes
    ----------
    days : ndarray of datetime64[D], shape (T + H,)
    weekday : ndarray of int, shape (T + H,)
        0 Monday to 6 Sunday.
    cleaned : Cleaned
        The history.
    opened : ndarray of bool, shape (n, T + H)
    promo : ndarray of shape (n, T + H)
        Discount as a share of the regular price.
    orders : list of n str
        SARIMA orders, ``""`` where none is given.
    regressors : list of n dict
        Facts known ahead by name, each (T + H,).
    horizon : int
        H.
    """

    days: NDArray[np.datetime64]
    weekday: NDArray[np.intp]
    cleaned: Cleaned
    opened: NDArray[np.bool_]
    promo: Floats
    orders: list[str]
    regressors: list[dict[str, Floats]]
    horizon: int

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Group:
        """Read and clean rows of :func:`~models.forecasting.local.exchange.pack`; at least one."""
        horizon = int(frame["horizon"].iloc[0])
        opened = np.stack(frame["open"].to_list()).astype(bool)
        length = opened.shape[1] - horizon
        days = np.datetime64(str(frame["as_of"].iloc[0]), "D") + np.arange(-length, horizon)
        week = weekday(days)
        promo = np.nan_to_num(np.stack(frame["promo"].to_list()).astype(np.float64))
        cleaned = clean(
            np.stack(frame["y"].to_list()).astype(np.float64),
            np.stack(frame["censored"].to_list()).astype(bool),
            opened[:, :length],
            promo[:, :length],
            week[:length],
        )
        orders = [str(order) for order in frame["order"]]
        return cls(days, week, cleaned, opened, promo, orders, _regressors(frame), horizon)

    def lifted(self, base: Floats, row: int) -> Floats:
        """Forecast of one series without promotions, (H,), with the effect of those ahead."""
        return np.asarray(
            self.cleaned.lifted(base[None, :], self.promo[row, None, -self.horizon :], [row])[0]
        )


def weekday(days: NDArray[np.datetime64]) -> NDArray[np.intp]:
    """Weekday of days, 0 Monday to 6 Sunday."""
    # The first day of the count was a Thursday.
    return np.asarray((days.astype("datetime64[D]").astype(np.int64) + 3) % 7, dtype=np.intp)


def _regressors(frame: pd.DataFrame) -> list[dict[str, Floats]]:
    names = [name for name in str(frame["regressor_names"].iloc[0]).split(",") if name]
    return [
        dict(zip(names, np.asarray(packed, dtype=np.float64).reshape(len(names), -1), strict=True))
        if len(packed)
        else {}
        for packed in frame["regressors"]
    ]
