"""Facts of the days ahead: calendar, closures, promotions and prices as known at the origin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.known import DAY, Known, Mask

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]

#: Longest run of days that is told apart, for closures, holidays and promotions.
MOST_DAYS = 60

#: Days of the usual price that a price is compared with.
PRICE_DAYS = 91

#: Days of the promotions that a discount is compared with.
DEPTH_DAYS = 364

#: Kinds of days that are counted around the target.
COUNTED = ("closed", "school_holiday")

#: Columns of the ``ahead`` frame that are used as they are, if given.
GIVEN = ("promo_day", "promo_days_left", "days_since_promo", "category_promos")


def calendar_columns(known: Known, row: Indices, step: Indices) -> dict[str, Floats]:
    """Calendar of the target days: the day itself, the store's facts, and openings around it.

    Parameters
    ----------
    known
        What was known.
    row, step : ndarray of int, shape (cells,)
        Series, and days after the origin from 0.
    """
    day = known.origin + step * DAY
    month = day.astype("datetime64[M]")
    first = month.astype("datetime64[D]")
    days_in_month = ((month + 1).astype("datetime64[D]") - first).astype(np.int64)
    day_of_month = (day - first).astype(np.int64) + 1
    store, column = known.store[row], known.n_history + step
    found: dict[str, Any] = {
        "horizon": step,
        "weekday": (day.astype(np.int64) + 3) % 7,  # 1970-01-01 was a Thursday; Monday is 0
        "day_of_month": day_of_month,
        "days_left_in_month": days_in_month - day_of_month,
        "day_of_year": (day - day.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.int64) + 1,
        **{name: values[store, column] for name, values in known.calendar.items() if name != "is_open"},
    }
    runs = {"closed": ~known.open, "open": known.open}
    if "days_to_holiday" not in known.calendar:
        runs["holiday"] = known.holiday
    if "is_school_holiday" in known.calendar:
        school = known.calendar["is_school_holiday"] > 0
        runs |= {"school_holiday": school, "school": ~school}
    for name, mask in runs.items():
        found[f"since_{name}"] = days_since(mask)[store, column]
        found[f"until_{name}"] = days_since(mask[:, ::-1])[:, ::-1][store, column]
    for name in COUNTED:
        if name not in runs:
            continue
        count = _running(runs[name])
        for label, low, high in (("7_before", -7, 0), ("28_before", -28, 0), ("7_after", 1, 8)):
            found[f"{name}_{label}"] = _between(count, store, column + low, column + high)
    if "temperature_c" in known.calendar:
        recent = known.calendar["temperature_c"][:, max(0, known.n_history - 28) : known.n_history]
        found["warmer"] = found["temperature_c"] - _mean(recent)[store]
    return {name: np.asarray(values, dtype=np.float32) for name, values in found.items()}


def promo_columns(
    known: Known, row: Indices, step: Indices, ahead: Mapping[str, NDArray[Any]] | None = None
) -> dict[str, Floats]:
    """Promotion and price of the target days.

    ``ahead`` may hold ``promo_day``, ``promo_days_left``, ``days_since_promo`` and ``category_promos`` as
    the source of promotions knows them, (n, H) each; otherwise the first three are derived from the discounts.
    """
    given = ahead or {}
    start = max(0, known.n_history - MOST_DAYS)  # nothing below looks further back
    promo = known.promo[:, start:] > 0
    column = known.n_history - start + step
    cells = row, column
    count = _running(promo)
    discount = known.promo[row, known.n_history + step]
    found: dict[str, Any] = {
        "promo_discount": discount,
        "promo_14_before": _between(count, row, column - 14, column),
        "promo_7_after": _between(count, row, column + 1, column + 8),
    }
    since, until = days_since(promo), days_since(promo[:, ::-1])[:, ::-1]
    found["until_promo"] = until[cells]
    if "promo_day" not in given:
        on = promo[cells]
        found["promo_day"] = np.where(on, days_since(~promo)[cells], 0)
        found["promo_days_left"] = np.where(on, days_since(~promo[:, ::-1])[:, ::-1][cells], 0)
        found["days_since_promo"] = since[cells]
    found |= {name: given[name][row, step] for name in GIVEN if name in given}
    usual = _mean(known.price[:, max(0, known.n_history - PRICE_DAYS) : known.n_history])[row]
    found["price"] = price = known.price[row, known.n_history + step]
    priced = (price > 0) & (usual > 0)
    found["price_change"] = np.log(np.divide(price, usual, out=np.full_like(price, np.nan), where=priced))
    past = known.promo[:, max(0, known.n_history - DEPTH_DAYS) : known.n_history]
    found["deeper"] = discount - np.nan_to_num(_mean(np.where(past > 0, past, np.nan)))[row]
    return {name: np.asarray(values, dtype=np.float32) for name, values in found.items()}


def days_since(mask: Mask) -> Floats:
    """Days since the last True before each column, at most 60; 60 where there was none."""
    width = mask.shape[1]
    newest = np.maximum.accumulate(np.where(mask, np.arange(width, dtype=np.int32), -MOST_DAYS), axis=1)
    before = np.concatenate([np.full((len(mask), 1), -MOST_DAYS, dtype=np.int32), newest[:, :-1]], axis=1)
    return np.asarray(np.minimum(np.arange(width, dtype=np.int32) - before, MOST_DAYS), dtype=np.float32)


def _running(mask: Mask) -> NDArray[np.int32]:
    out = np.zeros((len(mask), mask.shape[1] + 1), dtype=np.int32)
    np.cumsum(mask, axis=1, out=out[:, 1:])
    return out


def _between(count: NDArray[np.int32], row: Indices, start: Indices, stop: Indices) -> NDArray[np.int32]:
    """Number of marked days in ``start <= day < stop``, of those there are."""
    last = count.shape[1] - 1
    return count[row, np.clip(stop, 0, last)] - count[row, np.clip(start, 0, last)]


def _mean(values: Floats) -> Floats:
    known = np.isfinite(values)
    count = known.sum(axis=1)
    total = np.where(known, values, 0).sum(axis=1)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan), dtype=np.float32)
