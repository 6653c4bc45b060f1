"""Numbers and days as people read them: `62 %`, `1 240 EUR`, `Monday 6 January 2025`.

Thin no-break spaces group thousands and stand before units, so a figure never breaks over lines.
"""

from __future__ import annotations

import math
from datetime import date, datetime

#: Narrow no-break space.
THIN = "\u202f"

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July",
    "August", "September", "October", "November", "December",
)  # fmt: skip

#: Shown where there is no value.
NONE = "–"  # noqa: RUF001 - a dash is meant


def number(value: float | None, digits: int = 0) -> str:
    """`14 804`, or a dash for None and NaN."""
    if value is None or not math.isfinite(value):
        return NONE
    return f"{value:,.{digits}f}".replace(",", THIN).replace("-", "\u2212")


def percent(value: float | None, digits: int = 0) -> str:
    """`62 %` for 0.62."""
    return NONE if value is None or not math.isfinite(value) else f"{number(100 * value, digits)}{THIN}%"


def change(share: float | None) -> str:
    """`+3.4 %` for 0.034: with its sign, and a decimal where it is small."""
    if share is None or not math.isfinite(share):
        return NONE
    return ("+" if share > 0 else "") + percent(share, 1 if abs(share) < 0.1 else 0)


def euros(value: float | None) -> str:
    """`1 240 EUR`."""
    return NONE if value is None or not math.isfinite(value) else f"{number(value)}{THIN}EUR"


def weekday(value: date) -> str:
    """`Monday`."""
    return _DAYS[value.weekday()]


def day(value: date | None) -> str:
    """`Monday 6 January 2025`."""
    if value is None:
        return NONE
    return f"{weekday(value)} {value.day} {_MONTHS[value.month - 1]} {value.year}"


def short_day(value: date | None) -> str:
    """`6 Jan 2025`."""
    return NONE if value is None else f"{value.day} {_MONTHS[value.month - 1][:3]} {value.year}"


def moment(value: datetime | None) -> str:
    """`6 Jan 2025 14:05 UTC`."""
    return NONE if value is None else f"{short_day(value)} {value:%H:%M} UTC"


def count(value: int, noun: str, plural: str | None = None) -> str:
    """`1 alarm`, `3 alarms`."""
    return f"{number(value)} {noun if value == 1 else plural or noun + 's'}"


def join(words: list[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
