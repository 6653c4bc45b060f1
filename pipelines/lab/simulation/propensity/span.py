"""The months of a simulation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Month:
    """A calendar month.

    Attributes
    ----------
    number
        Months since 1970-01.
    first, days
        First day, and days.
    part
        Share of its days that lie within the span asked for.
    """

    number: int
    first: int
    days: int
    part: float = 1.0

    @property
    def end(self) -> int:
        """First day of the next month."""
        return self.first + self.days


def months_of(start: int, end: int) -> list[Month]:
    """Months that the days from ``start`` up to, but without, ``end`` touch."""
    number = np.arange(_month(start), _month(end - 1) + 2)
    first = number.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return [
        Month(int(n), int(a), int(b - a), float((min(b, end) - max(a, start)) / (b - a)))
        for n, a, b in zip(number[:-1], first[:-1], first[1:], strict=True)
    ]


def _month(day: int) -> int:
    return int(np.datetime64(day, "D").astype("datetime64[M]").astype(np.int64))
