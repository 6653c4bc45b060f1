"""What was known of many series at the start of a day: the only thing that features are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
Mask = NDArray[np.bool_]

DAY = np.timedelta64(1, "D")

#: Weeks back from which the demand of a day of stock-out is estimated.
CENSORED_WEEKS = 8


class PanelLike(Protocol):
    """Daily history of n series over T days, and facts known of them and of H days ahead.

    Rows of all matrices follow ``series``, columns ``days``; ``y`` and ``censored`` end where history
    does, the others go on for the days ahead. ``y`` is NaN where unknown; ``censored`` marks stock-outs;
    ``store`` is each series' row of the ``calendar``; ``reported_on`` is the first day that knew a store's
    day.
    """

    @property
    def series(self) -> pd.DataFrame: ...  # noqa: D102
    @property
    def days(self) -> NDArray[np.datetime64]: ...  # noqa: D102
    @property
    def n_history(self) -> int: ...  # noqa: D102
    @property
    def y(self) -> Matrix: ...  # noqa: D102
    @property
    def censored(self) -> Mask: ...  # noqa: D102
    @property
    def promo(self) -> Matrix: ...  # noqa: D102
    @property
    def price(self) -> Matrix: ...  # noqa: D102
    @property
    def store(self) -> NDArray[np.intp]: ...  # noqa: D102
    @property
    def calendar(self) -> Mapping[str, Matrix]: ...  # noqa: D102
    @property
    def reported_on(self) -> NDArray[np.datetime64] | None: ...  # noqa: D102


@dataclass(frozen=True)
class Known:
    """History and facts known ahead of n series at an origin.

    Attributes
    ----------
    origin : numpy.datetime64
        First day to forecast; of it, only what is known ahead is known.
    demand : ndarray of float32, shape (n, T)
        Units on days that say something about demand: NaN where unknown or closed; raised to what
        the weeks before suggest where a stock-out cut the sales short.
    cut_short : ndarray of bool, shape (n, T)
        Stock-outs.
    open, holiday : ndarray of bool, shape (n_stores, T + H)
        Days of the stores.
    promo, price : ndarray of float32, shape (n, T + H)
        Discount and regular price; the days ahead as known at the origin.
    calendar : mapping of str to ndarray of float32, shape (n_stores, T + H)
        All facts of the stores' days.
    store : ndarray of int, shape (n,)
        Row of each series' store.
    """

    origin: np.datetime64
    demand: Matrix
    cut_short: Mask
    open: Mask
    holiday: Mask
    promo: Matrix
    price: Matrix
    calendar: Mapping[str, Matrix]
    store: NDArray[np.intp]

    @property
    def n_history(self) -> int:
        """Days of history, T."""
        return int(self.demand.shape[1])

    @property
    def horizon(self) -> int:
        """Days to forecast, H."""
        return int(self.promo.shape[1]) - self.n_history


def known_at(
    panel: PanelLike,
    origin: np.datetime64,
    horizon: int,
    *,
    ahead: Mapping[str, NDArray[Any]] | None = None,
    calendar: Mapping[str, NDArray[Any]] | None = None,
    history_days: int = 770,
) -> Known:
    """Cut a panel at an origin.

    Parameters
    ----------
    panel
        Series by day; may go on after the origin.
    origin
        First day to forecast.
    horizon
        Days to forecast, H.
    ahead : mapping of str to ndarray of shape (n, H), optional
        ``promo_discount`` and ``price`` of the days ahead as known at the origin; the panel's if absent.
    calendar : mapping of str to ndarray of shape (n_stores, H), optional
        Facts of the stores' days ahead as known at the origin (weather forecasts); the panel's if absent.
    history_days
        Most days of history that are looked at.

    Raises
    ------
    ValueError
        The panel has no day before the origin, or does not reach to the end of the horizon and the
        facts ahead are not given either.
    """
    cut = int((origin - panel.days[0]) / DAY)
    if not 0 < cut <= panel.n_history:
        raise ValueError(f"origin must have history in the panel from {panel.days[0]} on, got {origin}")
    start = max(0, cut - history_days)
    past = slice(start, cut)
    facts = {name: _whole(values, start, cut, horizon, (calendar or {}).get(name), name)
             for name, values in panel.calendar.items()}  # fmt: skip
    stores = len(next(iter(facts.values()))) if facts else int(panel.store.max(initial=-1)) + 1
    width = cut - start + horizon
    is_open = facts["is_open"] > 0 if "is_open" in facts else np.ones((stores, width), dtype=bool)
    holiday = (
        facts["is_public_holiday"] > 0
        if "is_public_holiday" in facts
        else np.zeros((stores, width), dtype=bool)
    )
    y = panel.y[:, past].astype(np.float32, copy=True)
    unknown = ~is_open[:, : cut - start]
    if panel.reported_on is not None:
        unknown = unknown | (panel.reported_on[:, past] > origin)
    y[unknown[panel.store]] = np.nan
    cut_short = panel.censored[:, past] & np.isfinite(y)
    given = ahead or {}
    return Known(
        origin=origin,
        demand=_uncensored(y, cut_short),
        cut_short=cut_short,
        open=is_open,
        holiday=holiday,
        promo=_whole(panel.promo, start, cut, horizon, given.get("promo_discount"), "promo_discount"),
        price=_whole(panel.price, start, cut, horizon, given.get("price"), "price"),
        calendar=facts,
        store=panel.store,
    )


def _whole(
    values: Matrix, start: int, cut: int, horizon: int, ahead: NDArray[Any] | None, name: str
) -> Matrix:
    """History from ``start``, then the days ahead: as given, or the panel's own."""
    if ahead is None:
        if values.shape[1] < cut + horizon:
            raise ValueError(
                f"{name} must be known for {horizon} days ahead, the panel has {values.shape[1] - cut}"
            )
        return values[:, start : cut + horizon]
    if ahead.shape != (len(values), horizon):
        raise ValueError(f"{name} ahead must have shape {(len(values), horizon)}, got {ahead.shape}")
    return np.concatenate([values[:, start:cut], ahead.astype(np.float32, copy=False)], axis=1)


def _uncensored(y: Matrix, cut_short: Mask) -> Matrix:
    """Raise sales of stock-out days to the mean of the same weekday in the weeks before, if that is more.

    A lower bound says that the demand was at least so much; taking it for the demand would teach
    models that what ran out is not wanted.
    """
    row, day = np.nonzero(cut_short)
    if not len(row):
        return y
    back = day[:, None] - 7 * np.arange(1, CENSORED_WEEKS + 1)
    inside = back >= 0
    back = np.maximum(back, 0)
    before = np.where(inside & ~cut_short[row[:, None], back], y[row[:, None], back], np.nan)
    known = np.isfinite(before)
    count = known.sum(axis=1)
    usual = np.where(known, before, 0.0).sum(axis=1) / np.maximum(count, 1)
    y[row, day] = np.maximum(y[row, day], usual.astype(np.float32))
    return y
