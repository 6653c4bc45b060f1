"""The verdict on forecasts: what passes, what is refused, and on which grounds."""

import dataclasses

import numpy as np
import pytest

from models.evaluation.forecast_gate import Errors, ForecastThresholds, judge_forecasts


def errors(noise: float, *, products: int = 60, bias: float = 0.0, seed: int = 0) -> Errors:
    rng = np.random.default_rng(seed)
    quantity = np.random.default_rng(42).gamma(2.0, 100.0, products)  # the same days for all candidates
    signed = quantity * (bias + rng.normal(0, 0.02, products))
    absolute = np.maximum(quantity * noise * rng.uniform(0.8, 1.2, products), np.abs(signed))
    product = np.array([f"P{i}" for i in range(products)])
    return Errors(product, np.full(products, "all"), absolute, signed, quantity)


def verdict(challenger: Errors, **options: object):  # type: ignore[no-untyped-def]
    given = {"coverage_80": 0.8, "baselines": {"seasonal_naive": errors(0.4, seed=1)}, "n_replicates": 200}
    return judge_forecasts(challenger, **{**given, **options})  # type: ignore[arg-type]


def test_better_forecasts_pass_and_the_words_say_why() -> None:
    found = verdict(errors(0.25))
    assert found.outcome == "pass"
    assert "is better than" in found.words
    assert "WAPE 0.2" in found.words


def test_forecasts_no_better_than_the_baseline_are_refused() -> None:
    found = verdict(errors(0.4, seed=2))
    assert found.outcome == "refused"
    assert "not better beyond noise" in found.words


def test_bias_is_refused_even_when_the_error_is_small() -> None:
    assert verdict(errors(0.25, bias=0.153)).outcome == "refused"
    assert verdict(errors(0.25, bias=0.153), thresholds=ForecastThresholds(max_bias=0.2)).outcome == "pass"


def test_a_group_that_is_surely_biased_is_refused_though_the_total_is_right() -> None:
    given = errors(0.25)
    group = np.where(np.arange(60) < 40, "regular", "sparse")
    signed = given.signed + given.quantity * np.where(group == "sparse", -0.3, 0.15)
    mixed = dataclasses.replace(
        given, group=group, signed=signed, absolute=np.maximum(given.absolute, np.abs(signed))
    )
    found = verdict(mixed)
    assert [check.name for check in found.checks if not check.passed] == ["bias_sparse"]
    assert "surely beyond 0.15" in found.words


@pytest.mark.parametrize("coverage", [0.5, 0.99])
def test_intervals_that_do_not_cover_are_refused(coverage: float) -> None:
    found = verdict(errors(0.25), coverage_80=coverage)
    assert [check.name for check in found.checks if not check.passed] == ["coverage_80"]


def test_few_products_decide_nothing() -> None:
    few = {"baselines": {"seasonal_naive": errors(0.4, products=5, seed=1)}}
    found = verdict(errors(0.25, products=5), **few)
    assert found.outcome == "not enough evidence"


def test_the_champion_stays_only_if_the_challenger_is_worse_beyond_noise() -> None:
    assert verdict(errors(0.25), champion=errors(0.25, seed=5)).outcome == "pass"
    worse = verdict(errors(0.30), champion=errors(0.20, seed=5))
    assert worse.outcome == "refused"
    assert "worse than the champion" in worse.words


def test_the_interval_is_that_of_drawing_products() -> None:
    ours, theirs = errors(0.25), errors(0.4, seed=1)
    found = verdict(ours, baselines={"naive": theirs}, n_replicates=2000)
    check = next(check for check in found.checks if check.name == "wape_against_naive")
    rng = np.random.default_rng(9)
    drawn = [rng.integers(0, 60, 60) for _ in range(2000)]
    saved = theirs.absolute - ours.absolute
    replicates = [saved[rows].sum() / ours.quantity[rows].sum() for rows in drawn]
    low, high = np.quantile(replicates, [0.05, 0.95])
    assert check.low == pytest.approx(low, rel=0.05)
    assert check.high == pytest.approx(high, rel=0.05)


def test_rows_of_another_order_are_refused() -> None:
    ours = errors(0.25)
    other = dataclasses.replace(ours, product=ours.product[::-1])
    with pytest.raises(ValueError, match="errors of seasonal_naive must have the challenger's rows"):
        verdict(ours, baselines={"seasonal_naive": other})
