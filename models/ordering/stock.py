"""Stock by the days of life that it has left: sold first what expires first, thrown away what was not.

A day has four parts: deliveries arrive before the doors open, an order is made, people buy, and what has no
day left is thrown away in the evening. Units are conserved on every day:
``opening + delivered = sold + wasted + closing``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

#: Days of life beyond which a product counts as one that never expires.
LONGEST_LIFE = 60


@dataclass(frozen=True)
class Lives:
    """How long n products keep.

    Attributes
    ----------
    days : ndarray of int, shape (n,)
        Days on which a unit may be sold, the day of its arrival included; above :data:`LONGEST_LIFE` it keeps.
    """

    days: Ints

    @property
    def keeps(self) -> Mask:
        """Products that never expire, shape (n,)."""
        return np.asarray(self.days > LONGEST_LIFE)

    @property
    def columns(self) -> int:
        """Columns of a stock by age: A."""
        perishable = self.days[~self.keeps]
        return int(perishable.max(initial=1))

    @property
    def fresh(self) -> Ints:
        """Column in which units of each product arrive, shape (n,); what keeps lies in column 0 and stays there."""
        return np.where(self.keeps, 0, np.maximum(self.days, 1) - 1)

    def stock(self, units: NDArray[np.floating], left: Ints | None = None) -> Floats:
        """Stock by age of so many units, shape (n, A).

        Parameters
        ----------
        units : ndarray of shape (n,)
        left : ndarray of int, shape (n,), optional
            Days of life that they have left, today included; a whole life if not given.
        """
        stock = np.zeros((len(self.days), self.columns))
        column = self.fresh if left is None else np.where(self.keeps, 0, np.clip(left - 1, 0, self.fresh))
        stock[np.arange(len(self.days)), column] = units
        return stock


def sell(stock: Floats, demand: NDArray[np.floating]) -> tuple[Floats, Floats]:
    """Sell first what expires first.

    Parameters
    ----------
    stock : ndarray of shape (n, A)
        Units by days of life left: column r may be sold for r + 1 more days.
    demand : ndarray of shape (n,)

    Returns
    -------
    sold, left
        Shapes (n,) and (n, A).
    """
    upto = np.cumsum(stock, axis=1)
    taken = np.minimum(upto, demand[:, None])
    left = stock - np.diff(taken, axis=1, prepend=0.0)
    return np.asarray(taken[:, -1]), np.asarray(left)


def age(stock: Floats, keeps: Mask) -> tuple[Floats, Floats]:
    """End a day: throw away what has no day left.

    Returns
    -------
    wasted, left
        Shapes (n,) and (n, A).
    """
    wasted = np.where(keeps, 0.0, stock[:, 0])
    older = np.concatenate([stock[:, 1:], np.zeros((len(stock), 1))], axis=1)
    return wasted, np.where(keeps[:, None], stock, older)


@dataclass(frozen=True)
class Morning:
    """What whoever orders sees before the doors open.

    Attributes
    ----------
    day : int
        Day of the replay.
    stock : ndarray of shape (n, A)
        Units on the shelves by age, this morning's deliveries included.
    due : ndarray of shape (n, L)
        Units ordered before that arrive tomorrow (column 0) and on the days after.
    """

    day: int
    stock: Floats
    due: Floats


@dataclass(frozen=True)
class Replay:
    """What happened to n products on T days; matrices of shape (n, T) in units.

    Attributes
    ----------
    delivered, sold, lost, wasted
        Arrived, bought, asked for in vain, thrown away.
    closing
        Left in the evening.
    ordered
        Ordered that morning.
    """

    delivered: Floats
    sold: Floats
    lost: Floats
    wasted: Floats
    closing: Floats
    ordered: Floats


def replay(
    demand: NDArray[np.floating],
    opening: Floats,
    lives: Lives,
    lead: Ints,
    order: Callable[[Morning], NDArray[np.floating]],
) -> Replay:
    """Live the days of a demand with somebody's orders.

    Parameters
    ----------
    demand : ndarray of shape (n, T)
        Units that people came for; what is not there is lost.
    opening : ndarray of shape (n, A)
        Stock by age before the first delivery.
    lead : ndarray of int, shape (n,)
        Days from order to delivery, at least 1: ordered in the morning of t, there in the morning of t + lead.
    order
        Units ordered of each product on a morning, shape (n,); asked on every day.
    """
    if (lead < 1).any():
        raise ValueError(
            "lead must be at least 1 day: a delivery arrives before the orders of its day are made"
        )
    count, days = demand.shape
    rows, longest = np.arange(count), int(lead.max(initial=1))
    arriving = np.zeros((count, days + longest + 1))
    found = {name: np.zeros((count, days)) for name in Replay.__dataclass_fields__}
    stock = opening.copy()
    for day in range(days):
        stock[rows, lives.fresh] += arriving[:, day]
        units = np.asarray(
            order(Morning(day, stock, arriving[:, day + 1 : day + 1 + longest])), dtype=np.float64
        )
        arriving[rows, day + lead] += units
        sold, stock = sell(stock, demand[:, day])
        wasted, stock = age(stock, lives.keeps)
        happened = {
            "delivered": arriving[:, day], "sold": sold, "lost": demand[:, day] - sold, "wasted": wasted,
            "closing": stock.sum(axis=1), "ordered": units,
        }  # fmt: skip
        for name, values in happened.items():
            found[name][:, day] = values
    return Replay(**found)


def expected_waste(
    stock: Floats, due: Floats, daily: NDArray[np.floating], lives: Lives, days: Ints
) -> Floats:
    """Units that will be thrown away in the next days if every day sells what is expected.

    Parameters
    ----------
    stock, due
        As in :class:`Morning`.
    daily : ndarray of shape (n, K)
        Demand of today and the days after.
    days : ndarray of int, shape (n,)
        Days that are looked at, at most K.

    References
    ----------
    Broekmeulen & van Donselaar (2009), Computers & Operations Research 36(11): an order-up-to policy that takes the
    estimated outdating off the stock.
    """
    left, total, rows = stock.copy(), np.zeros(len(stock)), np.arange(len(stock))
    for step in range(int(days.max(initial=0))):
        if 0 < step <= due.shape[1]:
            left[rows, lives.fresh] += due[:, step - 1]
        _, left = sell(left, daily[:, step])
        wasted, left = age(left, lives.keeps)
        total += np.where(step < days, wasted, 0.0)
    return total
