"""The days of a simulated chain, and how they fall in weeks and years."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipelines.lab.simulation.days import Ints, to_date, weekday

#: Single precision: a block of series is a few matrices over three years.
Singles = NDArray[np.float32]

#: Days before the first delivered one, so that promotions and stocks have a past.
WARM_UP_DAYS = 35
#: Days simulated after the delivery, kept as truth to judge forecasts by.
AHEAD_DAYS = 20


@dataclass(frozen=True)
class Span:
    """Days of the simulation.

    Attributes
    ----------
    start, end
        First delivered day and the day after the last one.
    """

    start: int
    end: int

    @property
    def begin(self) -> int:
        """First simulated day."""
        return self.start - WARM_UP_DAYS

    @property
    def stop(self) -> int:
        """Day after the last simulated one."""
        return self.end + AHEAD_DAYS

    @cached_property
    def days(self) -> Ints:
        """All simulated days, shape ``(T,)``."""
        return np.arange(self.begin, self.stop)

    def __len__(self) -> int:
        return self.stop - self.begin

    @cached_property
    def weekday(self) -> Ints:
        """Day of the week of each day, Monday 0."""
        return weekday(self.days)

    @cached_property
    def years(self) -> range:
        """Calendar years that the days and a year ahead touch."""
        return range(to_date(self.begin).year, to_date(self.stop).year + 2)

    @cached_property
    def angle(self) -> Singles:
        """Position in the year as an angle, 0 on 1 January."""
        stamp = self.days.astype("datetime64[D]")
        day_of_year = (stamp - stamp.astype("datetime64[Y]")).astype(np.float32)
        return np.asarray(2 * np.pi * day_of_year / 365.25, dtype=np.float32)

    def wave(self, peak: date) -> Singles:
        """Cosine over the year, 1 on the day of ``peak`` and -1 half a year later."""
        return np.asarray(
            np.cos(self.angle - 2 * np.pi * peak.timetuple().tm_yday / 365.25), dtype=np.float32
        )

    def within(self, first: Ints, last: Ints) -> NDArray[np.bool_]:
        """Whether each day lies in each of the ranges (ends included), shape ``(n, T)``."""
        return np.asarray((self.days >= first[:, None]) & (self.days <= last[:, None]))
