"""Cells of which only a limit is known, and values that pile up at the end of what an instrument measures."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models.imputation.limits import Limited, drawn_within, hold_limits, limit_priors

NAN = float("nan")
DESCRIBED = pd.DataFrame(
    {
        "kind": ["numeric", "numeric", "nominal", "ordinal"],
        "scale": ["identity", "log", "identity", "identity"],
        "low": [0.0, 0.0, NAN, 1.0],
        "high": [10.0, NAN, NAN, 5.0],
    }
)
VALUES = pd.DataFrame(
    {
        "depth": [1.0, NAN, 3.0, NAN, 5.0],
        "dust": [0.5, 2.0, NAN, 8.0, 1.0],
        "tool": ["a", None, "b", "a", "b"],
        "grade": [1.0, 2.0, 3.0, NAN, 5.0],
    }
)
LIMITED = Limited(np.array([1, 2]), np.array([0, 1]), np.array([0.5, 9.0]), np.array([True, False]))


def test_a_cell_beyond_a_limit_is_expected_next_to_it():
    below, above = limit_priors(VALUES, DESCRIBED, LIMITED)
    assert (below.row, below.column, above.row, above.column) == (1, "depth", 2, "dust")
    spread = VALUES["depth"].std(ddof=0)
    assert below.mean == pytest.approx(0.5 - 0.75 * spread)
    assert above.mean > np.log(9.0)
    alike = VALUES.assign(depth=[1.0, NAN, 1.0, NAN, 1.0])
    assert [prior.column for prior in limit_priors(alike, DESCRIBED, LIMITED)] == ["dust"]


def test_draws_are_put_onto_the_limit_that_they_crossed_and_what_was_measured_stays():
    drawn = VALUES.assign(
        depth=[1.0, 2.0, 3.0, 12.0, 5.0],
        dust=[0.5, 2.0, 4.0, 8.0, 1.0],
        tool=["a", "a", "b", "a", "b"],
        grade=[1.0, 2.0, 3.0, 0.2, 5.0],
    )
    held = hold_limits(VALUES, DESCRIBED, LIMITED, drawn)
    assert held["depth"].tolist() == [1.0, 0.5, 3.0, 10.0, 5.0]
    assert held["dust"].tolist() == [0.5, 2.0, 9.0, 8.0, 1.0]
    assert held["grade"].tolist() == [1.0, 2.0, 3.0, 1.0, 5.0]
    odd = VALUES.assign(depth=[-1.0, NAN, 3.0, NAN, 5.0])
    assert (
        hold_limits(odd, DESCRIBED, LIMITED, drawn.assign(depth=[-1.0, 0.1, 3.0, 4.0, 5.0]))["depth"][0]
        == -1.0
    )


def test_limited_cells_follow_their_rows():
    taken = LIMITED.take(np.array([4, 2]), of=5)
    assert (taken.row.tolist(), taken.column.tolist(), taken.limit.tolist()) == ([1], [1], [9.0])


def test_a_bound_at_which_values_pile_up_is_not_drawn_within():
    assert drawn_within(VALUES, DESCRIBED) == {"depth": (0.0, 10.0)}, "the end of a scale is a bound already"
    heap = VALUES.assign(depth=[0.0, NAN, 3.0, NAN, 5.0])
    assert drawn_within(heap, DESCRIBED) == {"depth": (None, 10.0)}
