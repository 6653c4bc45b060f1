"""The go/no-go decision for predicted orders, with its grounds in words.

Dates are judged by the absolute error of customers who came back, lists by their F1 per order. Customers are drawn
whole. A simple rule must be beaten beyond noise. BG/NBD is a model, not a rule: of customers who come back soon it
knows the day about as well as anything can, so it may be better beyond noise by a few percent at most. The serving
champion may not be better beyond noise at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.evaluation.bootstrap import LEVEL, Interval
from models.evaluation.ratios import ratio_interval
from models.evaluation.verdict import Check, Verdict, decide, signed

Floats = NDArray[np.float64]


#: Candidates that a challenger need not beat, but may not fall behind, with their names in words.
PEERS = {"champion": "the champion", "bgnbd": "BG/NBD"}


@dataclass(frozen=True)
class Judged:
    """What every candidate did on the same rows.

    Attributes
    ----------
    customer : ndarray of shape (n,)
        Whose row it is.
    value : mapping of str to ndarray of shape (n,)
        Absolute error in days, or F1, by candidate; ``challenger`` is one.
    """

    customer: NDArray[Any]
    value: Mapping[str, Floats]

    def __len__(self) -> int:
        return len(self.customer)


@dataclass(frozen=True)
class NextOrderThresholds:
    """What predictions must reach before they may serve.

    Attributes
    ----------
    min_returns, min_lists : int
        Fewest customers who came back, and lists, that are judged.
    coverage : tuple of float
        Least and largest share of the returns inside their window of 80 %.
    max_return_bias : float
        Largest difference between the mean probability of a return and the share that returned.
    max_product_bias : float
        The same of products, as a share of the products bought.
    bgnbd_margin : float
        Part of its error by which BG/NBD may be better.
    level : float
        Share of replicates inside the intervals; 0.9 makes one-sided 95 % bounds.
    """

    min_returns: int = 200
    min_lists: int = 200
    coverage: tuple[float, float] = (0.70, 0.90)
    max_return_bias: float = 0.10
    max_product_bias: float = 0.30
    bgnbd_margin: float = 0.05
    level: float = LEVEL


def judge_next_orders(
    dates: Judged,
    lists: Judged | None,
    *,
    coverage: float,
    return_bias: float,
    product_bias: float = 0.0,
    thresholds: NextOrderThresholds | None = None,
    n_replicates: int = 500,
    seed: int = 0,
) -> Verdict:
    """Decide whether predicted dates and lists may serve.

    Parameters
    ----------
    dates
        Absolute errors in days of customers who came back.
    lists
        F1 of lists; None if the shop delivers no order lines.
    coverage
        Share of the returns inside their window.
    return_bias, product_bias
        Mean probability less what came true: of returns, and of products as a share of those bought.
    """
    limits = thresholds or NextOrderThresholds()

    def better(judged: Judged, name: str, sign: int) -> Interval:
        """How much better the challenger is than another on average; positive is better."""
        gain = sign * (judged.value["challenger"] - judged.value[name])
        return ratio_interval(
            gain,
            np.ones(len(gain)),
            judged.customer,
            n_replicates=n_replicates,
            level=limits.level,
            seed=seed,
        )

    checks = [_enough(len(dates), None if lists is None else len(lists), limits)]
    if not checks[0].passed:
        return decide(checks)
    for judged, sign, unit in ((dates, -1, "days"), (lists, 1, "F1")):
        if judged is None:
            continue
        mean = {name: float(values.mean()) for name, values in judged.value.items()}
        for name in judged.value:
            if name in PEERS:
                allowed = limits.bgnbd_margin * mean[name] if name == "bgnbd" else 0.0
                checks.append(_no_worse(unit, name, better(judged, name, sign), allowed))
            elif name != "challenger":
                checks.append(_beats(unit, name, better(judged, name, sign), mean))
    checks.append(_covers(coverage, limits))
    checks.append(_true("return_bias", "probabilities of a return", return_bias, limits.max_return_bias))
    if lists is not None:
        checks.append(
            _true(
                "product_bias",
                "probabilities of products before calibration",
                product_bias,
                limits.max_product_bias,
            )
        )
    return decide(checks)


def _enough(returns: int, lists: int | None, limits: NextOrderThresholds) -> Check:
    passed = returns >= limits.min_returns and (lists is None or lists >= limits.min_lists)
    of_lists = "no lists (the shop delivers no order lines)" if lists is None else f"{lists:,} lists"
    words = (
        f"{returns:,} returns and {of_lists} are {'enough' if passed else 'too few'} to judge (at least "
        f"{limits.min_returns:,} and {limits.min_lists:,} are needed)"
    )
    return Check("returns", returns, None, None, limits.min_returns, passed, words)


def _beats(unit: str, label: str, gain: Interval, mean: Mapping[str, float]) -> Check:
    passed = bool(gain.low > 0)
    how = "better than" if passed else "not better beyond noise than"
    measure = "F1" if unit == "F1" else "error in days"
    words = (
        f"{measure} {mean['challenger']:.3f} is {how} {mean[label]:.3f} of {label!r} (gain {signed(gain)})"
    )
    return Check(f"{_name(unit)}_against_{label}", gain.value, gain.low, gain.high, 0.0, passed, words)


def _no_worse(unit: str, label: str, gain: Interval, allowed: float) -> Check:
    passed = not gain.high < -allowed
    more = f" and {allowed:.3f} more" if allowed else ""
    how = f"not worse than {PEERS[label]} beyond noise{more}" if passed else f"worse than {PEERS[label]}"
    measure = "F1" if unit == "F1" else "days saved"
    words = f"{how} ({measure} {signed(gain)})"
    return Check(f"{_name(unit)}_against_{label}", gain.value, gain.low, gain.high, -allowed, passed, words)


def _covers(coverage: float, limits: NextOrderThresholds) -> Check:
    low, high = limits.coverage
    passed = bool(low <= coverage <= high)
    words = f"windows of 80 % hold {coverage:.1%} of the returns, {'as' if passed else 'not as'} they should "
    words += f"(between {low:.0%} and {high:.0%})"
    return Check("coverage", coverage, None, None, low, passed, words)


def _true(name: str, what: str, bias: float, limit: float) -> Check:
    passed = bool(abs(bias) <= limit)
    words = f"{what} are {bias:+.1%} off on average, {'within' if passed else 'beyond'} {limit:.0%}"
    return Check(name, bias, None, None, limit, passed, words)


def _name(unit: str) -> str:
    return "f1" if unit == "F1" else "days"
