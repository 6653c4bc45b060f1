"""Clustering features know what was known: nothing that became known later changes any of them."""

from __future__ import annotations

from typing import Any

from pipelines.lab.leaks import changed

KEY = ("as_of", "store_id")


def test_later_rows_change_no_feature(today: Any, alone: Any) -> None:
    """Both proofs at once: deleting what became known since changes nothing, nor does planting."""
    assert len(alone.features()) >= 10
    assert changed(alone.features(), today.features(), key=KEY) == []
    assert alone.record["features_hash"] == today.record["features_hash"], "not even their last digit"


def test_the_same_rows_known_in_time_change_every_column(alone: Any, known_in_time: Any) -> None:
    """The late rows are strong enough: a missing cut-off in any column would have been seen."""
    before, after = alone.features(), known_in_time.features()
    moved = {leak.column for leak in changed(before, after, key=KEY)}
    assert set(before) - set(KEY) <= moved, f"no late row changes {set(before) - set(KEY) - moved}"
