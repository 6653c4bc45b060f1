"""Order after order of a block of households: when it comes, and what has run low by then."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.lab.simulation.days import DAY_US, Floats, Ints, weekday
from pipelines.lab.simulation.repurchase.catalogue import Catalogue
from pipelines.lab.simulation.repurchase.households import Households, Singles, draw_products

#: Day of the year on which summer is at its height.
_MID_JULY = 196
#: Share of the gaps in which a household is away, and share of orders that are followed by another that day.
_AWAY, _FORGOT = 0.02, 0.008
#: How much a gap depends on how full the last basket was, and the most that it changes.
_FULLNESS, _FULLEST = 0.35, 1.6


@dataclass(frozen=True)
class Orders:
    """Orders of a block, by day; lines by order and place.

    Attributes
    ----------
    household
        Row of the household in its block.
    day, at_us
        Day, and time in microseconds since 1970.
    line_order, line_product
        Row of the order, and the product.
    line_quantity, line_position
        Units, and place in the basket from 1.
    """

    household: Ints
    day: Ints
    at_us: Ints
    line_order: Ints
    line_product: Ints
    line_quantity: Ints
    line_position: Ints


def shop(
    rng: np.random.Generator, catalogue: Catalogue, households: Households, begin: int, until: int
) -> Orders:
    """Simulate the orders of a block up to the day ``until``; those before ``begin`` are forgotten.

    One step is the next order of every household that still orders, so the work grows with the orders and
    nothing loops over households.
    """
    n = len(households)
    product = np.maximum(households.product, 0)
    summer = catalogue.summer.astype(np.float32)[product]
    # At first, things have been in the house for a while.
    last_bought = (
        households.joined[:, None] - rng.random(product.shape, dtype=np.float32) * households.lasts
    ).astype(np.float32)
    day = households.joined.astype(np.float64)
    usual = np.full(n, 6.0)
    parts: list[tuple[Ints, Ints, Ints, Ints, Ints]] = []  # household, day, order in step, product, is habit
    made = 0
    who = np.flatnonzero(households.joined < np.minimum(households.left, until))
    while len(who):
        today = day[who].astype(np.int64)
        row, column = _run_low(rng, households, summer, last_bought, who, today)
        last_bought[who[row], column] = today[row]
        sizes = np.bincount(row, minlength=len(who))
        tried = rng.poisson(households.tries[who])
        tried = np.maximum(tried, (sizes == 0).astype(np.int64))
        new = draw_products(rng, catalogue, int(tried.sum()))
        if len(new):
            line_row = np.concatenate([row, np.repeat(np.arange(len(who)), tried)])
            line_product = np.concatenate([product[who[row], column], new])
        else:
            line_row, line_product = row, product[who[row], column]
        habit = np.zeros(len(line_row), dtype=np.int64)
        habit[: len(row)] = 1
        parts.append((who, today, made + line_row, line_product, habit))
        made += len(who)
        full = sizes + tried
        step = _gap(rng, households, who, day[who], full / usual[who])
        usual[who] += 0.3 * (full - usual[who])
        day[who] = _next_day(rng, households, who, day[who], step)
        who = who[day[who] < np.minimum(households.left[who], until)]
    return _collect(rng, households, len(catalogue), parts, begin)


def _run_low(
    rng: np.random.Generator,
    households: Households,
    summer: Singles,
    last_bought: Singles,
    who: Ints,
    today: Ints,
) -> tuple[Ints, Ints]:
    """Household (row of ``who``) and place in the repertoire of what is bought again."""
    now = today[:, None]
    row, column = np.nonzero(
        (households.product[who] >= 0) & (households.taken_up[who] <= now) & (now < households.given_up[who])
    )
    cell = (who[row], column)
    wave = np.cos((today - _MID_JULY) * (2 * np.pi / 365.25)).astype(np.float32)
    used_up = (today.astype(np.float32)[row] - last_bought[cell]) / households.lasts[cell]
    used_up *= np.exp(summer[cell] * wave[row])
    # A logistic rise on the log scale, without its logarithm: x^3 / (1 + x^3).
    power = used_up * used_up * used_up
    wish = households.loyalty[cell] * (power / (1 + power))
    low = rng.random(len(row), dtype=np.float32) < wish
    return row[low], column[low]


def _gap(
    rng: np.random.Generator, households: Households, who: Ints, day: Floats, fullness: Floats
) -> Floats:
    """Days to the next order."""
    shape = households.regularity[who]
    gap = households.gap[who] * rng.standard_gamma(shape) / shape
    gap *= np.exp(households.drift[who] * (day - households.joined[who]) / 365)
    # Fewer orders in summer, more before Christmas.
    gap *= 1 + 0.12 * np.cos((day - _MID_JULY) * (2 * np.pi / 365.25))
    gap *= np.clip(np.maximum(fullness, 0.05) ** _FULLNESS, 1 / _FULLEST, _FULLEST)
    away = rng.random(len(who)) < _AWAY
    return gap + away * rng.uniform(8, 24, len(who))


def _next_day(
    rng: np.random.Generator, households: Households, who: Ints, day: Floats, gap: Floats
) -> Floats:
    """Day of the next order: moved to the usual weekday where that is a habit, and seldom the same day."""
    due = np.floor(day) + np.maximum(np.round(gap), 1)
    away = (households.weekday[who] - weekday(due.astype(np.int64)) + 10) % 7 - 3
    moved = due + away
    movable = (rng.random(len(who)) < households.habit[who]) & (moved > np.floor(day))
    due = np.where(movable, moved, due)
    return np.where(rng.random(len(who)) < _FORGOT, np.floor(day), due)


def _collect(
    rng: np.random.Generator,
    households: Households,
    products: int,
    parts: list[tuple[Ints, Ints, Ints, Ints, Ints]],
    begin: int,
) -> Orders:
    """Put the steps together: orders by time, a product once per order, lines in the order of the basket."""
    if not parts:
        nothing = np.zeros(0, dtype=np.int64)
        return Orders(*(nothing,) * 7)
    household, day, order, product, habit = (np.concatenate(column) for column in zip(*parts, strict=True))
    minutes = np.clip(
        60 * (households.hour[household] + households.hour_spread[household] * rng.normal(size=len(day))),
        5 * 60,
        24 * 60 - 2,
    )
    at_us = day * DAY_US + (minutes * 60_000_000).astype(np.int64)
    # What comes to mind first: habits before what is tried.
    mind = rng.random(len(order), dtype=np.float32) - 0.5 * habit
    quantity = 1 + rng.poisson(0.12 * households.people[household[order]])
    by_time = np.argsort(at_us, kind="stable")
    kept = by_time[day[by_time] >= begin]
    place = np.full(len(day), -1, dtype=np.int64)
    place[kept] = np.arange(len(kept))
    new_order = place[order]
    code = new_order * products + product
    # Of a product that was both needed and tried, one line is left.
    _, once = np.unique(code, return_index=True)
    once = once[new_order[once] >= 0]
    line_order = new_order[once]
    sequence = np.argsort(line_order + (mind[once].astype(np.float64) + 0.5) / 2, kind="stable")
    once, line_order = once[sequence], line_order[sequence]
    starts = np.searchsorted(line_order, np.arange(len(kept)))
    return Orders(
        household=household[kept],
        day=day[kept],
        at_us=at_us[kept],
        line_order=line_order,
        line_product=product[once].astype(np.int64),
        line_quantity=quantity[once],
        line_position=np.arange(len(once)) - starts[line_order] + 1,
    )
