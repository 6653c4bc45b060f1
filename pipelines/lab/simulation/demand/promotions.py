"""Promotions: planned weeks ahead, some changed or cancelled, felt before, during and after."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.lab.simulation.days import DAY_US, Floats, Ints, weekday
from pipelines.lab.simulation.demand.categories import CATEGORIES
from pipelines.lab.simulation.demand.products import Products
from pipelines.lab.simulation.demand.span import Singles, Span
from pipelines.lab.simulation.demand.stores import Stores
from pipelines.lab.simulation.identifiers import identifiers
from pipelines.usecases.demand.layouts import MECHANICS

#: Mechanics by frequency, with the log uplift of a discount of a quarter and the discounts in use.
_FREQUENCY = np.array([0.30, 0.20, 0.10, 0.30, 0.10])
_UPLIFT = np.array([0.55, 0.62, 0.38, 0.72, 0.32])
_DISCOUNT = np.array([[0.15, 0.40], [0.20, 0.34], [0.05, 0.10], [0.15, 0.35], [0.10, 0.25]])
#: Promotions of ordinary products a year.
_RARE = 0.5
_CHANGED, _CANCELLED = 0.08, 0.03
_MORNING_US = 9 * 3_600_000_000
#: Days after a promotion in which cupboards are still full.
DIP_DAYS = 14


@dataclass(frozen=True)
class Promotions:
    """``P`` promotions as they took place in the end; arrays have shape ``(P,)``.

    Attributes
    ----------
    product, category
        What is promoted; -1 in the other.
    region, store
        Where; -1 is everywhere.
    first, last, mechanic, discount
        When and how, in the end.
    cancelled
        Whether it was called off.
    uplift
        Addition to the log demand that it brings, before what is particular to store and day.
    told, retold
        Microseconds since 1970 of the first and second announcement; ``retold`` -1 without one.
    first_told, discount_told
        First day and discount of the first announcement.
    """

    product: Ints
    category: Ints
    region: Ints
    store: Ints
    first: Ints
    last: Ints
    mechanic: Ints
    discount: Floats
    cancelled: Ints
    uplift: Floats
    told: Ints
    retold: Ints
    first_told: Ints
    discount_told: Floats

    def __len__(self) -> int:
        return len(self.product)


def draw_promotions(rng: np.random.Generator, products: Products, stores: Stores, span: Span) -> Promotions:
    """Promotions of products, most of them of the products that live on them, and of categories."""
    product, first = _product_starts(rng, products, span)
    shelves = np.repeat(np.arange(len(CATEGORIES)), rng.poisson(1.3 * len(span) / 365, len(CATEGORIES)))
    category = np.concatenate([np.full(len(product), -1), shelves])
    product = np.concatenate([product, np.full(len(shelves), -1)])
    first = np.concatenate([first, rng.integers(span.begin, span.stop + 70, len(shelves))])
    first += (2 - weekday(first)) % 7  # leaflets come out on Wednesdays
    count = len(product)
    wide = product < 0
    mechanic = np.where(wide, 1, rng.choice(len(MECHANICS), count, p=_FREQUENCY))
    low, high = _DISCOUNT[mechanic].T
    discount = (np.where(wide, 0.12, low + (high - low) * rng.random(count)) * 20).round() / 20
    scope = rng.random(count)
    region = np.where(
        ~wide & (scope > 0.70) & (scope <= 0.92), rng.integers(0, len(stores.regions), count), -1
    )
    store = np.where(~wide & (scope > 0.92), rng.integers(0, len(stores), count), -1)
    length = np.where(wide, 7, rng.choice([5, 7, 7, 10, 14], count)) - 1

    told = first - np.maximum(rng.triangular(7, 42, 84, count).astype(np.int64), 7)
    fate = rng.random(count)
    cancelled, changed = fate < _CANCELLED, (fate >= _CANCELLED) & (fate < _CANCELLED + _CHANGED)
    # The second announcement comes between the first one and two days before the start.
    retold = told + 1 + (rng.random(count) * np.maximum(first - told - 2, 1)).astype(np.int64)
    moved = changed & (rng.random(count) < 0.5)
    deeper = np.where(changed & ~moved, rng.choice([-0.05, 0.05], count), 0.0)
    discount_told = np.clip(discount - deeper, 0.05, 0.6).round(2)
    gain = _UPLIFT[mechanic] * (discount / 0.25) ** 0.7 * np.where(wide, 0.8, 1.0)
    taste = rng.lognormal(0, 0.25, len(products))[np.maximum(product, 0)]
    return Promotions(
        product=product,
        category=category,
        region=region,
        store=store,
        first=first,
        last=first + length,
        mechanic=mechanic,
        discount=discount.round(2),
        cancelled=cancelled.astype(np.int64),
        uplift=gain * np.where(wide, 1.0, taste) + rng.normal(0, 0.08, count),
        told=told * DAY_US + _MORNING_US,
        retold=np.where(cancelled | changed, retold * DAY_US + _MORNING_US, -1),
        first_told=first + moved * 7,
        discount_told=discount_told,
    )


def _product_starts(rng: np.random.Generator, products: Products, span: Span) -> tuple[Ints, Ints]:
    """Products and first days of their promotions: a rhythm for some, now and then for the others."""
    begin, stop = span.begin - 40, span.stop + 80
    addicts = np.flatnonzero(products.promoted)
    rhythm = rng.uniform(22, 38, len(addicts))
    rounds = np.arange(int((stop - begin) / 22) + 1)
    days = begin + rhythm[:, None] * (rng.random(len(addicts))[:, None] + rounds)
    days += rng.integers(-4, 5, days.shape)
    regular = np.repeat(addicts, len(rounds))
    rare = np.repeat(np.arange(len(products)), rng.poisson(_RARE * (stop - begin) / 365, len(products)))
    rare = rare[~products.promoted[rare]]
    product = np.concatenate([regular, rare])
    first = np.concatenate([days.ravel().astype(np.int64), rng.integers(begin, stop, len(rare))])
    # Nothing is promoted in its first weeks or when its end is near.
    kept = (
        (first < stop) & (first > products.launched[product] + 10) & (first + 16 < products.delisted[product])
    )
    return product[kept], first[kept]


def promotions_table(promotions: Promotions, products: Products, stores: Stores) -> pa.Table:
    """All announcements."""
    again = np.flatnonzero(promotions.retold >= 0)
    who = np.concatenate([np.arange(len(promotions)), again])
    second = np.arange(len(who)) >= len(promotions)
    first = np.where(second, promotions.first[who], promotions.first_told[who])
    length = (promotions.last - promotions.first)[who]
    discount = np.where(second, promotions.discount[who], promotions.discount_told[who])
    shelves = pa.array([category.name for category in CATEGORIES])
    regions = pa.array([region.name for region in stores.regions])
    return pa.table(
        {
            "promo_id": identifiers("P", who + 1, 7),
            "store_id": _named(stores.ids, promotions.store[who]),
            "region": _named(regions, promotions.region[who]),
            "sku_id": _named(products.ids, promotions.product[who]),
            "category": _named(shelves, promotions.category[who]),
            "starts_on": first.astype("datetime64[D]"),
            "ends_on": (first + length).astype("datetime64[D]"),
            "mechanic": np.array(MECHANICS)[promotions.mechanic[who]],
            "discount": discount,
            "status": np.where(second & (promotions.cancelled[who] > 0), "cancelled", "planned"),
            "announced_at": np.where(second, promotions.retold[who], promotions.told[who]).astype(
                "datetime64[us]"
            ),
        }
    )


def _named(names: pa.Array, index: Ints) -> pa.Array:
    return names.take(pc.if_else(pc.less(pa.array(index), 0), None, pa.array(index)))


@dataclass(frozen=True)
class PromotedDays:
    """What promotions do to ``n`` series.

    Attributes
    ----------
    effect
        Addition to the log demand, shape ``(n, T)``: uplift, then the dip of the weeks after.
    discount
        Share taken off the price, shape ``(n, T)``.
    """

    effect: Singles
    discount: Singles


def promoted_days(
    rng: np.random.Generator, promotions: Promotions, products: Products, stores: Stores, store: Ints, product: Ints,
    span: Span,
) -> PromotedDays:  # fmt: skip
    """Effects of the promotions on series, given by their stores and products, shape ``(n,)``."""
    series, promotion = _pairs(promotions, products, stores, store, product)
    shape = (len(store), len(span))
    strength = (promotions.uplift[promotion] * rng.lognormal(0, 0.08, len(series))).astype(np.float32)
    discount = np.zeros(shape, dtype=np.float32)
    effect = np.zeros(shape, dtype=np.float32)

    first, last = promotions.first[promotion], promotions.last[promotion]
    pair, lag, column = _days(first, last, span)
    # The first days sell most; where promotions meet, the stronger counts.
    lively = strength[pair] * (1.12 - 0.025 * np.minimum(lag, 8)).astype(np.float32)
    np.maximum.at(effect, (series[pair], column), lively)
    np.maximum.at(discount, (series[pair], column), promotions.discount[promotion][pair].astype(np.float32))

    stockpiled = np.array([category.stockpiled for category in CATEGORIES], dtype=np.float32)
    hoarded = strength * stockpiled[products.category[product[series]]]
    pair, lag, column = _days(last + 1, last + DIP_DAYS, span)
    dip = np.zeros(shape, dtype=np.float32)
    np.maximum.at(dip, (series[pair], column), hoarded[pair] * np.exp(-lag / 5).astype(np.float32))
    effect -= np.where(discount > 0, np.float32(0), dip)
    return PromotedDays(effect, discount)


def _pairs(
    promotions: Promotions, products: Products, stores: Stores, store: Ints, product: Ints
) -> tuple[Ints, Ints]:
    """Series and promotions that concern each other, as two arrays of indices."""
    found = []
    for keys, wanted in (
        (promotions.product, product),
        (promotions.category, products.category[product]),
    ):
        order = np.argsort(keys, kind="stable")
        low = np.searchsorted(keys[order], wanted)
        counts = np.searchsorted(keys[order], wanted, side="right") - low
        series = np.repeat(np.arange(len(wanted)), counts)
        within = np.arange(len(series)) - np.repeat(np.cumsum(counts) - counts, counts)
        found.append((series, order[np.repeat(low, counts) + within]))
    series, promotion = (np.concatenate(parts) for parts in zip(*found, strict=True))
    region, single = promotions.region[promotion], promotions.store[promotion]
    applies = (region < 0) | (region == stores.region[store[series]])
    applies &= (single < 0) | (single == store[series])
    applies &= promotions.cancelled[promotion] == 0
    return series[applies], promotion[applies]


def _days(first: Ints, last: Ints, span: Span) -> tuple[Ints, Ints, Ints]:
    """Days of ranges within the span: index of the range, days since its first, column."""
    length = last - first + 1
    pair = np.repeat(np.arange(len(first)), length)
    lag = np.arange(len(pair)) - np.repeat(np.cumsum(length) - length, length)
    column = first[pair] + lag - span.begin
    inside = (column >= 0) & (column < len(span))
    return pair[inside], lag[inside], column[inside]
