"""How categories are ordered, as planners write it down: calendar, packs, life, economics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.ordering.plan import Terms
from models.ordering.stock import LONGEST_LIFE, Floats, Ints, Lives, Mask

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

#: Category of the row that serves all others.
OTHERS = "*"

#: Columns of numbers with their least and largest value; the others may be anything from 0 on.
_SHARES = ("margin", "lost_sale", "salvage", "holding_per_day")


@dataclass(frozen=True)
class Rule:
    """One row of the table: see the seed ``demand_order_rules``; absent limits are infinite.

    Attributes
    ----------
    weekdays
        Whether orders are made, by day of the week, Monday first.
    """

    category: str
    weekdays: tuple[bool, ...]
    lead_days: int
    pack_units: float
    min_packs: int
    shelf_units: float
    shelf_life_days: int
    margin: float
    lost_sale: float
    salvage: float
    holding_per_day: float
    service_level: float

    @classmethod
    def of(cls, row: Mapping[str, str]) -> Rule:
        """Read a row of text.

        Raises
        ------
        ValueError
            A column is missing or makes no sense; the message names category and column.
        """
        category = row.get("category", "").strip()

        def number(name: str, empty: float | None = None, least: float = 0.0) -> float:
            text = (row.get(name) or "").strip()
            if not text and empty is not None:
                return empty
            try:
                value = float(text)
            except ValueError:
                raise ValueError(f"{name} of {category!r} must be a number, got {text!r}") from None
            if not least <= value < np.inf:
                raise ValueError(f"{name} of {category!r} must be at least {least:g}, got {text}")
            return value

        named = (row.get("order_days") or "").lower().split()
        if not named or not set(named) <= set(WEEKDAYS):
            raise ValueError(
                f"order_days of {category!r} must be some of {' '.join(WEEKDAYS)}, got {' '.join(named)!r}"
            )
        shares = {name: number(name) for name in _SHARES}
        service = number("service_level", np.nan)
        if shares["margin"] >= 1 or service >= 1 or service == 0:
            raise ValueError(f"margin and service_level of {category!r} must be shares below 1")
        if shares["margin"] + shares["lost_sale"] <= 0 or shares["holding_per_day"] <= 0:
            raise ValueError(
                f"{category!r} must lose something by a lost sale (margin, lost_sale) and by a day on the shelf "
                "(holding_per_day), or the best order is none or endless"
            )
        return cls(
            category=category,
            weekdays=tuple(day in named for day in WEEKDAYS),
            lead_days=int(number("lead_days", least=1)),
            pack_units=number("pack_units", least=1e-3),
            min_packs=int(number("min_packs", least=1)),
            shelf_units=number("shelf_units", np.inf),
            shelf_life_days=int(number("shelf_life_days", LONGEST_LIFE + 1, least=1)),
            service_level=service,
            **shares,
        )


class Rules:
    """All rows, and what they mean for series on a day.

    Raises
    ------
    ValueError
        A row makes no sense, a category has two, or nothing serves the others.
    """

    def __init__(self, rows: Iterable[Mapping[str, str]]) -> None:
        found = [Rule.of(row) for row in rows]
        self.by_category = {rule.category: rule for rule in found}
        if len(self.by_category) < len(found):
            raise ValueError("a category must have one row")
        if OTHERS not in self.by_category:
            raise ValueError(f"a row {OTHERS!r} must serve the categories without one of their own")

    def of(self, categories: Sequence[str] | NDArray[np.object_]) -> Applied:
        """Rules of series by their categories, shape (n,)."""
        rules = list(self.by_category.values())
        place = {rule.category: number for number, rule in enumerate(rules)}
        rows = [place.get(category, place[OTHERS]) for category in categories]
        return Applied(rules, np.array(rows, dtype=np.intp))


@dataclass(frozen=True)
class Applied:
    """Rules of n series.

    Attributes
    ----------
    rules
        All of them.
    rows : ndarray of int, shape (n,)
        Rule of each series.
    """

    rules: Sequence[Rule]
    rows: NDArray[np.intp]

    def take(self, rows: NDArray[np.intp]) -> Applied:
        """Rules of some of the series."""
        return Applied(self.rules, self.rows[rows])

    @property
    def lead(self) -> Ints:
        """Days from order to delivery, shape (n,)."""
        return self._column("lead_days").astype(np.int64)

    @property
    def pack(self) -> Floats:
        """Units in a pack, shape (n,)."""
        return self._column("pack_units")

    @property
    def lives(self) -> Lives:
        """Days that units keep."""
        return Lives(self._column("shelf_life_days").astype(np.int64))

    def ordering(self, weekday: int) -> Mask:
        """Whether orders are made on a day of the week, Monday 0, shape (n,)."""
        return np.array([rule.weekdays[weekday] for rule in self.rules])[self.rows]

    def review(self, weekday: int) -> Ints:
        """Days from a day of the week to the next order day after it, shape (n,)."""
        ahead = range(1, 8)
        days = [next(k for k in ahead if rule.weekdays[(weekday + k) % 7]) for rule in self.rules]
        return np.array(days, dtype=np.int64)[self.rows]

    def terms(self, price: Floats, weekday: int) -> Terms:
        """What orders of a weekday cost and allow.

        Parameters
        ----------
        price : ndarray of shape (n,)
            Regular price, EUR.
        """
        margin, lost = self._column("margin"), self._column("lost_sale")
        return Terms(
            lead=self.lead,
            review=self.review(weekday),
            lives=self.lives,
            short=price * (margin + lost),
            waste=price * np.maximum(1 - margin - self._column("salvage"), 0.0),
            holding=price * self._column("holding_per_day"),
            service=self._column("service_level"),
            pack=self.pack,
            min_packs=self._column("min_packs"),
            shelf=self._column("shelf_units"),
        )

    def _column(self, name: str) -> Floats:
        return np.array([getattr(rule, name) for rule in self.rules], dtype=np.float64)[self.rows]
