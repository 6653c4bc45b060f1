"""Repurchase features know what was known: nothing that became known later changes any of them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta
from typing import Any

import pandas as pd

from pipelines.lab.leaks import Leak, changed

KEY = ("as_of", "customer_key", "product_id")
LABELS = {"bought_next", "days_to_next", "next_lines", "next_repeat_lines"}
Frames = dict[str, pd.DataFrame]


def leaks(known: Frames, everything: Frames, tables: Collection[str]) -> list[Leak]:
    found = []
    for table in tables:
        key = [name for name in KEY if name in known[table]]
        found += changed(known[table], everything[table], key=key)
    return found


def test_later_rows_change_no_feature_and_no_label_of_today(today: Any, alone: Any, as_of: date) -> None:
    """Both proofs at once: deleting what became known since changes nothing, nor does planting."""
    before, after = alone.frames(as_of), today.frames(as_of)
    assert len(before["customers"]) > 25
    assert len(before["candidates"]) > 150
    assert leaks(before, after, ("customers", "candidates")) == []


def test_what_becomes_known_after_today_changes_no_training_row(today: Any, alone: Any, past: date) -> None:
    before, after = alone.frames(past), today.frames(past)
    assert len(before["training"]) > 150
    assert leaks(before, after, ("customers", "training", "labels")) == []


def test_the_training_row_of_a_day_is_the_row_scored_that_day(
    today: Any, past_alone: Any, past: date
) -> None:
    """The stack is made with today's raw tables and shows nothing that came after the snapshot but its labels."""
    before, after = past_alone.frames(past), today.frames(past)
    assert leaks(before, after, ("customers",)) == []
    came_back = set(after["training"]["customer_key"])
    scored = before["candidates"][before["candidates"]["customer_key"].isin(came_back)]
    assert len(scored) > 150
    assert (
        leaks({"training": scored}, {"training": after["training"].drop(columns=list(LABELS))}, ["training"])
        == []
    )


def test_the_same_rows_known_in_time_change_every_column(
    past_alone: Any, known_in_time: Any, past: date
) -> None:
    """The late rows are strong enough: a missing cut-off in any column would have been seen."""
    before, after = past_alone.frames(past), known_in_time.frames(past)
    scope = {"in_scope", "scope_reason"}  # moved by the customers that come back into scope
    # A minimum is moved by a smaller basket only; the plain recomputation guards it.
    for table, still in (("customers", {"weekday_today", "basket_min_lines"}), ("candidates", set())):
        found = {leak.column for leak in leaks(before, after, [table])}
        moved = set(before[table]) - set(KEY) - still - (scope if table == "customers" else set())
        assert moved <= found, f"{table}: no late row changes {moved - found}"


def test_labels_are_of_days_that_are_over(today: Any, alone: Any, past: date, as_of: date) -> None:
    """An order of the last day may not be known yet, so the label ends before it."""
    labels = alone.frames(past)["labels"]
    settle = alone.params.features.settle_days
    assert set(labels["observed_days"]) == {(as_of - past).days - settle}
    came = labels.dropna(subset=["days_to_next"])
    assert (came["days_to_next"] < came["observed_days"]).all()
    assert not came["censored"].any()
    assert labels["censored"].sum() == len(labels) - len(came) > 0
    assert set(labels["label_known_on"]) == {as_of}
    matured = past - timedelta(days=1000)
    assert "labels" in today.frames(matured)
    assert len(today.frames(matured)["labels"]) == 0
