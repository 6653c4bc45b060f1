"""The gate of predicted orders."""

from __future__ import annotations

import numpy as np
import pytest

from models.repurchase.gate import Judged, NextOrderThresholds, judge_next_orders

CUSTOMERS = np.arange(600)
RNG = np.random.default_rng(1)
ERROR = RNG.gamma(2, 2, 600)
F1 = RNG.beta(2, 4, 600)


def judged(**changes):
    """A challenger that should pass, with changes."""
    parts = {
        "dates": {"challenger": ERROR, "median_gap": ERROR + 1, "bgnbd": ERROR, "champion": ERROR + 0.1},
        "lists": {"challenger": F1, "last_order": F1 - 0.05, "most_frequent": F1 - 0.03, "champion": F1},
        "coverage": 0.8,
        "return_bias": 0.02,
        "product_bias": 0.05,
        "customers": CUSTOMERS,
    } | changes
    who = parts["customers"]
    lists = parts["lists"]
    return judge_next_orders(
        Judged(who, {name: value[: len(who)] for name, value in parts["dates"].items()}),
        None if lists is None else Judged(who, {name: v[: len(who)] for name, v in lists.items()}),
        coverage=parts["coverage"],
        return_bias=parts["return_bias"],
        product_bias=parts["product_bias"],
        thresholds=NextOrderThresholds(),
        n_replicates=100,
    )


def test_a_good_challenger_passes():
    verdict = judged()
    assert verdict.outcome == "pass", verdict.words
    assert "better than 4" in verdict.words or "better than" in verdict.words


def test_bgnbd_may_know_days_a_little_better_but_no_rule_may():
    slightly = ERROR - 0.02 * ERROR.mean()
    assert judged(dates={"challenger": ERROR, "bgnbd": slightly}).outcome == "pass"
    assert judged(dates={"challenger": ERROR, "champion": slightly}).outcome == "refused"
    assert judged(dates={"challenger": ERROR, "median_gap": slightly}).outcome == "refused"


def test_a_shop_without_lines_is_judged_by_dates_alone():
    verdict = judged(lists=None)
    assert verdict.outcome == "pass"
    assert "no order lines" in verdict.words


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"dates": {"challenger": ERROR, "median_gap": ERROR}}, "days_against_median_gap"),
        ({"dates": {"challenger": ERROR + 1, "bgnbd": ERROR}}, "days_against_bgnbd"),
        ({"lists": {"challenger": F1, "last_order": F1}}, "f1_against_last_order"),
        ({"lists": {"challenger": F1 - 0.02, "champion": F1}}, "f1_against_champion"),
        ({"coverage": 0.5}, "coverage"),
        ({"coverage": 0.99}, "coverage"),
        ({"return_bias": -0.2}, "return_bias"),
        ({"product_bias": 0.5}, "product_bias"),
    ],
)
def test_each_ground_refuses_alone(changes, check):
    verdict = judged(**changes)
    assert verdict.outcome == "refused"
    assert [one.name for one in verdict.checks if not one.passed] == [check]


def test_a_gain_that_could_be_luck_is_none():
    noisy = F1 + RNG.normal(0, 0.5, 600) - 0.002
    assert judged(lists={"challenger": F1, "most_frequent": noisy}).outcome == "refused"


def test_few_returns_decide_nothing():
    verdict = judged(customers=CUSTOMERS[:50])
    assert verdict.outcome == "not enough evidence"
    assert len(verdict.checks) == 1
