"""Demand features recomputed row by row in plain Python from the raw rows must agree exactly.

Written from the column descriptions, without a look at the SQL.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from functools import cache
from typing import Any

import pandas as pd
import pytest

Row = dict[str, Any]
Rows = list[Row]
Raw = dict[str, Rows]


def newest(rows: Rows, thing: str, day: date, known: str = "known_at") -> dict[str, Row]:
    """Newest version of each thing known at the start of a day."""
    midnight = datetime.combine(day, time.min)
    before = sorted((row for row in rows if row[known] < midnight), key=lambda row: row[known])
    return {row[thing]: row for row in before}


class Promotions:
    """Promotions of a product in a store on a day, as known at the start of another."""

    def __init__(self, raw: Raw) -> None:
        self.raw = raw

    @cache  # noqa: B019 - one per test
    def known(self, day: date) -> tuple[dict[str, Row], dict[str, Row], Rows]:
        """Stores, products and planned promotions."""
        promotions = newest(self.raw["promotions"], "promo_id", day, "announced_at").values()
        return (
            newest(self.raw["stores"], "store_id", day),
            newest(self.raw["products"], "sku_id", day),
            [row for row in promotions if row["status"] == "planned"],
        )

    def running(self, store: str, sku: str, ds: date, known_on: date) -> Rows:
        """Promotions that a series is in on a day, as known at the start of ``known_on``."""
        stores, products, promotions = self.known(known_on)
        region = stores[store]["region"] if store in stores else None
        category = products[sku]["category"] if sku in products else None
        scope = {"store_id": store, "sku_id": sku, "region": region, "category": category}
        return [
            promo
            for promo in promotions
            if promo["starts_on"] <= ds <= promo["ends_on"]
            and all(promo[name] is None or promo[name] == value for name, value in scope.items())
        ]


def test_quantities_are_the_reports_with_zeros_only_where_a_store_reported(
    facts: Raw, alone: Any, as_of: date
) -> None:
    """Dense from the first sale on; unknown where the store did not report and was not closed."""
    found = alone.frames(as_of)
    sales = {(row["store_id"], row["sku_id"], row["sold_on"]): row for row in facts["sales"]}
    reports: dict[tuple[str, date], date] = {}
    firsts: dict[tuple[str, str], date] = {}
    for (store, sku, day), row in sales.items():
        known = max(row["known_at"].date(), day) + timedelta(days=1)
        reports[store, day] = max(reports.get((store, day), known), known)
        firsts[store, sku] = min(firsts.get((store, sku), day), day)
    is_open = found["calendar"].set_index(["store_id", "ds"])["is_open"].to_dict()
    expected, unknown = {}, 0
    for store, sku in found["profile"][["store_id", "sku_id"]].itertuples(index=False):
        first = max(firsts[store, sku], as_of - timedelta(days=alone.params.features.history_days))
        for number in range((as_of - first).days):
            day = first + timedelta(days=number)
            row = sales.get((store, sku, day))
            reported = reports.get((store, day))
            if reported is None and not is_open[store, day]:
                reported = day + timedelta(days=1)
            quantity = row["quantity"] if row else (0.0 if reported else None)
            unknown += quantity is None
            expected[store, sku, day] = (quantity, bool(row and row["stocked_out"]), reported)
    assert unknown > 0
    got = {
        (row.store_id, row.sku_id, row.ds): (
            None if pd.isna(row.quantity) else row.quantity,
            row.is_stockout,
            row.reported_on,
        )
        for row in found["panel"].itertuples()
    }
    assert got == expected


def test_past_promotions_are_those_known_at_the_start_of_each_day(
    facts: Raw, alone: Any, as_of: date
) -> None:
    panel = alone.frames(as_of)["panel"]
    promotions = Promotions(facts)
    recent = panel[panel["ds"] >= as_of - timedelta(days=70)]
    some = recent[recent["sku_id"].isin(sorted(recent["sku_id"].unique())[::4])]
    for row in some.itertuples():
        running = promotions.running(row.store_id, row.sku_id, row.ds, row.ds)
        assert row.promo_discount == max((promo["discount"] for promo in running), default=0.0)
    assert 0.02 < (some["promo_discount"] > 0).mean() < 0.9


@pytest.mark.parametrize("day", ["origin", "as_of"])
def test_days_ahead_are_what_had_been_announced(
    later: Raw, today: Any, day: str, request: pytest.FixtureRequest
) -> None:
    known_on: date = request.getfixturevalue(day)
    ahead = today.frames(known_on)["ahead"]
    promotions = Promotions(later)
    _, products, _ = promotions.known(known_on)
    running = {
        (row.store_id, row.sku_id, row.ds): promotions.running(row.store_id, row.sku_id, row.ds, known_on)
        for row in ahead.itertuples()
    }
    assert any(running.values())
    assert not all(running.values())
    for row in ahead.itertuples():
        promos = running[row.store_id, row.sku_id, row.ds]
        told = (row.promo_discount, row.promo_mechanic, row.promo_day, row.promo_days_left)
        if promos:
            promo = max(promos, key=lambda promo: (promo["discount"], promo["promo_id"]))
            number, left = (row.ds - promo["starts_on"]).days + 1, (promo["ends_on"] - row.ds).days
            assert told == (promo["discount"], promo["mechanic"], number, left)
        else:
            assert told == (0.0, "none", 0, 0)
        category = products[row.sku_id]["category"]
        others = [
            sku
            for (store, sku, ds), found in running.items()
            if found and (store, ds) == (row.store_id, row.ds) and sku != row.sku_id
            and products[sku]["category"] == category
        ]  # fmt: skip
        assert row.category_promos == len(others)
        assert row.price == products[row.sku_id]["list_price_eur"]


@pytest.mark.parametrize("day", ["origin", "as_of"])
def test_days_since_a_promotion_are_counted_from_the_last_one_known(
    later: Raw, today: Any, day: str, request: pytest.FixtureRequest
) -> None:
    known_on: date = request.getfixturevalue(day)
    promotions = Promotions(later)
    ahead = today.frames(known_on)["ahead"]
    for row in ahead[ahead["sku_id"].isin(sorted(ahead["sku_id"].unique())[::3])].itertuples():
        expected = 28
        for age in range(28):
            ds = row.ds - timedelta(days=age)
            if promotions.running(row.store_id, row.sku_id, ds, min(ds, known_on)):
                expected = age
                break
        assert row.days_since_promo == expected


def test_masking_late_reports_gives_the_panel_of_an_earlier_day(
    today: Any, origin_alone: Any, as_of: date, origin: date
) -> None:
    """What an origin may see of today's panel is what its own panel held."""
    key, columns = ["store_id", "sku_id", "ds"], ["quantity", "is_stockout", "promo_discount"]
    found = today.frames(as_of)
    mine = found["panel"].merge(found["calendar"][["store_id", "ds", "is_open"]], on=["store_id", "ds"])
    # A closed day is zero by the plan; the late rows change the plan of Sundays long past.
    seen = mine["is_open"] & (pd.to_datetime(mine["reported_on"]) <= pd.Timestamp(origin))
    visible = mine[seen].set_index(key)[columns]
    theirs = origin_alone.frames(origin)["panel"].set_index(key)[columns]
    shared = visible.index.intersection(theirs.index)
    assert len(shared) > 10_000
    pd.testing.assert_frame_equal(visible.loc[shared], theirs.loc[shared])


def test_every_series_that_ever_sold_is_accounted_for(facts: Raw, alone: Any, as_of: date) -> None:
    found = alone.frames(as_of)
    sold = {
        (row["store_id"], row["sku_id"])
        for row in facts["sales"]
        if row["sold_on"] < as_of and (row["quantity"] > 0 or row["stocked_out"])
    }
    inside, outside, ahead = (
        list(found[name][["store_id", "sku_id"]].itertuples(index=False, name=None))
        for name in ("profile", "out_of_scope", "ahead")
    )
    assert sorted(inside + outside) == sorted(sold)
    assert set(inside) == set(ahead)
