"""Affinity of holdings, against Bayes' rule by hand."""

from __future__ import annotations

import numpy as np
import pytest

from models.recommendation.affinity import Affinity


def test_of_two_products_it_is_the_share_of_holders() -> None:
    """With one other product, independence is no assumption: counting gives the same."""
    rng = np.random.default_rng(0)
    card = rng.random(40_000) < 0.5
    held = np.column_stack([card, rng.random(40_000) < np.where(card, 0.4, 0.1)])
    found = Affinity(held).of(held)
    assert found[card, 1].mean() == pytest.approx(held[card, 1].mean(), abs=0.001)
    assert found[~card, 1].mean() == pytest.approx(held[~card, 1].mean(), abs=0.001)


def test_the_product_itself_and_rare_ones_decide_nothing() -> None:
    held = np.zeros((1_000, 3), dtype=np.bool_)
    held[:500, 0] = True
    held[0, 2] = True
    affinity = Affinity(held)
    with_own, without = np.array([[True, False, False]]), np.array([[False, False, False]])
    assert affinity.of(with_own)[0, 0] == affinity.of(without)[0, 0]
    assert np.isfinite(affinity.of(held)).all()
    assert affinity.of(with_own)[0, 2] < 0.02
