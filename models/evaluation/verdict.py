"""Verdicts of a gate: what was checked, what came of it, and the grounds in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from models.evaluation.bootstrap import Interval

Outcome = Literal["pass", "refused", "not enough evidence"]


@dataclass(frozen=True)
class Check:
    """One thing the gate looked at.

    Attributes
    ----------
    name : str
        For instance ``auc_pr`` or ``auc_pr_against_champion``.
    value : float
        What was found.
    low, high : float or None
        Interval of ``value``, where it has one.
    threshold : float
        What it was compared with.
    passed : bool
    words : str
        The same as a sentence.
    """

    name: str
    value: float
    low: float | None
    high: float | None
    threshold: float
    passed: bool
    words: str


@dataclass(frozen=True)
class Verdict:
    """What the gate decided, and why.

    Attributes
    ----------
    outcome : {'pass', 'refused', 'not enough evidence'}
    checks : tuple of Check
        Everything that was looked at, in order.
    words : str
        A paragraph for people: the decision, then the checks that led to it.
    """

    outcome: Outcome
    checks: tuple[Check, ...]
    words: str


def decide(checks: list[Check]) -> Verdict:
    """Draw the verdict from the checks.

    Parameters
    ----------
    checks
        The first says whether there is enough evidence: if not, nothing is decided.
    """
    failed = [check for check in checks if not check.passed]
    outcome: Outcome
    if not checks[0].passed:
        outcome, head, grounds = "not enough evidence", "Not enough evidence: ", [checks[0]]
    elif failed:
        outcome, head, grounds = "refused", "Refused: ", failed
    else:
        outcome, head, grounds = "pass", "Passed: ", checks
    words = head + "; ".join(check.words for check in grounds) + "."
    rest = [check for check in checks if check not in grounds]
    if rest:
        words += " Also seen: " + "; ".join(check.words for check in rest) + "."
    return Verdict(outcome, tuple(checks), words)


def signed(difference: Interval) -> str:
    """Word a difference with its interval."""
    return f"{difference.value:+.3f}, between {difference.low:+.3f} and {difference.high:+.3f}"
