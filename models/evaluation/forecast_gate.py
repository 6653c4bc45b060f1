"""The go/no-go decision for new forecasts, with its grounds in words.

The error judged is the WAPE of all series and days together (sum of absolute errors over sum of sales), as
the users pay for units and not for percentages of slow movers. Its noise is estimated by drawing whole
products: the days and stores of a product are wrong together. As for classifiers, a simple rule must be
beaten beyond noise, and against the serving champion the burden of proof is reversed. No group of series may be surely
over- or underestimated: a total that is right can hide shelves that stay empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.evaluation.bootstrap import LEVEL, Interval, cluster_positions, draw_counts
from models.evaluation.verdict import Check, Verdict, decide, signed

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Errors:
    """Errors of one candidate's forecasts, summed over groups of days that belong to one product.

    Attributes
    ----------
    product, group : ndarray of shape (n,)
        Product of each row, and the group of series within which its bias is judged.
    absolute, signed, quantity : ndarray of shape (n,)
        Sums of absolute errors, of errors (forecast minus sales) and of sales, in units. All candidates
        of a verdict have the same rows.
    """

    product: Any
    group: Any
    absolute: Floats
    signed: Floats
    quantity: Floats

    @property
    def wape(self) -> float:
        """Sum of absolute errors over sum of sales."""
        return float(self.absolute.sum() / self.quantity.sum())


@dataclass(frozen=True)
class ForecastThresholds:
    """What forecasts must reach before they may serve.

    Attributes
    ----------
    max_bias : float
        Largest sum of errors, either way, as a share of the sales. The whole interval of all series together must keep
        it; that of a group must not lie beyond it.
    coverage : tuple of float
        Least and largest measured coverage of the 80 % intervals of single series.
    min_products : int
        Fewest products judged.
    level : float
        Share of replicates inside the intervals; 0.9 makes one-sided 95 % bounds.
    """

    max_bias: float = 0.15
    coverage: tuple[float, float] = (0.70, 0.92)
    min_products: int = 20
    level: float = LEVEL


def judge_forecasts(
    challenger: Errors,
    *,
    coverage_80: float,
    baselines: Mapping[str, Errors],
    champion: Errors | None = None,
    thresholds: ForecastThresholds | None = None,
    n_replicates: int = 1000,
    seed: int = 0,
) -> Verdict:
    """Decide whether a set of forecasting models may serve, from its errors on origins it never saw.

    Parameters
    ----------
    coverage_80
        Measured coverage of the 80 % intervals on the same origins.
    baselines
        Errors of simpler rules on the same rows; each must be beaten in WAPE beyond noise.
    champion
        Errors of the serving models on the same rows; the challenger must not be worse beyond noise.

    Raises
    ------
    ValueError
        A candidate has other rows than the challenger.
    """
    limits = thresholds or ForecastThresholds()
    for name, other in {**baselines, **({"champion": champion} if champion else {})}.items():
        if not np.array_equal(np.asarray(other.product), np.asarray(challenger.product)):
            raise ValueError(f"errors of {name} must have the challenger's rows")
    position, products = cluster_positions(challenger.product)
    sold = len(np.unique(position[challenger.quantity > 0]))
    checks = [_enough(sold, limits)]
    draws = list(draw_counts(products, n_replicates, seed)) if sold else []

    def ratio(top: Floats, bottom: Floats) -> Interval:
        """Ratio of two sums with the interval of its replicates over products."""
        a, b = (np.bincount(position, weights=part, minlength=products) for part in (top, bottom))
        value = float(a.sum() / b.sum()) if b.sum() else float("nan")
        if not draws:
            return Interval(value, float("nan"), float("nan"), limits.level)
        sums = [(a @ counts, b @ counts) for counts in draws]
        replicates = np.concatenate([top[below > 0] / below[below > 0] for top, below in sums])
        tail = (1 - limits.level) / 2
        low, high = (float(q) for q in np.quantile(replicates, [tail, 1 - tail]))
        return Interval(value, low, high, limits.level)

    checks.append(_unbiased(ratio(challenger.signed, challenger.quantity), limits))
    for group in np.unique(challenger.group[challenger.quantity > 0]):
        own = challenger.group == group
        bias = ratio(np.where(own, challenger.signed, 0.0), np.where(own, challenger.quantity, 0.0))
        checks += _biased(str(group), bias, limits)
    checks.append(_covers(coverage_80, limits))
    for name, other in baselines.items():
        # Positive where the challenger is better: what it saves of the baseline's error, per unit sold.
        saved = ratio(other.absolute - challenger.absolute, challenger.quantity)
        checks.append(_beats(name, saved, challenger.wape, other.wape))
    if champion is not None:
        saved = ratio(champion.absolute - challenger.absolute, challenger.quantity)
        checks.append(_no_worse(saved))
    return decide(checks)


def _enough(products: int, limits: ForecastThresholds) -> Check:
    passed = products >= limits.min_products
    words = (
        f"{products:,} products sold on the judged days, {'enough' if passed else 'too few'} to judge "
        f"(at least {limits.min_products:,} are needed)"
    )
    return Check("products", products, None, None, limits.min_products, passed, words)


def _unbiased(bias: Interval, limits: ForecastThresholds) -> Check:
    passed = bool(abs(bias.low) <= limits.max_bias and abs(bias.high) <= limits.max_bias)
    words = f"bias is {signed(bias)} of the sales, {'within' if passed else 'beyond'} {limits.max_bias:g}"
    return Check("bias", bias.value, bias.low, bias.high, limits.max_bias, passed, words)


def _biased(group: str, bias: Interval, limits: ForecastThresholds) -> list[Check]:
    """Check of a group that is surely biased; none if it is not, so that a verdict names what is wrong."""
    if bias.low <= limits.max_bias and bias.high >= -limits.max_bias:
        return []
    words = f"bias of {group} is {signed(bias)} of its sales, surely beyond {limits.max_bias:g}"
    return [Check(f"bias_{group}", bias.value, bias.low, bias.high, limits.max_bias, False, words)]


def _covers(coverage: float, limits: ForecastThresholds) -> Check:
    low, high = limits.coverage
    passed = bool(low <= coverage <= high)
    words = f"80 % intervals hold {coverage:.1%} of the days, {'as' if passed else 'not as'} they should "
    words += f"(between {low:.0%} and {high:.0%})"
    return Check("coverage_80", coverage, None, None, low, passed, words)


def _beats(label: str, saved: Interval, ours: float, theirs: float) -> Check:
    passed = bool(saved.low > 0)
    how = "better than" if passed else "not better beyond noise than"
    words = f"WAPE {ours:.3f} is {how} {theirs:.3f} of {label!r} (saved {signed(saved)})"
    return Check(f"wape_against_{label}", saved.value, saved.low, saved.high, 0.0, passed, words)


def _no_worse(saved: Interval) -> Check:
    passed = not saved.high < 0
    how = "not worse than the champion beyond noise" if passed else "worse than the champion"
    words = f"{how} (WAPE saved {signed(saved)})"
    return Check("wape_against_champion", saved.value, saved.low, saved.high, 0.0, passed, words)
