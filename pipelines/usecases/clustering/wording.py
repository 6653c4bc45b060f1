"""What the variables are called, and how their values read, for people who run stores."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pipelines.params import Params
from pipelines.reporting.words import NONE, number, percent

#: Difference worth telling people of, in points of a share or ratio.
_LEAST = 0.03


class Label(Params):
    """A variable in words."""

    #: As a heading, and what a store has that has much, or little, of it.
    name: str
    more: str
    less: str
    #: How a value reads.
    form: Literal["share", "ratio", "amount"]
    unit: str = ""
    digits: int = 0

    def shown(self, value: float | None) -> str:
        """A value as people read it: `62 %`, `+21 %` for a ratio of 1.21, `14 EUR`."""
        if value is None or not math.isfinite(value):
            return NONE
        if self.form == "amount":
            return f"{number(value, self.digits)} {self.unit}".rstrip()
        return percent(value) if self.form == "share" else f"{'+' if value >= 1 else ''}{percent(value - 1)}"

    def least(self, overall: float) -> float:
        """Difference from all stores that people would call one: of an amount, a twentieth."""
        return abs(overall) / 20 if self.form == "amount" else _LEAST


class Labels(Params):
    """Labels by variable, from ``labels.yaml``."""

    variables: dict[str, Label]


@cache
def _labels() -> dict[str, Label]:
    return Labels.load(Path(__file__).with_name("labels.yaml")).variables


def label(variable: str) -> Label:
    """Words of a variable; its name with blanks if it has none of its own."""
    plain = variable.replace("_", " ")
    other = Label(name=plain.capitalize(), more=f"high {plain}", less=f"low {plain}", form="amount", digits=3)
    return _labels().get(variable, other)


def shown(variable: str, value: Any) -> str:
    """A value as people read it."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "not known"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        if variable in ("opens_sunday", "takes_coupons") and value in (0, 1):
            return "yes" if value else "no"
        return label(variable).shown(float(value))
    return str(value)


def profile_words(variable: str, category: str, inside: float, overall: float) -> str:
    """What a group has more or less of than all stores, with both figures."""
    words = label(variable)
    if math.isnan(inside) or math.isnan(overall):
        return f"{words.name}: not known"
    more = inside >= overall
    what = words.more if more else words.less
    if category not in ("", "yes"):
        what = f"{what} {'not known' if category == 'missing' else category}"
        return f"{what}: {percent(inside)} of its stores, {percent(overall)} of all"
    if category == "yes":
        return f"{what}: {percent(inside)} of its stores do, {percent(overall)} of all"
    return f"{what}: {words.shown(inside)}, all stores {words.shown(overall)}"


def is_worth_telling(variable: str, category: str, inside: float, overall: float) -> bool:
    """Whether people would call it a difference; many stores make the smallest one significant."""
    return abs(inside - overall) >= (label(variable).least(overall) if category == "" else _LEAST)
