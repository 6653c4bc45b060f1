"""Repurchase features recomputed customer by customer in plain Python from the raw rows must agree exactly.

Written from the column descriptions, without a look at the SQL.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cached_property
from typing import Any

import pandas as pd
import pytest

from pipelines.io.lake import Lake

Row = dict[str, Any]
Raw = dict[str, list[Row]]

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def usable(row: Row) -> date:
    """First day at whose start a row was known."""
    known: datetime = row["known_at"]
    return known.date() + timedelta(days=1)


@dataclass
class Order:
    """An order as known on a day, with the products known of it."""

    row: Row
    lines: dict[str, Row]

    @property
    def day(self) -> date:
        at: datetime = self.row["ordered_at"]
        return at.date()

    @property
    def hour(self) -> int:
        at: datetime = self.row["ordered_at"]
        return at.hour


class Shop:
    """Everything known at the start of a day."""

    def __init__(self, raw: Raw, day: date, history_days: int) -> None:
        midnight = datetime.combine(day, time.min)
        self.day, self.history_days = day, history_days
        self.since = day - timedelta(days=history_days)
        known = [row for row in raw["orders"] if row["known_at"] < midnight]
        self.rows = {row["order_id"]: row for row in known}
        self.lines = [
            row for row in raw["order_lines"] if row["known_at"] < midnight and row["order_id"] in self.rows
        ]
        held: dict[str, dict[str, Row]] = {}
        for row in self.lines:
            held.setdefault(row["order_id"], {})[row["product_id"]] = row
        self.all: dict[str, list[Order]] = {}
        for row in sorted(known, key=lambda row: (row["ordered_at"], row["order_id"])):
            self.all.setdefault(row["customer_id"], []).append(Order(row, held.get(row["order_id"], {})))
        versions = sorted(
            (row for row in raw["products"] if row["known_at"] < midnight), key=lambda r: r["known_at"]
        )
        self.profiles = {row["product_id"]: row for row in versions}

    def orders(self, customer: str) -> list[Order]:
        """Orders within the history, oldest first."""
        return [order for order in self.all[customer] if order.day >= self.since]

    @cached_property
    def events(self) -> list[tuple[str, Row, Row, bool, int | None, bool | None]]:
        """Customer, order, line, whether a repeat, days and whether the order before held it, as it became known."""
        found = []
        for customer, orders in self.all.items():
            by_known = sorted(orders, key=lambda o: (usable(o.row), o.row["ordered_at"], o.row["order_id"]))
            number = {order.row["order_id"]: place for place, order in enumerate(by_known)}
            mine = [(order, line) for order in orders for line in order.lines.values()]
            mine.sort(
                key=lambda pair: (
                    max(usable(pair[0].row), usable(pair[1])),
                    pair[0].day,
                    (pair[0].row["ordered_at"], pair[0].row["order_id"]),
                )
            )
            before: dict[str, Order] = {}
            for order, line in mine:
                last = before.get(line["product_id"])
                gap = max((order.day - last.day).days, 0) if last else None
                next_of = number[order.row["order_id"]] - number[last.row["order_id"]] == 1 if last else None
                found.append((customer, order.row, line, last is not None, gap, next_of))
                before[line["product_id"]] = order
        return found

    @cached_property
    def repeats(self) -> set[tuple[str, str]]:
        """Order and product of lines that the customer had bought before."""
        return {(order["order_id"], line["product_id"]) for _, order, line, again, *_ in self.events if again}


def mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def spread(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None


def ratio(a: float | None, b: float | None) -> float | None:
    return None if a is None or not b else a / b


def smoothed(a: int, b: int, pseudo: int) -> float:
    return min((a + pseudo) / (b + pseudo), 10)


def customer_features(shop: Shop, customer: str, active_days: int) -> Row:
    orders = shop.orders(customer)
    ages = [(shop.day - order.day).days for order in orders]
    gaps = [(b.day - a.day).days for a, b in itertools.pairwise(orders)]
    elapsed = (shop.day - shop.all[customer][-1].day).days
    tenure = (shop.day - min(order.day for order in shop.all[customer])).days
    beyond = [gap for gap in gaps if gap >= elapsed]
    known = [order for order in orders if order.lines]
    sizes = [len(order.lines) for order in known]
    later = [order for order in orders[1:] if order.lines]
    again = {
        id(order): sum((order.row["order_id"], name) in shop.repeats for name in order.lines)
        for order in known
    }
    last_3 = orders[-3:]
    sizes_3 = [len(order.lines) for order in last_3 if order.lines]
    again_3 = [again[id(order)] for order in last_3 if order in later]
    quartiles = statistics.quantiles(gaps, n=4, method="inclusive") if len(gaps) > 1 else gaps * 3
    hours = [order.hour for order in orders]
    weekdays = Counter(order.day.isoweekday() for order in orders)
    usual = min(weekdays, key=lambda day: (-weekdays[day], day)) if weekdays else None
    everybody = [(shop.day - order.day).days for name in shop.all for order in shop.orders(name)]
    lines = sum(sizes)
    return {
        "in_scope": elapsed <= active_days,
        "scope_reason": None if elapsed <= active_days else "lapsed",
        "days_since_last": elapsed,
        "gap_last_days": gaps[-1] if gaps else None,
        "gap_before_last_days": gaps[-2] if len(gaps) > 1 else None,
        "gap_third_last_days": gaps[-3] if len(gaps) > 2 else None,
        "gap_mean_days": mean(gaps),
        "gap_median_days": statistics.median(gaps) if gaps else None,
        "gap_spread_days": spread(gaps),
        "gap_quartile_range_days": quartiles[2] - quartiles[0] if gaps else None,
        "gap_min_days": min(gaps, default=None),
        "gap_max_days": max(gaps, default=None),
        "gap_mean_3_days": mean(gaps[-3:]),
        "elapsed_vs_mean": ratio(elapsed, mean(gaps)),
        "elapsed_vs_median": ratio(elapsed, statistics.median(gaps)) if gaps else None,
        "longer_gaps_share": len(beyond) / len(gaps) if gaps else None,
        "longer_gaps_ahead_days": mean([gap - elapsed for gap in beyond]),
        "orders": len(orders),
        "tenure_days": tenure,
        "orders_28d": sum(age <= 28 for age in ages),
        "orders_91d": sum(age <= 91 for age in ages),
        "gap_trend": ratio(mean(gaps[-3:]), mean(gaps)),
        "orders_trend_91d": smoothed(sum(age <= 91 for age in ages), sum(92 <= age <= 182 for age in ages), 1)
        if tenure >= 182
        else None,
        "basket_trend": ratio(mean(sizes_3), mean(sizes)),
        "shop_trend_28d": smoothed(
            sum(age <= 28 for age in everybody), sum(29 <= age <= 56 for age in everybody), 5
        ),
        "basket_mean_lines": mean(sizes),
        "basket_spread_lines": spread(sizes),
        "basket_mean_3_lines": mean(sizes_3),
        "basket_last_lines": (len(orders[-1].lines) or None) if orders else None,
        "basket_min_lines": min(sizes, default=None),
        "basket_max_lines": max(sizes, default=None),
        "units_per_line": ratio(sum(row["quantity"] for o in known for row in o.lines.values()), lines),
        "products_tried": lines - sum(again.values()) if known else None,
        "repeat_share": ratio(sum(again[id(o)] for o in later), sum(len(o.lines) for o in later)),
        "repeat_lines_mean": mean([again[id(o)] for o in later]),
        "repeat_mean_3_lines": mean(again_3),
        "repeat_last_lines": again[id(orders[-1])] if later and orders[-1] is later[-1] else None,
        "repeat_max_lines": max((again[id(o)] for o in later), default=None),
        "no_repeat_share": mean([again[id(o)] == 0 for o in later]),
        "hour_mean": mean(hours),
        "hour_spread": spread(hours),
        "hour_last": hours[-1] if hours else None,
        "morning_share": mean([hour < 12 for hour in hours]),
        "evening_share": mean([hour >= 17 for hour in hours]),
        **{
            f"{name}_share": weekdays[number] / len(orders) if orders else None
            for number, name in enumerate(DAYS, start=1)
        },
        "usual_weekday": usual,
        "usual_weekday_share": weekdays[usual] / len(orders) if usual else None,
        "weekday_last": orders[-1].day.isoweekday() if orders else None,
        "weekday_today": shop.day.isoweekday(),
        "days_to_usual_weekday": (usual - shop.day.isoweekday()) % 7 if usual else None,
    }


def product_features(shop: Shop) -> dict[str, Row]:
    """What everybody's purchases tell of each product, of rows that became known within the history."""

    def known_on(order: Row, line: Row) -> date:
        return max(usable(order), usable(line))

    since = shop.since
    totals = {
        width: sum(usable(row) > shop.day - timedelta(days=width) for row in shop.rows.values())
        for width in (7, 28, 91)
    }
    found: dict[str, Row] = {}
    groups: dict[tuple[str, str], list[bool]] = {}
    for _, order, line, again, _, _ in shop.events:
        if known_on(order, line) > since:
            profile = shop.profiles.get(line["product_id"], {})
            for kind in ("aisle", "department"):
                groups.setdefault((kind, profile.get(kind) or "unknown"), []).append(again)
    # Orders that came next after one with the product, by when that became known.
    after: dict[str, int] = Counter()
    for orders in shop.all.values():
        by_known = sorted(orders, key=lambda o: (usable(o.row), o.row["ordered_at"], o.row["order_id"]))
        for order, following in itertools.pairwise(by_known):
            for line in order.lines.values():
                if max(known_on(order.row, line), usable(following.row)) > since:
                    after[line["product_id"]] += 1
    for product in {line["product_id"] for line in shop.lines}:
        mine = [event for event in shop.events if event[2]["product_id"] == product]
        mine = [event for event in mine if known_on(event[1], event[2]) > since]
        if not mine:
            continue
        when = [known_on(order, line) for _, order, line, *_ in mine]
        sold = [order["ordered_at"].date() for _, order, *_ in mine]
        gaps = [gap for *_, gap, _ in mine if gap is not None]

        def lately(newest: int, oldest: int, when: list[date] = when) -> int:
            return sum(
                shop.day - timedelta(days=oldest) < day <= shop.day - timedelta(days=newest) for day in when
            )

        profile = shop.profiles.get(product, {})
        aisle, department = profile.get("aisle") or "unknown", profile.get("department") or "unknown"
        found[product] = {
            "product_reorder_rate": mean([again for *_, again, _, _ in mine]),
            "product_next_rate": (sum(bool(nxt) for *_, nxt in mine) + 1) / (after[product] + 2),
            "product_cycle_days": mean(gaps),
            "product_purchases": len(mine),
            "product_buyers": sum(not again for *_, again, _, _ in mine),
            "product_days_since_sold": (shop.day - max(sold)).days,
            "product_days_since_first_sold": (shop.day - min(sold)).days,
            "product_share_7d": ratio(lately(0, 7), totals[7]),
            "product_share_28d": ratio(lately(0, 28), totals[28]),
            "product_share_91d": ratio(lately(0, 91), totals[91]),
            "product_trend_28d": smoothed(lately(0, 28), lately(28, 56), 5),
            "aisle_reorder_rate": mean(groups["aisle", aisle]),
            "department_reorder_rate": mean(groups["department", department]),
            "department": department,
            "price_eur": profile.get("price_eur"),
        }
    return found


def candidate_features(shop: Shop, customer: str, product: str, products: dict[str, Row]) -> Row:
    orders = shop.orders(customer)
    with_it = [place for place, order in enumerate(orders) if product in order.lines]
    flags = [product in order.lines for order in orders][::-1]
    mine = [orders[place] for place in with_it]
    n, first, last = len(mine), mine[0], mine[-1]
    cycle_days = (last.day - first.day).days / (n - 1) if n > 1 else None
    cycle_orders = (with_it[-1] - with_it[0]) / (n - 1) if n > 1 else None
    since = (shop.day - last.day).days
    back = len(orders) - with_it[-1]
    positions = [order.lines[product]["position"] for order in mine]
    quantities = [order.lines[product]["quantity"] for order in mine]
    cycle = products[product]["product_cycle_days"]
    whole = customer_features(shop, customer, 10_000)
    return {
        "times_bought": n,
        "order_share": n / len(orders),
        "order_share_since_first": n / (len(orders) - with_it[0]),
        "bought_last_3": sum(flags[:3]),
        "bought_last_5": sum(flags[:5]),
        "bought_last_10": sum(flags[:10]),
        "orders_since_last": back - 1,
        "days_since_last_bought": since,
        "days_since_first_bought": (shop.day - first.day).days,
        "in_last_order": flags[0],
        "streak": flags.index(False) if False in flags else len(flags),
        "cycle_days": cycle_days,
        "cycle_orders": cycle_orders,
        "elapsed_vs_cycle_days": ratio(since, cycle_days),
        "elapsed_vs_cycle_orders": ratio(back, cycle_orders),
        "quantity_mean": mean(quantities),
        "quantity_last": quantities[-1],
        "position_mean": mean(positions),
        "position_share": ratio(sum(positions), sum(len(order.lines) for order in mine)),
        **products[product],
        "elapsed_vs_product_cycle": ratio(since, cycle),
        "customer_orders": whole["orders"],
        "customer_days_since_last": whole["days_since_last"],
        "customer_gap_mean_days": whole["gap_mean_days"],
        "customer_gap_median_days": whole["gap_median_days"],
        "customer_basket_mean_lines": whole["basket_mean_lines"],
        "customer_basket_last_lines": whole["basket_last_lines"],
        "customer_products_tried": whole["products_tried"],
        "customer_repeat_share": whole["repeat_share"],
        "customer_repeat_lines_mean": whole["repeat_lines_mean"],
        "customer_repeat_mean_3_lines": whole["repeat_mean_3_lines"],
        "customer_repeat_last_lines": whole["repeat_last_lines"],
    }


def chosen(shop: Shop, customer: str, most: int) -> list[str]:
    """Candidates: most often in the last ten orders first, then most often, then most recently, then by id."""
    orders = shop.orders(customer)[::-1]
    bought = {name for order in orders for name in order.lines}

    def rank(product: str) -> tuple[Any, ...]:
        flags = [product in order.lines for order in orders]
        return (-sum(flags[:10]), -sum(flags), flags.index(True), product)

    return sorted(sorted(bought, key=rank)[:most])


def agree(found: Row, expected: Row, spot: str) -> None:
    wrong = {}
    for name, value in expected.items():
        got = found[name]
        missing = got is None or (isinstance(got, float) and math.isnan(got))
        if value is None or missing:
            same = value is None and missing
        elif isinstance(value, str | bool):
            same = got == value
        else:
            same = math.isclose(got, value, rel_tol=1e-12, abs_tol=1e-12)
        if not same:
            wrong[name] = (got, value)
    assert not wrong, f"{spot}: {wrong}"


@pytest.fixture(scope="module")
def keys(today: Any) -> dict[str, str]:
    """Customer by pseudonym."""
    rows = Lake.of(today.settings).read("raw/repurchase_orders", columns=["customer_key", "customer_id"])
    return dict(zip(rows["customer_key"].to_pylist(), rows["customer_id"].to_pylist(), strict=True))


@pytest.mark.parametrize("day", ["past", "as_of"])
def test_customers(
    later: Raw, today: Any, keys: dict[str, str], day: str, request: pytest.FixtureRequest
) -> None:
    when: date = request.getfixturevalue(day)
    features = today.params.features
    shop = Shop(later, when, features.history_days)
    found = today.frames(when)["customers"].drop(columns="as_of").set_index("customer_key")
    assert {keys[name] for name in found.index} == set(shop.all)
    assert 0 < found["in_scope"].sum() < len(found)
    for key, row in found.to_dict("index").items():
        expected = customer_features(shop, keys[key], features.active_days)
        assert set(row) == set(expected)
        agree(row, expected, f"{keys[key]} on {when}")


@pytest.mark.parametrize(("day", "table"), [("past", "training"), ("as_of", "candidates")])
def test_candidates(
    later: Raw, today: Any, keys: dict[str, str], day: str, table: str, request: pytest.FixtureRequest
) -> None:
    when: date = request.getfixturevalue(day)
    features = today.params.features
    shop = Shop(later, when, features.history_days)
    products = product_features(shop)
    found = today.frames(when)[table]
    labels = ["bought_next", "days_to_next", "next_lines", "next_repeat_lines"]
    rows = found.drop(columns=["as_of", *(name for name in labels if name in found)])
    cut = 0
    for key, mine in rows.groupby("customer_key"):
        customer = keys[str(key)]
        expected = chosen(shop, customer, features.max_candidates)
        assert mine["product_id"].tolist() == expected
        cut += len(expected) == features.max_candidates
        for row in mine.drop(columns="customer_key").to_dict("records"):
            told = candidate_features(shop, customer, row["product_id"], products)
            assert set(told) == set(row) - {"product_id"}
            agree(row, told, f"{customer} x {row['product_id']} on {when}")
    assert cut > 0, "some customers have more products than candidates"
    in_scope = today.frames(when)["customers"].query("in_scope")["customer_key"]
    if table == "candidates":
        assert set(rows["customer_key"]) == {
            key for key in in_scope if any(order.lines for order in shop.orders(keys[key]))
        }


def test_labels_are_the_first_order_from_the_day_on(
    later: Raw, today: Any, keys: dict[str, str], past: date, as_of: date
) -> None:
    features = today.params.features
    known = Shop(later, as_of, 10_000)
    then = Shop(later, past, features.history_days)
    until = as_of - timedelta(days=features.settle_days)
    frames = today.frames(past)
    labels = frames["labels"].set_index("customer_key")
    in_scope = frames["customers"].query("in_scope")["customer_key"]
    assert set(labels.index) == set(in_scope)
    bought = frames["training"].query("bought_next").groupby("customer_key")["product_id"].agg(set).to_dict()
    outcomes: Counter[str] = Counter()
    for key, row in labels.iterrows():
        came = [order for order in known.all[keys[str(key)]] if past <= order.day < until]
        if not came:
            assert row["censored"]
            assert pd.isna(row["days_to_next"])
            assert row["next_order_id"] is None
            outcomes["censored"] += 1
            continue
        order = came[0]
        assert (row["days_to_next"], row["next_order_id"]) == ((order.day - past).days, order.row["order_id"])
        assert not row["censored"]
        assert row["next_lines"] == len(order.lines)
        again = {name for name in order.lines if (order.row["order_id"], name) in known.repeats}
        assert row["next_repeat_lines"] == len(again)
        candidates = set(chosen(then, keys[str(key)], features.max_candidates))
        assert bought.get(key, set()) == candidates & set(order.lines)
        outcomes["hit" if candidates & set(order.lines) else "nothing again"] += 1
    assert set(outcomes) >= {"censored", "hit"}
