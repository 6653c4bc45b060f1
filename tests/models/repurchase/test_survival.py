"""Kaplan-Meier on a grid."""

from __future__ import annotations

import numpy as np
import pytest

from models.repurchase import survival
from models.repurchase.survival import survival_curve

#: Weeks of remission of leukaemia under 6-MP (Freireich et al. 1963); censored ones apart.
ENDED = [6, 6, 6, 7, 10, 13, 16, 22, 23]
CENSORED = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]

#: The curve that every textbook prints for them.
TEXTBOOK = {5: 1.0, 6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448, 35: 0.448}


def test_the_textbook_curve(monkeypatch):
    monkeypatch.setattr(survival, "MIN_AT_RISK", 1)
    time = np.array(ENDED + CENSORED, dtype=float)
    ended = np.arange(len(time)) < len(ENDED)
    found = survival_curve(time, ended, np.array(list(TEXTBOOK), dtype=float))
    np.testing.assert_allclose(found, list(TEXTBOOK.values()), atol=5e-4)


def test_finds_the_true_share_through_censoring():
    rng = np.random.default_rng(1)
    wait, seen = rng.exponential(10, 20_000), rng.uniform(0, 25, 20_000)
    found = survival_curve(np.minimum(wait, seen), wait <= seen, np.array([5.0, 10.0, 20.0]))
    np.testing.assert_allclose(found, np.exp([-0.5, -1.0, -2.0]), atol=0.012)


def test_stays_level_where_few_are_left():
    time = np.arange(1.0, 21.0)
    found = survival_curve(time, np.ones(20, dtype=bool), np.array([0.0, 11.0, 15.0, 30.0]))
    assert found.tolist() == pytest.approx([1.0, 9 / 20, 9 / 20, 9 / 20])


def test_nobody_nothing_known():
    assert survival_curve(np.empty(0), np.empty(0, dtype=bool), np.array([1.0, 2.0])).tolist() == [1.0, 1.0]
