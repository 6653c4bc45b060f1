"""Promotions beside a series on its shelf, against a loop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from features.groups import groups_of
from features.known import known_at
from features.levels import levels_at
from features.neighbours import BEFORE_DAYS, neighbours_at

ORIGIN, HORIZON = np.datetime64("2025-04-01"), 14


def test_as_a_loop_over_the_shelf(chain):
    series = chain.series.assign(subcategory=chain.series["category"])
    known = known_at(chain, ORIGIN, HORIZON)
    groups = groups_of(series)
    levels = levels_at(known, groups["category"], groups["shelf"])
    found = neighbours_at(known, levels, series)
    uplift = levels.columns["promo_uplift"]
    uplift = np.maximum(np.where(np.isfinite(uplift), uplift, uplift[np.isfinite(uplift)].mean()), 0)
    for row in (0, 5, 11):
        others = [
            other
            for other in range(len(series))
            if other != row
            and series["store_id"][other] == series["store_id"][row]
            and series["category"][other] == series["category"][row]
        ]
        strength = sum(uplift[other] * (known.promo[other] > 0) for other in others)
        for name, days in BEFORE_DAYS.items():
            past = strength[known.n_history - days : known.n_history].mean()
            assert found[f"neighbours_{name}"][row] == pytest.approx(
                strength[known.n_history :] - past, abs=1e-5
            )


def test_without_a_shelf_there_are_no_columns(chain):
    known = known_at(chain, ORIGIN, HORIZON)
    groups = groups_of(chain.series)
    levels = levels_at(known, groups["category"], groups["shelf"])
    assert neighbours_at(known, levels, chain.series) == {}


def test_its_own_promotion_is_not_its_neighbours(chain):
    series = chain.series.assign(subcategory=chain.series["category"])
    alone = np.zeros_like(chain.promo)
    alone[0] = chain.promo[0]
    known = known_at(replace(chain, promo=alone), ORIGIN, HORIZON)
    groups = groups_of(series)
    found = neighbours_at(known, levels_at(known, groups["category"], groups["shelf"]), series)
    assert not found["neighbours_recent"][0].any()
