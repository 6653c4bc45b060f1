"""How much to order: the newsvendor's answer for stock that is reviewed, ages, and comes in packs.

An order is the last that can arrive before the delivery after the next, so it must cover the days until then
(lead time plus review period). Of each product, the demand of these days is a set of equally likely sums. A unit too
few costs what a lost sale costs; a unit too many costs its place on the shelf until the next delivery, and its
purchase if it expires before it is sold. The expected cost is convex in the stock, and the order is the number of
packs that makes it least.

Sources: Arrow, Harris & Marschak (1951), Econometrica 19(3), for the critical ratio; Silver, Pyke & Thomas (2017),
Inventory and Production Management, chapter 7, for periodic review; Nahmias (1982), Operations Research 30(4), for
the cost of perishing charged to the order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Halvings of the interval in which the best stock lies: to a millionth of the largest demand.
_HALVINGS = 20


@dataclass(frozen=True)
class Costs:
    """What is lost per unit of n products, in EUR; arrays of shape (n,).

    Attributes
    ----------
    short
        By a unit that was asked for and not there: its margin, and the trust of who asked.
    over
        By a unit that is left when the next delivery comes.
    waste
        By a unit that expires: what it cost, less what is still got for it.
    """

    short: Floats
    over: Floats
    waste: Floats

    @property
    def critical_ratio(self) -> Floats:
        """Share of the days on which the stock should suffice, without regard to expiry, shape (n,)."""
        return np.asarray(self.short / (self.short + self.over))

    def at_service(self, level: NDArray[np.floating]) -> Costs:
        """Costs under which a wanted service level is the best one; NaN keeps a product's own.

        A level that was decided on is meant with expiry in mind: waste costs nothing more.
        """
        given = np.isfinite(level)
        return Costs(
            np.where(given, level, self.short),
            np.where(given, 1.0 - level, self.over),
            np.where(given, 0.0, self.waste),
        )


@dataclass(frozen=True)
class Limits:
    """What a supplier and a shelf allow; arrays of shape (n,).

    Attributes
    ----------
    pack
        Units in a pack.
    min_packs
        Fewest packs of an order, if anything is ordered.
    room
        Most units that may come; infinite where the shelf sets no limit.
    """

    pack: Floats
    min_packs: Floats
    room: Floats


@dataclass(frozen=True)
class Demands:
    """Equally likely demands of n products, ascending.

    Attributes
    ----------
    cover : ndarray of shape (n, Q)
        Units until the delivery after the next.
    life : ndarray of shape (n, Q)
        Units until what is ordered now expires.
    """

    cover: Floats
    life: Floats


@dataclass(frozen=True)
class Orders:
    """Orders of n products; arrays of shape (n,).

    Attributes
    ----------
    packs, units
        Ordered.
    target
        Stock at which the expected cost is least: what is ordered up to.
    service
        Probability that the stock with the order suffices.
    missing
        Expected units asked for in vain until the delivery after the next.
    """

    packs: Floats
    units: Floats
    target: Floats
    service: Floats
    missing: Floats


def order(demands: Demands, usable: Floats, costs: Costs, limits: Limits) -> Orders:
    """Order what costs least.

    Parameters
    ----------
    usable : ndarray of shape (n,)
        Units on hand and on order, less those that will expire before the delivery after the next.
    """
    target = best_stock(demands, costs)
    lower = np.floor(np.maximum(target - usable, 0.0) / limits.pack)
    packs = _cheaper(demands, usable, costs, limits.pack, lower, lower + 1)
    small = (packs > 0) & (packs < limits.min_packs)
    least = _cheaper(demands, usable, costs, limits.pack, np.zeros_like(packs), limits.min_packs)
    packs = np.where(small, least, packs)
    most = np.floor(np.maximum(limits.room, 0.0) / limits.pack)
    packs = np.where(most < limits.min_packs, 0.0, np.minimum(packs, most))
    units = packs * limits.pack
    stock = usable + units
    missing = np.maximum(demands.cover - stock[:, None], 0.0).mean(axis=1)
    return Orders(packs, units, target, share_below(demands.cover, stock), missing)


def best_stock(demands: Demands, costs: Costs) -> Floats:
    """Stock at which another unit would save as much as it costs, shape (n,).

    The cost of another unit is ``over * F(x) + waste * G(x) - short * (1 - F(x))``, which rises in x; F and G are the
    distributions of the demand until the delivery after the next, and until the order expires.
    """
    low, high = np.zeros(len(demands.cover)), demands.cover[:, -1].copy()
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        served = share_below(demands.cover, middle)
        slope = costs.over * served - costs.short * (1 - served)
        slope += costs.waste * share_below(demands.life, middle)
        high = np.where(slope >= 0, middle, high)
        low = np.where(slope >= 0, low, middle)
    return np.asarray(high)


def share_below(demands: Floats, stock: Floats) -> Floats:
    """Probability that a demand is at most the stock, shape (n,)."""
    return np.asarray((demands <= stock[:, None] + 1e-9).mean(axis=1))


def expected_cost(demands: Demands, stock: Floats, costs: Costs) -> Floats:
    """Expected EUR lost with a stock that must last until the delivery after the next, shape (n,)."""
    gap = stock[:, None] - demands.cover
    found = costs.over * np.maximum(gap, 0.0).mean(axis=1) + costs.short * np.maximum(-gap, 0.0).mean(axis=1)
    return np.asarray(found + costs.waste * np.maximum(stock[:, None] - demands.life, 0.0).mean(axis=1))


def _cheaper(
    demands: Demands, usable: Floats, costs: Costs, pack: Floats, fewer: Floats, more: Floats
) -> Floats:
    """Whichever number of packs costs less; the smaller if they cost the same."""
    first = expected_cost(demands, usable + fewer * pack, costs)
    second = expected_cost(demands, usable + more * pack, costs)
    return np.where(second < first - 1e-12, more, fewer)
