"""The go/no-go decision for a new model, with its grounds in words.

A threshold must be cleared by the *lower bound* of the metric's interval, not by the metric: a model whose
true quality is exactly at the threshold would clear it by luck half of the time. The bound used is the
lower end of the 90 % bootstrap interval, that is a one-sided 95 % bound: such a model passes one time in
twenty. A stricter bound would keep good models out for want of labels (a recall of 62 % on 400 events is
known to about four points), a laxer one would let luck in every few months, since a gate is faced monthly.

Against the champion the burden of proof is reversed: both were judged on the same rows, a fresher model is
preferred, and it is refused only if it is worse beyond noise (the whole interval of the difference is below
zero). A baseline, in contrast, must be beaten beyond noise: what a simple rule does as well needs no model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.evaluation.bootstrap import LEVEL, Interval, bootstrap_metrics, paired_difference
from models.evaluation.verdict import Check, Verdict, decide, signed

LABELS = {"auc_pr": "AUC-PR", "recall_at_top20": "Recall@top20 %"}


@dataclass(frozen=True)
class Thresholds:
    """What a model must reach before it may serve.

    Attributes
    ----------
    auc_pr, recall_at_top20 : float
        Least lower bound of the metric's interval (exclusive).
    scoring_seconds, scoring_accounts : float, int
        Most seconds for scoring that many accounts.
    min_positives : int
        Fewest accounts that churned in the judged months. With 100, recall is known to about eight
        points: the distance between a good model (62 %) and the threshold (55 %).
    level : float
        Share of replicates inside the intervals; 0.9 makes one-sided 95 % bounds.
    """

    auc_pr: float = 0.65
    recall_at_top20: float = 0.55
    scoring_seconds: float = 120.0
    scoring_accounts: int = 15_000
    min_positives: int = 100
    level: float = LEVEL


def judge(
    y: Any,
    score: Any,
    clusters: Any,
    *,
    scoring_seconds: float,
    scored_accounts: int,
    baselines: Mapping[str, Any] | None = None,
    champion: Any = None,
    thresholds: Thresholds | None = None,
    n_replicates: int = 1000,
    seed: int = 0,
) -> Verdict:
    """Decide whether a model may serve, from its out-of-time predictions.

    Parameters
    ----------
    y, score, clusters : array-like of shape (n,)
        Outcome, probability given by the challenger, and account of each out-of-time row.
    scoring_seconds, scored_accounts : float, int
        Measured time for scoring so many accounts; scaled in proportion to the budget's accounts.
    baselines : mapping of str to array-like of shape (n,), optional
        Scores of simpler rules on the same rows; each must be beaten in AUC-PR beyond noise.
    champion : array-like of shape (n,), optional
        Scores of the serving model on the same rows.

    Raises
    ------
    ValueError
        ``scored_accounts`` is not positive, or arrays differ in length.
    """
    limits = thresholds or Thresholds()
    if scored_accounts < 1:
        raise ValueError(f"scored_accounts must be at least 1, got {scored_accounts}")
    events = np.asarray(y, dtype=bool)
    churned = len(np.unique(np.asarray(clusters)[events]))
    checks = [_enough(churned, limits)]
    found = bootstrap_metrics(
        events, score, clusters, n_replicates=n_replicates, level=limits.level, seed=seed
    )
    for name in ("auc_pr", "recall_at_top20"):
        checks.append(_reaches(name, found[name], getattr(limits, name)))
    for label, other in (baselines or {}).items():
        difference = paired_difference(
            events, score, other, clusters, n_replicates=n_replicates, level=limits.level, seed=seed
        )
        checks.append(_beats(label, difference["auc_pr"]))
    if champion is not None:
        difference = paired_difference(
            events, score, champion, clusters, n_replicates=n_replicates, level=limits.level, seed=seed
        )
        checks.extend(_no_worse(name, difference[name]) for name in LABELS)
    checks.append(_fast_enough(scoring_seconds, scored_accounts, limits))
    return decide(checks)


def _enough(churned: int, limits: Thresholds) -> Check:
    passed = churned >= limits.min_positives
    words = (
        f"{churned:,} accounts churned in the judged months, "
        f"{'enough' if passed else 'too few'} to judge (at least {limits.min_positives:,} are needed)"
    )
    return Check("positives", churned, None, None, limits.min_positives, passed, words)


def _reaches(name: str, found: Interval, threshold: float) -> Check:
    passed = found.low > threshold
    words = f"{LABELS[name]} is {found}"
    if passed:
        words += f", above {threshold:g} even at the lower end"
    elif found.value > threshold:
        words += f": above {threshold:g}, but so little that luck could explain it"
    else:
        words += f": not above {threshold:g}"
    return Check(name, found.value, found.low, found.high, threshold, passed, words)


def _beats(label: str, difference: Interval) -> Check:
    passed = difference.low > 0
    how = "better than" if passed else "not better beyond noise than"
    words = f"{how} the baseline {label!r} (AUC-PR {signed(difference)})"
    return Check(
        f"auc_pr_against_{label}", difference.value, difference.low, difference.high, 0.0, passed, words
    )


def _no_worse(name: str, difference: Interval) -> Check:
    # An undefined bound proves nothing, neither that it is worse; the count of events decides then.
    passed = not difference.high < 0
    how = "not worse than the champion beyond noise" if passed else "worse than the champion"
    words = f"{how} ({LABELS[name]} {signed(difference)})"
    return Check(
        f"{name}_against_champion", difference.value, difference.low, difference.high, 0.0, passed, words
    )


def _fast_enough(seconds: float, accounts: int, limits: Thresholds) -> Check:
    scaled = seconds * limits.scoring_accounts / accounts
    passed = scaled < limits.scoring_seconds
    words = (
        f"scoring {limits.scoring_accounts:,} accounts takes {scaled:.1f} s, "
        f"{'within' if passed else 'over'} the budget of {limits.scoring_seconds:g} s"
    )
    return Check("scoring_seconds", scaled, None, None, limits.scoring_seconds, passed, words)
