"""The products of the chain: attributes, how fast they sell, when they come and go, what they cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.lab.simulation.days import DAY_US, Floats, Ints
from pipelines.lab.simulation.demand.categories import CATEGORIES
from pipelines.lab.simulation.demand.span import Singles, Span
from pipelines.lab.simulation.demand.stores import NEVER, drift
from pipelines.lab.simulation.identifiers import identifiers
from pipelines.usecases.demand.layouts import PRICE_BANDS

#: Speeds of products, from bread to the spice that somebody buys once a month.
SPEEDS = ("fast", "medium", "slow", "intermittent")
#: Median daily units of a usual store, and their spread over products (log), by speed.
_UNITS = np.array([125.0, 3.5, 0.50, 0.055])
_SPREAD = np.array([0.50, 0.60, 0.60, 0.60])
#: Overdispersion: the variance of a day is ``mean + dispersion * mean ** 2``.
DISPERSION = np.array([0.0025, 0.015, 0.10, 0.30])

#: Share of today's products that came within the span, and products gone per product of today.
_LAUNCHED, _GONE = 0.52, 0.62
_BRANDS = (
    "Maison", "Belval", "Corvane", "Doriac", "Estival", "Fontanel", "Garrigue", "Hestia", "Ivoire", "Jolimont",
    "Kerzan", "Lumina", "Marvelo", "Norvege", "Ocelle", "Pontis", "Quercy", "Rivoire", "Solane", "Tavel",
)  # fmt: skip
_EVENING_US = 18 * 3_600_000_000


@dataclass(frozen=True)
class Products:
    """``K`` products; arrays have shape ``(K,)``.

    Attributes
    ----------
    category, subcategory, brand, band, content
        Attributes; indices to their names, subcategories numbered over all categories.
    speed
        Index to ``SPEEDS``.
    units
        Daily units in a usual store that carries it, without any effect.
    promoted
        Whether it lives on promotions.
    launched, delisted
        First and last day on sale; ``NEVER`` while none is set.
    change_start, change_day, change_price
        Price list: prices of product ``k`` are the entries ``change_start[k]`` to
        ``change_start[k + 1]``, each valid from its day on.
    """

    category: Ints
    subcategory: Ints
    brand: Ints
    band: Ints
    content: Floats
    speed: Ints
    units: Floats
    promoted: NDArray[np.bool_]
    launched: Ints
    delisted: Ints
    change_start: Ints
    change_day: Ints
    change_price: Floats

    def __len__(self) -> int:
        return len(self.category)

    @property
    def ids(self) -> pa.Array:
        """Natural ids."""
        return identifiers("K", np.arange(1, len(self) + 1), 6)

    def prices(self, which: Ints, span: Span) -> Singles:
        """Regular price of products by day, EUR, shape ``(len(which), T)``."""
        starts = self.change_start[which]
        changes = self.change_start[which + 1] - starts
        row = np.repeat(np.arange(len(which)), changes)
        entry = (
            np.arange(len(row))
            - np.repeat(np.cumsum(changes) - changes, changes)
            + np.repeat(starts, changes)
        )
        first = entry == np.repeat(starts, changes)
        day = np.clip(self.change_day[entry] - span.begin, 0, len(span))
        steps = np.zeros((len(which), len(span) + 1), dtype=np.int16)
        np.add.at(steps, (row[~first], day[~first]), 1)
        version = np.cumsum(steps[:, :-1], axis=1, dtype=np.int32)
        return np.asarray(self.change_price[starts[:, None] + version], dtype=np.float32)


#: Number of the first subcategory of each category, and their names.
_FIRST = np.cumsum([0, *(len(category.subcategories) for category in CATEGORIES)])
SUBCATEGORIES = tuple(name for category in CATEGORIES for name in category.subcategories)


def ever_sold(wanted: int) -> int:
    """Number of all products that come with so many on sale on the last day."""
    return wanted + round(_GONE * wanted)


def draw_products(rng: np.random.Generator, wanted: int, shares: Floats, span: Span) -> Products:
    """Products of today, and those that went before.

    Parameters
    ----------
    wanted
        Products on sale on the last day.
    shares
        Share of each speed among the products.
    """
    count = ever_sold(wanted)
    # The first products go through all categories, so that each exists in the smallest chain.
    category = np.concatenate([np.arange(len(CATEGORIES)), rng.integers(0, len(CATEGORIES), count)])[:count]
    category = rng.permutation(category)
    subcategory = _FIRST[category] + rng.integers(0, np.diff(_FIRST)[category])
    brand, band = rng.integers(0, len(_BRANDS), count), rng.choice(3, count, p=[0.35, 0.45, 0.2])
    brand[rng.random(count) < 0.25] = 0  # the chain's own

    # What sells is mostly told by the attributes: a new product resembles those like it.
    fame = rng.normal(0, 0.45, len(_BRANDS))[brand] + rng.normal(0, 0.55, len(SUBCATEGORIES))[subcategory]
    score = fame + np.array([0.25, 0.0, -0.45])[band] + rng.normal(0, 0.45, count)
    numbers = np.maximum(np.round(shares * count).astype(np.int64), 1)
    numbers[-1] = count - numbers[:-1].sum()
    drawn = np.repeat(np.arange(len(SPEEDS)), numbers)
    units = _UNITS[drawn] * np.exp(_SPREAD[drawn] * np.clip(rng.standard_normal(count), -1.8, 1.8))
    order = np.argsort(-units, kind="stable")
    rank = np.argsort(np.argsort(-score, kind="stable"), kind="stable")
    speed, units = drawn[order][rank], units[order][rank]

    launched, delisted = _lives(rng, wanted, count, span)
    content = np.array([c.content for c in CATEGORIES])[category] * rng.choice([0.5, 1, 1, 2], count)
    usual = np.array([c.price_eur for c in CATEGORIES])[category]
    price = usual * np.array([0.7, 1.0, 1.6])[band] * rng.lognormal(0, 0.18, count)
    promoted = rng.random(count) < np.array([c.promoted for c in CATEGORIES])[category]
    return Products(
        category, subcategory, brand, band, content, speed, units, promoted, launched, delisted,
        *_price_list(rng, price, launched, delisted, span),
    )  # fmt: skip


def _lives(rng: np.random.Generator, wanted: int, count: int, span: Span) -> tuple[Ints, Ints]:
    """First and last days on sale; as many come as go, all the time."""
    length = span.end - span.start
    launched = span.start - rng.integers(60, 3000, count)
    delisted = np.full(count, NEVER)
    young = np.flatnonzero(rng.random(wanted) < _LAUNCHED)
    launched[young] = span.start + rng.integers(1, length - 5, len(young))
    gone = np.arange(wanted, count)
    delisted[gone] = span.start + rng.integers(20, length - 5, len(gone))
    short = gone[rng.random(len(gone)) < 0.3]
    launched[short] = np.maximum(delisted[short] - rng.integers(120, 700, len(short)), span.begin - 500)
    return launched, delisted


def _price_list(
    rng: np.random.Generator, price: Floats, launched: Ints, delisted: Ints, span: Span
) -> tuple[Ints, Ints, Floats]:
    """Prices with their changes, about 1.2 a year and mostly upwards, ending in 5 or 9 cents."""
    first = np.maximum(launched, span.begin)
    last = np.minimum(delisted, span.stop)
    changes = rng.poisson(1.2 * np.maximum(last - first, 0) / 365)
    product = np.repeat(np.arange(len(price)), changes)
    day = first[product] + 1 + (rng.random(len(product)) * (last - first - 1)[product]).astype(np.int64)
    product = np.concatenate([np.arange(len(price)), product])
    day = np.concatenate([launched, day])
    steps = np.concatenate([np.log(price), rng.normal(0.025, 0.035, len(day) - len(price))])
    order = np.lexsort((day, product))
    product, day, steps = product[order], day[order], steps[order]
    once = np.concatenate([[True], (np.diff(product) > 0) | (np.diff(day) > 0)])  # one price a day
    product, day, steps = product[once], day[once], steps[once]
    start = np.concatenate([[0], np.cumsum(np.bincount(product, minlength=len(price)))])
    total = np.cumsum(steps)
    before = np.concatenate([[0.0], total])[start[product]]
    cents = np.maximum(np.round(np.exp(total - before) * 20) / 20, 0.3) - np.where(product % 3 > 0, 0.01, 0.0)
    return start, day, cents.round(2)


def trends(rng: np.random.Generator, products: Products, span: Span) -> Singles:
    """Drift of the popularity of each product, by week, shape ``(K, weeks)``; log."""
    return drift(rng, len(products), -(-len(span) // 7), 0.07, 0.96)


def products_table(rng: np.random.Generator, products: Products, span: Span) -> pa.Table:
    """Profiles: one version per price, and one when the end is announced."""
    count = len(products)
    per = np.diff(products.change_start)
    listed = np.repeat(np.arange(count), per)
    first = np.arange(len(listed)) == products.change_start[listed]
    told = np.where(
        first,
        np.minimum(products.launched[listed] - 40, span.end - 45),
        products.change_day - 1,
    )
    ending = np.flatnonzero(products.delisted < NEVER)
    end_told = products.delisted[ending] - rng.integers(15, 60, len(ending))
    end_told = np.maximum(end_told, products.launched[ending] - 20)
    # The last price known by then.
    entry = products.change_start[ending] + np.zeros(len(ending), dtype=np.int64)
    for _ in range(int(per.max())):
        following = np.minimum(entry + 1, products.change_start[ending + 1] - 1)
        entry = np.where(products.change_day[following] <= end_told, following, entry)
    who = np.concatenate([listed, ending])
    price = np.concatenate([products.change_price, products.change_price[entry]])
    day = np.concatenate([told, end_told])
    last = np.arange(len(who)) >= len(listed)
    # Once announced, the end is part of the later versions too.
    end_known = np.full(count, NEVER)
    end_known[ending] = end_told
    shows_end = last | (day >= end_known[who])
    moment = day * DAY_US + _EVENING_US + np.where(last, 60_000_000, 0)
    unstated = rng.random(count) < 0.03
    names = np.array(SUBCATEGORIES)[products.subcategory]
    units = np.array([category.unit for category in CATEGORIES])[products.category]
    brands = np.array(_BRANDS)[products.brand]
    titles = [
        f"{brand} {name.replace('_', ' ')} {content:g} {unit}"
        for brand, name, content, unit in zip(
            brands.tolist(), names.tolist(), products.content.tolist(), units.tolist(), strict=True
        )
    ]
    return pa.table(
        {
            "sku_id": products.ids.take(pa.array(who)),
            "product_name": pa.array(titles).take(pa.array(who)),
            "category": np.array([c.name for c in CATEGORIES])[products.category[who]],
            "subcategory": pa.array(names[who], mask=unstated[who]),
            "brand": pa.array(brands[who], mask=unstated[who]),
            "price_band": pa.array(np.array(PRICE_BANDS)[products.band[who]], mask=unstated[who]),
            "pack_size": pa.array(products.content[who], mask=unstated[who]),
            "list_price_eur": price,
            "launched_on": products.launched[who].astype("datetime64[D]"),
            "delisted_on": pa.array(products.delisted[who].astype("datetime64[D]"), mask=~shows_end),
            "known_at": moment.astype("datetime64[us]"),
        }
    )
