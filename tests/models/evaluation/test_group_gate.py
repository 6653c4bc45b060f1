"""The gate of groups: each condition decides, and the words say which."""

from __future__ import annotations

import numpy as np
import pytest

from models.evaluation.group_gate import GroupThresholds, judge_groups

LIMITS = GroupThresholds(min_stores=20, min_silhouette=0.1, min_stability=0.6, max_unstable_share=0.3)
RNG = np.random.default_rng(0)
CLEAR, STABLE = RNG.normal(0.3, 0.1, 60), np.full(60, 0.8)
CLEAR += 0.3 - CLEAR.mean()
FORMATS = CLEAR - 0.1


def judged(silhouettes=CLEAR, stability=STABLE, formats=FORMATS, champion=None):
    return judge_groups(
        silhouettes,
        stability,
        baselines={"store_type": formats},
        champion=champion,
        thresholds=LIMITS,
        n_replicates=200,
    )


def test_clear_and_stable_groups_serve() -> None:
    verdict = judged(champion=CLEAR)
    assert verdict.outcome == "pass"
    assert "60 stores" in verdict.words
    assert [check.name for check in verdict.checks] == [
        "stores", "silhouette", "stability", "unstable_share", "silhouette_against_store_type",
        "silhouette_against_champion",
    ]  # fmt: skip


def test_few_stores_decide_nothing() -> None:
    few = judged(CLEAR[:19], STABLE[:19], FORMATS[:19])
    assert few.outcome == "not enough evidence"
    assert judged(CLEAR[:20], STABLE[:20], FORMATS[:20]).outcome == "pass"


@pytest.mark.parametrize(
    ("change", "failed"),
    [
        ({"silhouettes": CLEAR - 0.19, "formats": FORMATS - 0.4}, "silhouette"),
        ({"stability": np.full(60, 0.59)}, "stability"),
        ({"stability": np.where(np.arange(60) < 19, 0.5, 0.9)}, "unstable_share"),
        ({"formats": CLEAR}, "silhouette_against_store_type"),
        ({"champion": CLEAR + 0.1}, "silhouette_against_champion"),
    ],
)
def test_each_condition_refuses(change, failed: str) -> None:
    verdict = judged(**change)
    assert verdict.outcome == "refused"
    assert failed in {check.name for check in verdict.checks if not check.passed}


def test_a_lucky_silhouette_is_not_enough() -> None:
    """The lower end of the interval must clear the threshold, not the mean."""
    noisy = np.random.default_rng(1).normal(0.12, 0.5, 60)
    noisy += 0.11 - noisy.mean()
    check = next(c for c in judged(noisy, formats=noisy - 0.2).checks if c.name == "silhouette")
    assert check.value == pytest.approx(0.11)
    assert not check.passed


def test_the_interval_is_that_of_a_mean() -> None:
    """The bootstrap of a mean has the standard error of the mean."""
    check = judged().checks[1]
    half = 1.645 * CLEAR.std() / np.sqrt(60)
    assert (check.low, check.high) == pytest.approx((CLEAR.mean() - half, CLEAR.mean() + half), abs=0.006)


def test_other_stores_are_refused() -> None:
    with pytest.raises(ValueError, match="store_type must have the challenger's 60 stores, got 59"):
        judged(formats=FORMATS[:59])
