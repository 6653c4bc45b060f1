"""What products like a new one sell: the start of a series that has no history of its own.

A product's *rate* is what it sells relative to the size of the stores that carry it. Products are alike if
they share attributes, the more the better as long as there are enough of them; the median rate of the
established ones, times the size of the store, is what a new product is expected to sell there. Sales of
new products start higher or lower than they end: the median of past launches, week by week, says how.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.known import Known
from features.levels import FLOOR, Floats, Levels, expected_on, mean_of

Codes = NDArray[np.intp]

#: Attributes that make products alike, from many shared ones to none.
TIERS = (
    ("category", "subcategory", "brand", "price_band", "pack_size"),
    ("category", "subcategory", "price_band", "pack_size"),
    ("category", "subcategory", "price_band"),
    ("category", "subcategory"),
    ("category",),
    (),
)

#: Fewest established products that are alike, and days of a product's life until it is one.
LEAST_PEERS = 5
ESTABLISHED_DAYS = 91

#: Days of a series' life up to which others' sales say something about it.
YOUNG_DAYS = 364

#: Newest days by which a series, or its product in other stores, is judged.
OWN_DAYS = 56

#: Weeks of the launch curve, the weeks after them whose mean is 1, and fewest launched products for it.
CURVE_WEEKS = 9
MATURE_WEEKS = 8
LEAST_LAUNCHES = 8

#: Rounds in which sales are split into rates of products and sizes of stores.
_ROUNDS = 5


@dataclass(frozen=True)
class Similar:
    """What young series are expected to sell on an ordinary day; NaN for those that are not young.

    Attributes
    ----------
    columns : dict of str to ndarray of float32, shape (n,)
        ``peers`` (median of similar products), ``sku`` (the same product in other stores), ``own`` (its
        own days), all in units a day; NaN where there is none. ``sku_days``, ``own_days``: known days
        behind the last two, within the newest 56.
    curve : ndarray of float32, shape (9,)
        Sales of a new product by week of its life, relative to later.
    age : ndarray of int, shape (n,)
        Days since the first known day.
    """

    columns: dict[str, Floats]
    curve: Floats
    age: Codes

    def launch_factor(self, row: Codes, step: Codes) -> Floats:
        """Launch curve on the days ahead; 1 after its end."""
        return _curve_at(self.curve, self.age[row] + step)


def similar_at(known: Known, levels: Levels, series: pd.DataFrame) -> Similar:
    """Compare young series with others, at the origin of ``known``.

    Parameters
    ----------
    series : DataFrame of n rows
        ``store_id``, ``sku_id`` and those attributes of ``TIERS`` that there are.
    """
    span = known.n_history
    seen = np.isfinite(known.demand)
    first = np.where(seen.any(axis=1), seen.argmax(axis=1), span)
    # Series that the first day already knows may be of any age.
    age = np.where(first == 0, YOUNG_DAYS + 1, span - first).astype(np.intp)
    sku, table = _products(series)
    store = pd.factorize(series["store_id"])[0]
    promoted = known.promo[:, :span] > 0
    curve = _launch_curve(known.demand, promoted, levels.profile, first, sku)

    window = seen[:, -OWN_DAYS:]
    sold = np.where(window, known.demand[:, -OWN_DAYS:], np.float32(0)).sum(axis=1)
    factor = expected_on(levels.profile, promoted, window, 0) / levels.mean[:, None]
    lived = age[:, None] - np.arange(window.shape[1], 0, -1)
    exposure = (factor * _curve_at(curve, lived)).sum(axis=1)
    days = window.sum(axis=1, dtype=np.float32)

    oldest = np.zeros(len(table), dtype=np.intp)
    np.maximum.at(oldest, sku, age)
    established = oldest >= ESTABLISHED_DAYS
    rate, size = _rates(levels.mean * levels.recent, sku, store, established[sku] & seen.any(axis=1))
    elsewhere = [np.bincount(sku, weights=part)[sku] - part for part in (sold, exposure * size[store], days)]
    young = age <= YOUNG_DAYS
    columns = {
        "peers": _median_rates(rate, established, table)[sku] * size[store],
        "sku": mean_of(elsewhere[0].astype(np.float32), elsewhere[1].astype(np.float32)) * size[store],
        "own": mean_of(sold, exposure),
        "sku_days": elsewhere[2],
        "own_days": days,
    }
    return Similar(
        {name: np.where(young, values, np.nan).astype(np.float32) for name, values in columns.items()},
        curve,
        age,
    )


def similar_columns(
    similar: Similar, levels: Levels, promoted: Codes, row: Codes, step: Codes, expected: Floats
) -> dict[str, Floats]:
    """Units of the target days by what similar products sell, and their logs relative to ``expected``."""
    factor = levels.profile[row, step % 7, promoted] / levels.mean[row] * similar.launch_factor(row, step)
    found: dict[str, Floats] = {}
    for name, values in similar.columns.items():
        if name.endswith("days"):
            found[f"similar_{name}"] = values[row]
            continue
        found[f"similar_{name}"] = units = np.maximum(values[row], np.float32(FLOOR)) * factor
        found[f"similar_{name}_ratio"] = np.log(units / expected)
    return found


def _products(series: pd.DataFrame) -> tuple[Codes, pd.DataFrame]:
    """Product of each series, and the attributes of each product."""
    code, _ = pd.factorize(series["sku_id"])
    firsts = np.unique(code, return_index=True)[1]
    return code, series.iloc[firsts].reset_index(drop=True)


def _curve_at(curve: Floats, age: NDArray[Any]) -> Floats:
    week = np.clip(age // 7, 0, CURVE_WEEKS)
    factor: Floats = np.append(curve, np.float32(1))[week]
    return factor


def _launch_curve(
    demand: Floats, promoted: NDArray[np.bool_], profile: Floats, first: NDArray[Any], sku: Codes
) -> Floats:
    """Median over launched products of the sales of each week of life, relative to the weeks after."""
    span, length = demand.shape[1], 7 * (CURVE_WEEKS + MATURE_WEEKS)
    rows = np.flatnonzero((first > 0) & (first + length <= span))
    if not len(rows):
        return np.ones(CURVE_WEEKS, dtype=np.float32)
    column = first[rows, None] + np.arange(length)
    sold = demand[rows[:, None], column]
    seen = np.isfinite(sold)
    slot = (column - span) % 7
    promo = promoted[rows[:, None], column].astype(np.intp)
    expected = np.where(seen, profile[rows[:, None], slot, promo], 0)
    _, product = np.unique(sku[rows], return_inverse=True)
    ratio = [
        np.add.reduceat(
            np.stack([np.bincount(product, weights=day) for day in part.T]), np.arange(0, length, 7)
        )
        for part in (np.where(seen, sold, 0), expected)
    ]
    weekly = ratio[0] / np.maximum(ratio[1], FLOOR)  # (weeks, products)
    mature = ratio[0][CURVE_WEEKS:].sum(axis=0) / np.maximum(ratio[1][CURVE_WEEKS:].sum(axis=0), FLOOR)
    sells = mature > 0
    if sells.sum() < LEAST_LAUNCHES:
        return np.ones(CURVE_WEEKS, dtype=np.float32)
    curve = np.median(weekly[:CURVE_WEEKS, sells] / mature[sells], axis=1)
    return np.asarray(np.maximum(curve, 0.1), dtype=np.float32)


def _rates(level: Floats, sku: Codes, store: Codes, usable: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Split levels into rates of products and sizes of stores, whose mean is 1: level = rate x size."""
    stores, skus = int(store.max(initial=-1)) + 1, int(sku.max(initial=-1)) + 1
    weight = np.where(usable, level, 0.0)
    size = np.ones(stores)
    rate = np.zeros(skus)
    for _ in range(_ROUNDS):
        rate = _quotient(
            np.bincount(sku, weight, skus), np.bincount(sku, np.where(usable, size[store], 0.0), skus)
        )
        size = _quotient(
            np.bincount(store, weight, stores), np.bincount(store, np.where(usable, rate[sku], 0.0), stores)
        )
        known = size > 0
        size = np.where(known, size / np.mean(size, where=known), 1.0) if known.any() else np.ones(stores)
    return rate.astype(np.float32), size.astype(np.float32)


def _quotient(top: NDArray[Any], bottom: NDArray[Any]) -> NDArray[np.float64]:
    quotient: NDArray[np.float64] = np.divide(top, bottom, out=np.zeros(len(top)), where=bottom > 0)
    return quotient


def _median_rates(rate: Floats, established: NDArray[np.bool_], table: pd.DataFrame) -> Floats:
    """Median rate of the established products that share most attributes, for every product."""
    found = np.full(len(table), np.nan)
    for tier in TIERS:
        code = _tier_codes(table, [name for name in tier if name in table.columns])
        rates = pd.Series(np.where(established, rate, np.nan)).groupby(code)
        enough = rates.transform("count").to_numpy() >= (LEAST_PEERS if tier else 1)
        found = np.where(np.isnan(found) & enough, rates.transform("median").to_numpy(), found)
    return np.asarray(np.maximum(np.nan_to_num(found), FLOOR), dtype=np.float32)


def _tier_codes(table: pd.DataFrame, columns: Sequence[str]) -> Codes:
    code = np.zeros(len(table), dtype=np.intp)
    for name in columns:
        values = pd.factorize(table[name].astype(object), use_na_sentinel=False)[0]
        code = np.unique(code * (int(values.max(initial=0)) + 1) + values, return_inverse=True)[1]
    return code
