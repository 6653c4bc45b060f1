"""The gate of imputation: what passes, what is refused, and that luck and silence do not pass."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.evaluation.imputation_gate import Hidden, ModelFacts, judge_imputation

FACTS = ModelFacts(chains=6, converged=6, columns=10, left_out=1)


def hidden(error: float, *, coverage: float = 0.9, parts: int = 100, seed: int = 0) -> Hidden:
    """Ten cells of each part, with an error of that size and so many of them covered."""
    rng = np.random.default_rng(seed)
    n = 10 * parts
    covered = np.arange(n) % 100 < round(100 * coverage)
    return Hidden(np.repeat(np.arange(parts), 10), error * rng.standard_normal(n), rng.permutation(covered))


GOOD, MEAN = hidden(0.6), hidden(1.0, seed=1)


def failed(verdict: object) -> set[str]:
    return {check.name for check in verdict.checks if not check.passed}  # type: ignore[attr-defined]


def test_a_good_model_passes_with_its_figures_in_words() -> None:
    verdict = judge_imputation(GOOD, FACTS, baselines={"mean": MEAN}, champion=hidden(0.6, seed=2))
    assert verdict.outcome == "pass"
    assert "90.0% of the hidden cells" in verdict.words
    assert "6 of 6 chains converged" in verdict.words


@pytest.mark.parametrize(
    ("change", "facts", "name"),
    [
        ({"coverage": 0.80}, FACTS, "coverage_90"),
        ({"coverage": 0.99}, FACTS, "coverage_90"),
        ({"error": 1.0}, FACTS, "error_against_mean"),
        ({}, replace(FACTS, converged=5), "converged"),
        ({}, replace(FACTS, left_out=3), "left_out"),
        ({}, replace(FACTS, unexplained=("etch.depth",)), "left_out"),
    ],
)
def test_each_ground_of_refusal_stands_alone(change: dict[str, float], facts: ModelFacts, name: str) -> None:
    verdict = judge_imputation(hidden(**{"error": 0.6, **change}), facts, baselines={"mean": MEAN})
    assert (verdict.outcome, failed(verdict)) == ("refused", {name})


def test_too_few_cells_decide_nothing() -> None:
    few = hidden(0.6, parts=20)
    verdict = judge_imputation(few, FACTS, baselines={"mean": hidden(1.0, parts=20, seed=1)})
    assert verdict.outcome == "not enough evidence"


def test_a_lucky_win_over_means_is_refused() -> None:
    """Slightly better on the cells at hand, but not beyond what parts scatter."""
    verdict = judge_imputation(hidden(0.99), FACTS, baselines={"mean": hidden(1.0, seed=1)}, n_replicates=300)
    assert "error_against_mean" in failed(verdict)


def test_a_champion_must_not_be_better_beyond_noise() -> None:
    verdict = judge_imputation(GOOD, FACTS, baselines={"mean": MEAN}, champion=hidden(0.3, seed=3))
    assert failed(verdict) == {"error_against_champion"}


def test_candidates_must_have_the_same_cells() -> None:
    with pytest.raises(ValueError, match="hidden cells of mean"):
        judge_imputation(GOOD, FACTS, baselines={"mean": hidden(1.0, parts=50)})
