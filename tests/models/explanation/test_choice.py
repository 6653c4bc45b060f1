"""Which facts are told, checked against the rule as written."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.explanation.choice import choose

TOPICS = ["trend", "trend", "login", "tickets", "rating", "renewal", "plan"]
THEMES = ["usage", "usage", "usage", "support", "support", "contract", "contract"]
ANY = np.zeros((1, 7), dtype=np.int8)


def told(weights, readings=ANY, top=3):
    found = choose(np.array([weights], dtype=float), TOPICS, THEMES, np.asarray(readings, np.int8), top=top)
    return list(zip(found.feature[0].tolist(), found.effect[0].tolist(), strict=True))


def test_one_per_raising_theme_by_the_sum_of_the_theme():
    # usage 1.7 (trend 1.0 + login 0.7), support 1.2, contract 0.3: themes in this order, login after them.
    assert told([0.6, 0.4, 0.7, 1.2, 0, 0.3, 0], top=4) == [(0, 1), (3, 1), (5, 1), (2, 1)]


def test_further_topics_come_before_protective_ones():
    assert told([0.6, 0, 0.2, -3, 0, 0, -1]) == [(0, 1), (2, 1), (3, -1)]


def test_a_fact_that_reads_the_other_way_is_not_told():
    good_trend = [[-1, 1, 0, 0, 0, 0, 0]]
    assert told([0.9, 0.1, 0, 0.2, 0, 0, 0], good_trend)[:2] == [(1, 1), (3, 1)]
    both_good = [[-1, -1, 0, 0, 0, 0, 0]]
    first, second, _ = told([0.9, 0.1, 0, 0.2, 0, -0.1, 0], both_good)
    assert (first, second) == ((3, 1), (5, -1))


def test_small_effects_neither_raise_nor_lower():
    assert told([0.03, 0, 0, -0.04, 0, 0, 0]) == [(3, 0), (0, 0), (2, 0)]


def test_a_raising_topic_in_a_theme_that_lowers_is_told_after_raising_themes():
    assert told([0.3, 0, -2, 0.2, 0, 0, 0]) == [(3, 1), (0, 1), (2, -1)]


def test_it_does_not_stand_for_its_theme():
    assert told([0.3, 0, -2, 0.5, 0.4, 0, 0]) == [(3, 1), (4, 1), (0, 1)]


@given(st.integers(0, 10_000))
@settings(max_examples=100, deadline=None)
def test_topics_differ_and_effects_have_the_sign_of_the_topic(seed):
    rng = np.random.default_rng(seed)
    weights = rng.normal(0, 0.3, (20, 7)) * (rng.random((20, 7)) < 0.7)
    readings = rng.integers(-1, 2, (20, 7)).astype(np.int8)
    found = choose(weights, TOPICS, THEMES, readings)
    for row in range(20):
        topics = [TOPICS[i] for i in found.feature[row]]
        assert len(set(topics)) == 3
        sums = {topic: weights[row, [t == topic for t in TOPICS]].sum() for topic in TOPICS}
        for i, effect in zip(found.feature[row], found.effect[row], strict=True):
            total = sums[TOPICS[i]]
            if effect:
                assert np.sign(total) == effect
                assert abs(total) >= 0.05
                assert weights[row, i] * effect > 0
                assert readings[row, i] * effect >= 0
        # What raises comes first, then what lowers, then the rest.
        order = [{1: 0, -1: 1, 0: 2}[effect] for effect in found.effect[row]]
        assert order == sorted(order)
        # No raising topic with a plain reading is left out in favour of one that does not raise.
        could = {
            TOPICS[i]
            for i in range(7)
            if sums[TOPICS[i]] >= 0.05 and weights[row, i] > 0 and readings[row, i] >= 0
        }
        assert (found.effect[row] == 1).sum() == min(3, len(could))


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="at least 3 topics"):
        choose(np.zeros((1, 2)), ["a", "b"], ["x", "x"], np.zeros((1, 2), np.int8))
    with pytest.raises(ValueError, match="one theme"):
        choose(np.zeros((1, 4)), ["a", "b", "c", "a"], ["x", "x", "x", "y"], np.zeros((1, 4), np.int8))
