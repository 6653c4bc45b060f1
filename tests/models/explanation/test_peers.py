"""Peer values against pandas, and what happens without peers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models.explanation.peers import Peers

BANDS = np.array(["1-9"] * 6 + ["10-49"] * 5 + ["250+"] * 2 + [None] * 5, dtype=object)


def test_median_of_the_same_band_missing_values_left_out():
    values = np.array([1.0, 2, 3, 4, 5, np.nan, *range(10, 22)])
    found = Peers.of(BANDS).medians(values)
    assert found[0] == found[5] == 3
    assert found[6] == 12
    assert found[-1] == np.median(values[13:])


def test_too_few_peers_are_replaced_by_all():
    values = np.arange(18, dtype=float)
    peers = Peers.of(BANDS)
    assert dict(zip(peers.names, peers.large, strict=True)) == {
        "1-9": True, "10-49": True, "250+": False, "unknown": True,
    }  # fmt: skip
    assert peers.medians(values)[11] == np.median(values)


def test_band_without_any_value_has_no_peer_value():
    values = np.where(BANDS == "1-9", np.nan, 1.0)
    assert np.isnan(Peers.of(BANDS).medians(values)[0])


def test_column_that_is_missing_everywhere_has_no_peer_values():
    """A source may lack a whole table; warnings are errors here."""
    assert np.isnan(Peers.of(BANDS).medians(np.full(len(BANDS), np.nan))).all()


def test_share_alike_equals_counting():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"band": rng.choice(list("abc"), 300), "word": rng.choice(["x", "y", None], 300)})
    found = Peers.of(frame["band"]).shares_alike(frame["word"].to_numpy(dtype=object))
    for row in range(0, 300, 7):
        own = frame.iloc[row]
        peers = frame[frame["band"] == own["band"]]
        alike = peers["word"].isna() if pd.isna(own["word"]) else peers["word"] == own["word"]
        assert found[row] == pytest.approx(alike.mean())


def test_no_rows():
    assert Peers.of([]).medians(np.empty(0)).shape == (0,)
