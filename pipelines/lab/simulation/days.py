"""Days of a simulation. A *day* is an integer: days since 1970-01-01."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_EPOCH = date(1970, 1, 1)
DAY_US = 86_400_000_000


def to_day(value: date) -> int:
    """Days since 1970-01-01."""
    return (value - _EPOCH).days


def to_date(day: int) -> date:
    """Inverse of :func:`to_day`."""
    return _EPOCH + timedelta(days=int(day))


def weekday(days: Ints) -> Ints:
    """Day of the week, Monday 0 (1970-01-01 was a Thursday)."""
    return (days + 3) % 7
