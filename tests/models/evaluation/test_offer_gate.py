"""The gate of offers: each condition decides, and the words say which."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from models.evaluation.bootstrap import Interval
from models.evaluation.offer_gate import Lists, OfferThresholds, judge_offers, judge_product

N = 4_000
RNG = np.random.default_rng(0)
CHANCE = RNG.beta(0.5, 9.0, (N, 10))
TAKEN = RNG.random((N, 10)) < CHANCE
CUSTOMER = np.arange(N)
LIMITS = OfferThresholds(min_takers=200, min_events=50)


def judged(chance=CHANCE, champion=None):
    return [
        judge_product(
            f"product {j}",
            TAKEN[:, j],
            chance[:, j],
            CUSTOMER,
            champion=None if champion is None else champion[:, j],
            n_replicates=100,
        )
        for j in range(chance.shape[1])
    ]


PRODUCTS = judged()
VALUE = np.where(TAKEN.any(axis=1), RNG.random(N) < 0.5, np.nan)
LISTS = Lists(
    CUSTOMER,
    {"challenger": VALUE, "popularity": VALUE * (RNG.random(N) < 0.7)},
    RNG.integers(0, 10, (N, 3)),
    10,
)


def test_good_chances_and_lists_serve() -> None:
    verdict = judge_offers(PRODUCTS, LISTS, thresholds=LIMITS, n_replicates=100)
    assert verdict.outcome == "pass", verdict.words
    assert [check.name for check in verdict.checks] == [
        "takers", "average_precision", "calibration", "map3_against_popularity", "coverage",
    ]  # fmt: skip
    assert "for 10 of 10 products" in verdict.words


def test_the_numbers_of_a_product_are_the_text_books() -> None:
    found = PRODUCTS[0]
    assert found.ap.value == pytest.approx(average_precision_score(TAKEN[:, 0], CHANCE[:, 0]))
    assert found.rate == TAKEN[:, 0].mean()
    assert found.calibration.value == pytest.approx(TAKEN[:, 0].sum() / CHANCE[:, 0].sum())
    assert found.calibration.low < 1 < found.calibration.high


def test_few_takers_decide_nothing() -> None:
    value = {name: np.where(np.arange(N) < 300, values, np.nan) for name, values in LISTS.value.items()}
    few = judge_offers(PRODUCTS, replace(LISTS, value=value), thresholds=LIMITS)
    assert few.outcome == "not enough evidence"
    rare = judge_offers(PRODUCTS, LISTS, thresholds=replace(LIMITS, min_events=N))
    assert rare.outcome == "not enough evidence"


#: Chances of which the first two products' are wrong: of ten, one may fail.
def spoilt(change) -> np.ndarray:
    return np.where(np.arange(10) < 2, change(CHANCE), CHANCE)


@pytest.mark.parametrize(
    ("products", "lists", "failed"),
    [
        (judged(spoilt(lambda c: np.full_like(c, 0.05))), LISTS, "average_precision"),
        (judged(spoilt(lambda c: c * 0.5)), LISTS, "calibration"),
        (judged(spoilt(lambda c: c * 2.0)), LISTS, "calibration"),
        (
            PRODUCTS,
            replace(LISTS, value={"challenger": VALUE, "popularity": VALUE}),
            "map3_against_popularity",
        ),
        (PRODUCTS, replace(LISTS, product=LISTS.product % 4), "coverage"),
        (
            judged(spoilt(lambda c: c * (RNG.random(c.shape) < 0.5)), champion=CHANCE),
            LISTS,
            "average_precision_against_champion",
        ),
        (
            PRODUCTS,
            replace(LISTS, value={**LISTS.value, "champion": VALUE + 0.1}),
            "map3_against_champion",
        ),
    ],
)
def test_each_condition_refuses(products, lists, failed: str) -> None:
    verdict = judge_offers(products, lists, thresholds=LIMITS, n_replicates=100)
    assert verdict.outcome == "refused"
    assert failed in {check.name for check in verdict.checks if not check.passed}


def test_one_product_of_ten_may_fail() -> None:
    one = [*judged(CHANCE * 0.5)[:1], *PRODUCTS[1:]]
    verdict = judge_offers(one, LISTS, thresholds=LIMITS, n_replicates=100)
    assert verdict.outcome == "pass"
    assert "not for product 0" in verdict.words


def test_a_lucky_product_does_not_rank() -> None:
    """The lower end of the interval must clear the threshold, not the estimate."""
    lucky = replace(PRODUCTS[0], rate=0.05, ap=Interval(0.09, 0.055, 0.12))
    assert not lucky.ranks(LIMITS)
    assert replace(lucky, ap=Interval(0.09, 0.061, 0.12)).ranks(LIMITS)


def test_the_champion_need_not_be_beaten() -> None:
    lists = replace(LISTS, value={**LISTS.value, "champion": VALUE})
    verdict = judge_offers(judged(champion=CHANCE), lists, thresholds=LIMITS, n_replicates=100)
    assert verdict.outcome == "pass"
    assert verdict.checks[-1].name == "map3_against_champion"
