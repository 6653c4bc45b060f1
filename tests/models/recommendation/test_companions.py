"""Held products that speak for another."""

from __future__ import annotations

import numpy as np
import pytest

from models.recommendation.companions import Companions


def test_lift_and_choice_are_those_of_counts() -> None:
    H = np.array([[1, 1, 0], [1, 1, 0], [1, 0, 1], [0, 0, 1], [0, 0, 1], [1, 1, 1]], dtype=bool)
    made = Companions(H)
    assert made.lift[1, 0] == pytest.approx((3 / 4) / (3 / 6))
    assert made.lift[2, 0] == pytest.approx((2 / 4) / (4 / 6))
    held = np.array([[1, 0, 1], [1, 0, 0], [0, 0, 0], [1, 1, 0], [1, 0, 0]], dtype=bool)
    found = made.of(held, np.array([1, 1, 1, 2, -1]))
    # Product 2 is held less often beside 1, so that only 0 speaks for it; nothing speaks for nothing.
    np.testing.assert_array_equal(found, [[0, -1], [0, -1], [-1, -1], [-1, -1], [-1, -1]])
