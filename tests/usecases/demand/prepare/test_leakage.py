"""Demand features know what was known: nothing that became known later changes any of them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import Any

import pandas as pd

from pipelines.lab.leaks import Leak, changed, future_dated

KEY = ("as_of", "store_id", "sku_id", "ds")
TABLES = ("panel", "calendar", "ahead", "profile", "out_of_scope")
Frames = dict[str, pd.DataFrame]
Raw = dict[str, list[dict[str, Any]]]


def leaks(known: Frames, everything: Frames, tables: Collection[str] = TABLES) -> list[Leak]:
    found = []
    for table in tables:
        key = [name for name in KEY if name in known[table]]
        found += changed(known[table], everything[table], key=key)
    return found


def test_later_rows_change_no_feature_of_today(today: Any, alone: Any, as_of: date) -> None:
    """Both proofs at once: deleting what became known since changes nothing, nor does planting."""
    before, after = alone.frames(as_of), today.frames(as_of)
    assert {name: len(frame) > 0 for name, frame in before.items()} == dict.fromkeys(TABLES, True)
    assert leaks(before, after) == []


def test_the_row_of_a_past_origin_is_the_row_of_that_day(today: Any, origin_alone: Any, origin: date) -> None:
    """The training stack is made with today's raw tables, and shows nothing that came after the origin."""
    before, after = origin_alone.frames(origin), today.frames(origin)
    assert len(after["panel"]) == len(after["profile"]) == 0, "only days ahead of past origins are published"
    before["calendar"] = before["calendar"][before["calendar"]["ds"] >= origin]
    assert len(before["ahead"]) > 300
    assert leaks(before, after, ("calendar", "ahead")) == []


def test_the_same_rows_known_in_time_change_every_column(
    origin_alone: Any, known_in_time: Any, origin: date
) -> None:
    """The late rows are strong enough: a missing cut-off in any column would have been seen."""
    before, after = origin_alone.frames(origin), known_in_time.frames(origin)
    for table in ("panel", "calendar", "ahead", "profile"):
        found = {leak.column for leak in leaks(before, after, [table])}
        moved = set(before[table]) - set(KEY) - {"horizon"}
        assert moved <= found, f"{table}: no late row changes {moved - found}"


def test_no_date_lies_ahead_but_those_that_are_known_ahead(today: Any, as_of: date) -> None:
    found = today.frames(as_of)
    assert future_dated(found["panel"], known_ahead=["reported_on"]) == []
    assert future_dated(found["out_of_scope"]) == []
    reported = found["panel"]["reported_on"].dropna()
    assert reported.max() == as_of, "a report of yesterday evening is known today"


def test_a_promotion_feature_over_the_whole_period_is_found(
    facts: Raw, later: Raw, today: Any, alone: Any, as_of: date
) -> None:
    """The mistake that cost two weeks, planted beside the honest features: it alone is named."""
    known, everything = alone.frames(as_of)["profile"], today.frames(as_of)["profile"]
    for frame, raw in ((known, facts), (everything, later)):
        pairs = pd.MultiIndex.from_frame(frame[["store_id", "sku_id"]])
        frame["promo_uplift_of_all"] = whole_period_uplift(raw).reindex(pairs).to_numpy()
    (leak,) = leaks({"profile": known}, {"profile": everything}, ["profile"])
    assert leak.column == "promo_uplift_of_all"
    assert leak.rows > len(known) / 2


def whole_period_uplift(raw: Raw) -> pd.Series:
    """Mean units in promotion over mean units, per series, over all rows there are."""
    sales = pd.DataFrame(raw["sales"])[["store_id", "sku_id", "sold_on", "quantity"]]
    promotions = pd.DataFrame([row for row in raw["promotions"] if row["sku_id"]])
    pairs = sales.merge(promotions[["sku_id", "starts_on", "ends_on"]], on="sku_id")
    running = pairs[(pairs["sold_on"] >= pairs["starts_on"]) & (pairs["sold_on"] <= pairs["ends_on"])]
    series = ["store_id", "sku_id"]
    return running.groupby(series)["quantity"].mean() / sales.groupby(series)["quantity"].mean()


def test_the_group_of_a_store_is_that_of_an_earlier_day(today: Any, as_of: date) -> None:
    """Groups of the day itself are there (`Y`) and not used; those of the origin (`Z`) are the newest before it."""
    assert set(today.frames(as_of)["profile"]["store_cluster"]) == {"Z"}
