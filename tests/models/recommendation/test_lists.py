"""Sets of names as text and as flags."""

from __future__ import annotations

import numpy as np

from models.recommendation.lists import flags_of, names_in


def test_flags_are_those_of_the_text() -> None:
    column = ["b|a", "", None, "c", "b|a"]
    assert names_in(column, ["d"]) == ("a", "b", "c", "d")
    flags = flags_of(column, ("a", "b", "c"))
    np.testing.assert_array_equal(flags, [[1, 1, 0], [0, 0, 0], [0, 0, 0], [0, 0, 1], [1, 1, 0]])


def test_names_that_nobody_asked_for_are_left_out() -> None:
    np.testing.assert_array_equal(flags_of(["a|new"], ("a",)), [[True]])
