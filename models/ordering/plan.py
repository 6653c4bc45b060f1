"""Orders of one morning: what each series has, what is expected of it, and when the next deliveries come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.ordering.policy import Costs, Demands, Limits, Orders, order
from models.ordering.stock import Floats, Ints, Lives, expected_waste

#: Equally likely demands of the first so many days of each series: days of shape (n,) to units of shape (n, Q).
WindowDemands = Callable[[Ints], Floats]


@dataclass(frozen=True)
class Terms:
    """Economics, limits and calendar of n series; arrays of shape (n,).

    Attributes
    ----------
    lead
        Days from order to delivery.
    review
        Days from this order to the next one.
    lives
        Days that units keep.
    short, waste
        EUR lost by a unit that is missing, and by one that expires.
    holding
        EUR that a unit costs per day on the shelf: place, capital, handling.
    service
        Share of the windows in which the stock should suffice, where somebody decided; NaN: what costs least.
    pack, min_packs
        Units in a pack, fewest packs of an order.
    shelf
        Units that the shelf takes; infinite without a limit.
    """

    lead: Ints
    review: Ints
    lives: Lives
    short: Floats
    waste: Floats
    holding: Floats
    service: Floats
    pack: Floats
    min_packs: Floats
    shelf: Floats


@dataclass(frozen=True)
class Planned:
    """Orders and what they rest on; arrays of shape (n,).

    Attributes
    ----------
    orders
        See :class:`~models.ordering.policy.Orders`.
    cover
        Days, today included, that the stock must last with the order.
    expected
        Demand expected of these days.
    expiring
        Units that will expire within them.
    usable
        Units on hand and on order that will not.
    level
        Service level that the stock is ordered up to.
    """

    orders: Orders
    cover: Ints
    expected: Floats
    expiring: Floats
    usable: Floats
    level: Floats


def plan(terms: Terms, stock: Floats, due: Floats, daily: Floats, demands: WindowDemands) -> Planned:
    """Plan the orders of a morning.

    Parameters
    ----------
    stock : ndarray of shape (n, A)
        Units by days of life left, see :class:`~models.ordering.stock.Lives`.
    due : ndarray of shape (n, L)
        Units that arrive tomorrow (column 0) and on the days after.
    daily : ndarray of shape (n, K)
        Expected demand of today and the days after.
    """
    lives, keeps = terms.lives, terms.lives.keeps
    cover = terms.lead + terms.review
    # What does not keep so long cannot serve the last days, however much of it there is.
    cover = np.where(keeps, cover, np.minimum(cover, terms.lead + lives.days))
    days = np.minimum(cover, daily.shape[1])
    expiring = expected_waste(stock, due, daily, lives, days)
    usable = np.maximum(stock.sum(axis=1) + due.sum(axis=1) - expiring, 0.0)
    until_expiry = np.where(keeps, cover, terms.lead + lives.days)
    likely = Demands(demands(cover), demands(until_expiry))
    costs = Costs(terms.short, terms.holding * terms.review, np.where(keeps, 0.0, terms.waste))
    costs = costs.at_service(terms.service)
    before = np.minimum(terms.lead, daily.shape[1])
    sold = sum_until(daily, before)
    room = terms.shelf - np.maximum(stock.sum(axis=1) + due.sum(axis=1) - sold, 0.0)
    orders = order(likely, usable, costs, Limits(terms.pack, terms.min_packs, room))
    level = (likely.cover <= orders.target[:, None] + 1e-6).mean(axis=1)
    return Planned(orders, cover, sum_until(daily, cover), expiring, usable, np.asarray(level))


def sum_until(daily: NDArray[np.floating], days: Ints) -> Floats:
    """Sums of the first days of each row; beyond the last column, days are as those before on average.

    Parameters
    ----------
    daily : ndarray of shape (n, K)
    days : ndarray of int, shape (n,)
    """
    total = np.cumsum(daily, axis=1, dtype=np.float64)
    known = np.clip(days, 1, daily.shape[1])
    upto = np.take_along_axis(total, known[:, None] - 1, axis=1)[:, 0]
    return np.asarray(np.where(days > 0, upto * np.maximum(days, 1) / known, 0.0))
