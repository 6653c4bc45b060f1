"""What the variables are called, and how their values read, for people who run stores."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipelines.reporting.words import NONE, join, number, percent


@dataclass(frozen=True)
class Label:
    """A variable in words.

    Attributes
    ----------
    name
        As a heading.
    more, less
        What a store has that has much, or little, of it.
    shown
        How a value reads.
    least
        Difference worth telling people of, in points of a share or ratio; None: a twentieth of the value.
    """

    name: str
    more: str
    less: str
    shown: Callable[[float | None], str]
    least: float | None = 0.03


def _unit(unit: str, digits: int = 0) -> Callable[[float | None], str]:
    def shown(value: float | None) -> str:
        return NONE if value is None or not math.isfinite(value) else f"{number(value, digits)} {unit}"

    return shown


def _change(value: float | None) -> str:
    """`+21 %` for a ratio of 1.21."""
    if value is None or not math.isfinite(value):
        return NONE
    return f"{'+' if value >= 1 else ''}{percent(value - 1)}"


def _opening(day: str) -> Label:
    return Label(f"{day} openings", f"opens more on {day}s", f"opens less on {day}s", percent)


LABELS: dict[str, Label] = {
    "open_day_share": Label("Days open", "opens on more days", "opens on fewer days", percent),
    **{
        f"open_{day.lower()}_share": _opening(day)
        for day in ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    },
    "opens_sunday": Label("Opens on Sundays", "usually opens on Sundays", "closed on Sundays", percent),
    "public_holiday_open_share": Label(
        "Public holidays open", "opens on public holidays", "closed on public holidays", percent
    ),
    "holiday_eve_ratio": Label(
        "Eves of public holidays",
        "busier before public holidays",
        "less busy before public holidays",
        _change,
    ),
    "school_holiday_ratio": Label(
        "School holidays", "sells more in school holidays", "sells less in school holidays", _change
    ),
    "weekend_share": Label("Weekend's share of sales", "stronger weekends", "weaker weekends", percent),
    "summer_ratio": Label("Summer", "stronger summers", "weaker summers", _change),
    "december_ratio": Label("December", "stronger Decembers", "weaker Decembers", _change),
    "promo_day_share": Label(
        "Days in promotion", "more often in promotion", "less often in promotion", percent
    ),
    "promo_volume_share": Label(
        "Sold in promotion", "sells more in promotion", "sells less in promotion", percent
    ),
    "promo_uplift": Label("Uplift of promotions", "promotions work better", "promotions work less", _change),
    "takes_coupons": Label("Takes coupons", "takes part in coupons", "takes no part in coupons", percent),
    "revenue_per_day": Label("Takings a day", "higher takings", "lower takings", _unit("EUR"), None),
    "customers_per_day": Label("Customers a day", "more customers", "fewer customers", number, None),
    "basket_eur": Label("Basket", "larger baskets", "smaller baskets", _unit("EUR", 2), None),
    "price_index": Label("Price level", "sells at higher prices", "sells at lower prices", _change),
    "products_per_day": Label(
        "Products sold a day", "sells more products a day", "sells fewer products a day", number, None
    ),
    "range_share": Label("Share of the range", "wider range", "narrower range", percent),
    "category_concentration": Label(
        "Concentration on categories", "lives on fewer categories", "sells all categories evenly", percent
    ),
    "high_price_share": Label(
        "Dear products", "sells more dear products", "sells fewer dear products", percent
    ),
    "leading_category": Label("Leading category", "strong in", "weak in", percent),
    "store_type": Label("Format", "format", "not the format", percent),
    "assortment": Label("Range by profile", "range", "not the range", percent),
    "clientele": Label("Clientele by profile", "clientele", "not the clientele", percent),
    "region": Label("Region", "in", "not in", percent),
    "surface_m2": Label("Sales area", "larger", "smaller", _unit("m²"), None),
    "competition_distance_m": Label(
        "Way to the competitor", "competitor farther away", "competitor nearer", _unit("m"), None
    ),
    "competition_years": Label(
        "Years with the competitor", "older competitor", "younger competitor", _unit("years", 1), None
    ),
    "age_years": Label("Age", "older store", "younger store", _unit("years", 1), None),
}


def label(variable: str) -> Label:
    """Words of a variable; its name with blanks if it has none of its own."""
    plain = variable.replace("_", " ")
    return LABELS.get(
        variable, Label(plain.capitalize(), f"high {plain}", f"low {plain}", lambda v: number(v, 3), None)
    )


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
    least = label(variable).least if category == "" else 0.03
    return abs(inside - overall) >= (abs(overall) / 20 if least is None else least)


def difference_words(variable: str, value: Any, usual: Any) -> str:
    """A store's value beside the usual one of its group."""
    return f"{label(variable).name} {shown(variable, value)} (usual there: {shown(variable, usual)})"


def move_words(variable: str, before: Any, now: Any) -> str:
    """How a value changed between two runs."""
    return f"{label(variable).name} from {shown(variable, before)} to {shown(variable, now)}"


def title(facts: list[str]) -> str:
    """The strongest facts of a group as a name people can talk of."""
    return join([fact.partition(":")[0] for fact in facts])
