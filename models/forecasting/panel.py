"""Panels: the daily history of many series on one time axis, with what is known of the days ahead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Panel:
    """n series over T days of history and H days to forecast.

    Rows of all matrices follow ``series``; columns of the matrices of history follow the first T of
    ``days``, columns of those known ahead follow all T + H.

    Attributes
    ----------
    series : pandas.DataFrame of n rows
        What does not change in time: at least ``store_id`` and ``sku_id``, further attributes by name.
    days : ndarray of datetime64[D], shape (T + H,)
        Consecutive days; ``days[T]`` is the day of the forecast (``as_of``), of which nothing is known.
    n_history : int
        T.
    y : ndarray of float32, shape (n, T)
        Units sold; NaN where the series was not on sale yet or the store did not report.
    censored : ndarray of bool, shape (n, T)
        Stock-out: ``y`` is a lower bound of the demand.
    reported_on : ndarray of datetime64[D], shape (n_stores, T), optional
        First ``as_of`` that knew the store's day; a past origin must not see later ones.
    promo : ndarray of float32, shape (n, T + H)
        Discount as a share of the regular price; 0 without promotion.
    price : ndarray of float32, shape (n, T + H)
        Regular price in EUR; NaN where unknown.
    store : ndarray of int, shape (n,)
        Row of the store's calendar.
    calendar : mapping of str to ndarray of float32, shape (n_stores, T + H)
        Known-in-advance facts of a store's days by name, for instance ``is_open``.
    """

    series: pd.DataFrame
    days: NDArray[np.datetime64]
    n_history: int
    y: Matrix
    censored: Mask
    promo: Matrix
    price: Matrix
    store: NDArray[np.intp]
    calendar: Mapping[str, Matrix] = field(default_factory=dict)
    reported_on: NDArray[np.datetime64] | None = None

    def __post_init__(self) -> None:
        n, total = len(self.series), len(self.days)
        history, whole = (n, self.n_history), (n, total)
        for name, shape in (("y", history), ("censored", history), ("promo", whole), ("price", whole)):
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} must have shape {shape}, got {getattr(self, name).shape}")
        if np.any(np.diff(self.days) != np.timedelta64(1, "D")):
            raise ValueError("days must be consecutive")
        for name, values in self.calendar.items():
            if values.shape[1:] != (total,):
                raise ValueError(f"calendar[{name!r}] must have {total} columns, got shape {values.shape}")

    def __len__(self) -> int:
        return len(self.series)

    @property
    def horizon(self) -> int:
        """Days to forecast, H."""
        return len(self.days) - self.n_history

    @property
    def as_of(self) -> np.datetime64:
        """First day to forecast."""
        return np.datetime64(self.days[self.n_history])

    @property
    def open(self) -> Mask:
        """Whether each series' store is open, shape (n, T + H); open where the calendar is silent (NaN)."""
        if "is_open" not in self.calendar:
            return np.ones((len(self), len(self.days)), dtype=bool)
        return np.asarray(self.calendar["is_open"][self.store] != 0)

    def take(self, rows: NDArray[Any]) -> Panel:
        """Panel of some series (indices or mask); the stores' calendars are shared."""
        return replace(
            self,
            series=self.series.iloc[np.flatnonzero(rows) if rows.dtype == bool else rows].reset_index(
                drop=True
            ),
            y=self.y[rows],
            censored=self.censored[rows],
            promo=self.promo[rows],
            price=self.price[rows],
            store=self.store[rows],
        )

    def at(self, origin: np.datetime64, horizon: int) -> Panel:
        """Panel as it stood at the start of a past day, with ``horizon`` days ahead of it.

        Days that were reported later become unknown. Facts known ahead are those of this panel: a caller
        for whom it matters when they became known (promotions, weather) replaces them.

        Raises
        ------
        ValueError
            ``origin`` has no history, or its horizon ends after the panel.
        """
        cut = int((origin - self.days[0]) / np.timedelta64(1, "D"))
        if not 0 < cut <= self.n_history or cut + horizon > len(self.days):
            raise ValueError(
                f"origin must leave history and {horizon} days within {self.days[0]}..{self.days[-1]}, "
                f"got {origin}"
            )
        y = self.y[:, :cut]
        if self.reported_on is not None:
            late = self.reported_on[:, :cut] > origin
            y = np.where(late[self.store], np.float32("nan"), y)
        end = cut + horizon
        return replace(
            self,
            days=self.days[:end],
            n_history=cut,
            y=y,
            censored=self.censored[:, :cut],
            promo=self.promo[:, :end],
            price=self.price[:, :end],
            calendar={name: values[:, :end] for name, values in self.calendar.items()},
            reported_on=None if self.reported_on is None else self.reported_on[:, :cut],
        )

    def actuals(self, origin: np.datetime64, horizon: int) -> tuple[Matrix, Mask]:
        """What was sold on the days from ``origin`` on, and where a stock-out hides more: (n, horizon)."""
        cut = int((origin - self.days[0]) / np.timedelta64(1, "D"))
        return self.y[:, cut : cut + horizon], self.censored[:, cut : cut + horizon]
