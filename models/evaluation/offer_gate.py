"""The go/no-go decision for chances of products and recommended lists, with its grounds in words.

Each product has a model of its own and is judged apart, by customers who did not hold it: its average precision must
beat drawing at random, and its mean chance must agree with the share that took it, both beyond noise. Of two dozen
products some fail by luck, so a share of them may. Products that few took are not judged, and their number is told.
Lists must beat what most customers hold, for everybody alike, and must not come down to the same few products.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.evaluation.bootstrap import LEVEL, Interval, bootstrap_metrics, paired_difference
from models.evaluation.ratios import ratio_interval
from models.evaluation.recommendation import coverage, mean_average_precision
from models.evaluation.verdict import Check, Verdict, decide, signed

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class OfferThresholds:
    """What chances and lists must reach before they may serve.

    Attributes
    ----------
    min_takers : int
        Fewest customers who took something in the judged time.
    min_events : int
        Fewest customers who took a product for it to be judged.
    ap_over_random : float
        How many times the average precision of a random ranking must be exceeded by the lower end of the interval.
    calibration : tuple of float
        Least and largest ratio of those who took a product to the sum of the chances; the interval must touch it.
    max_failed_share : float
        Largest share of the judged products that may fail either.
    map_over_popularity : float
        How many times MAP@3 of popularity the lists must reach; the lower end of the interval counts.
    min_coverage : float
        Least share of the products that are on anybody's list.
    level : float
        Share of replicates inside the intervals; 0.9 makes one-sided 95 % bounds.
    """

    min_takers: int = 200
    min_events: int = 50
    ap_over_random: float = 1.2
    calibration: tuple[float, float] = (0.8, 1.25)
    max_failed_share: float = 0.1
    map_over_popularity: float = 1.0
    min_coverage: float = 0.5
    level: float = LEVEL


@dataclass(frozen=True)
class ProductJudged:
    """What was found of one product.

    Attributes
    ----------
    product : str
    events : int
        Judged customers who took it.
    rate : float
        Their share: the average precision of a random ranking.
    ap : Interval
        Average precision.
    calibration : Interval
        Customers who took it over the sum of the chances.
    against_champion : Interval or None
        Average precision less the champion's.
    """

    product: str
    events: int
    rate: float
    ap: Interval
    calibration: Interval
    against_champion: Interval | None

    def ranks(self, limits: OfferThresholds) -> bool:
        """Whether it beats drawing at random beyond noise."""
        return self.ap.low > limits.ap_over_random * self.rate

    def calibrated(self, limits: OfferThresholds) -> bool:
        """Whether the chances can be as large as they say."""
        low, high = limits.calibration
        return self.calibration.low <= high and self.calibration.high >= low


@dataclass(frozen=True)
class Lists:
    """Average precision of each customer's list of three, and what the lists show.

    Attributes
    ----------
    customer : ndarray of shape (n,)
    value : mapping of str to ndarray of shape (n,)
        Average precision by candidate, NaN of customers who took nothing; ``challenger`` and ``popularity`` are two.
    product : ndarray of shape (n, 3)
        The challenger's lists.
    n_products : int
    """

    customer: NDArray[Any]
    value: Mapping[str, Floats]
    product: NDArray[np.int64]
    n_products: int


def judge_product(
    product: str,
    taken: Any,
    chance: Any,
    customer: Any,
    *,
    champion: Any = None,
    level: float = LEVEL,
    n_replicates: int = 200,
    seed: int = 0,
) -> ProductJudged:
    """Judge the chances of one product.

    Parameters
    ----------
    taken, chance, customer : array-like of shape (n,)
        Whether the product was taken, its chance, and who it is, of each row without it.
    champion : array-like of shape (n,), optional
        Chances by the serving model on the same rows.
    """
    event = np.asarray(taken, dtype=np.bool_)
    drawn: dict[str, Any] = {"n_replicates": n_replicates, "level": level, "seed": seed}
    found = bootstrap_metrics(event, chance, customer, probability=False, **drawn)
    ratio = ratio_interval(event.astype(np.float64), np.asarray(chance, dtype=np.float64), customer, **drawn)
    against = None
    if champion is not None:
        against = paired_difference(event, chance, champion, customer, **drawn)["auc_pr"]
    rate = float(event.mean()) if len(event) else float("nan")
    return ProductJudged(product, int(event.sum()), rate, found["auc_pr"], ratio, against)


def judge_offers(
    products: Sequence[ProductJudged],
    lists: Lists,
    *,
    thresholds: OfferThresholds | None = None,
    n_replicates: int = 500,
    seed: int = 0,
) -> Verdict:
    """Decide whether chances and lists may serve.

    Parameters
    ----------
    products
        Every product, see :func:`judge_product`; those with too few events are left out of the decision.
    lists
        Lists of the same customers.
    """
    limits = thresholds or OfferThresholds()
    judged = [product for product in products if product.events >= limits.min_events]
    took = ~np.isnan(lists.value["challenger"])
    checks = [_enough(int(took.sum()), len(judged), len(products), limits)]
    if not checks[0].passed:
        return decide(checks)

    def compared(name: str, times: float) -> Interval:
        gain = lists.value["challenger"] - times * lists.value[name]
        return ratio_interval(
            gain[took],
            np.ones(int(took.sum())),
            lists.customer[took],
            n_replicates=n_replicates,
            level=limits.level,
            seed=seed,
        )

    checks.append(_ranked(judged, limits))
    checks.append(_calibrated(judged, limits))
    checks.append(_popular(lists, compared("popularity", limits.map_over_popularity), limits))
    checks.append(_covered(lists, limits))
    worse = [product for product in judged if product.against_champion is not None]
    if worse:
        checks.append(_no_worse_products(worse, limits))
    if "champion" in lists.value:
        checks.append(_no_worse_lists(compared("champion", 1.0)))
    return decide(checks)


def _enough(takers: int, judged: int, products: int, limits: OfferThresholds) -> Check:
    passed = takers >= limits.min_takers and judged > 0
    words = (
        f"{takers:,} customers took something and {judged} of {products} products were taken often enough to be "
        f"judged, {'enough' if passed else 'too few'} to decide (at least {limits.min_takers:,} customers and a "
        f"product that {limits.min_events:,} took are needed)"
    )
    return Check("takers", takers, None, None, limits.min_takers, passed, words)


def _share(
    name: str, what: str, failed: list[str], judged: Sequence[ProductJudged], limits: OfferThresholds
) -> Check:
    share = len(failed) / len(judged)
    passed = share <= limits.max_failed_share
    words = f"{what} for {len(judged) - len(failed)} of {len(judged)} products"
    if failed:
        words += f", not for {', '.join(failed[:3])}" + (" and others" if len(failed) > 3 else "")
    words += "" if passed else f": more than {limits.max_failed_share:.0%} fail"
    return Check(name, share, None, None, limits.max_failed_share, passed, words)


def _ranked(judged: Sequence[ProductJudged], limits: OfferThresholds) -> Check:
    failed = [product.product for product in judged if not product.ranks(limits)]
    what = f"average precision is above {limits.ap_over_random:g} times that of a random ranking beyond noise"
    return _share("average_precision", what, failed, judged, limits)


def _calibrated(judged: Sequence[ProductJudged], limits: OfferThresholds) -> Check:
    failed = [product.product for product in judged if not product.calibrated(limits)]
    return _share("calibration", "chances agree with what was taken", failed, judged, limits)


def _popular(lists: Lists, gain: Interval, limits: OfferThresholds) -> Check:
    passed = bool(gain.low > 0)
    ours, theirs = (mean_average_precision(lists.value[name]) for name in ("challenger", "popularity"))
    how = "better than" if passed else "not better beyond noise than"
    times = "" if limits.map_over_popularity == 1 else f"{limits.map_over_popularity:g} times "
    words = f"MAP@3 {ours:.3f} is {how} {times}{theirs:.3f} of popularity (gain {signed(gain)})"
    return Check("map3_against_popularity", gain.value, gain.low, gain.high, 0.0, passed, words)


def _covered(lists: Lists, limits: OfferThresholds) -> Check:
    share = coverage(lists.product, lists.n_products)
    passed = share >= limits.min_coverage
    words = f"lists show {share:.0%} of the products, {'at least' if passed else 'less than'} {limits.min_coverage:.0%}"
    return Check("coverage", share, None, None, limits.min_coverage, passed, words)


def _no_worse_products(judged: Sequence[ProductJudged], limits: OfferThresholds) -> Check:
    failed = [
        product.product
        for product in judged
        if product.against_champion is not None and product.against_champion.high < 0
    ]
    what = "average precision is not worse than the champion's beyond noise"
    return _share("average_precision_against_champion", what, failed, judged, limits)


def _no_worse_lists(gain: Interval) -> Check:
    passed = not gain.high < 0
    how = "not worse than the champion's beyond noise" if passed else "worse than the champion's"
    words = f"MAP@3 is {how} ({signed(gain)})"
    return Check("map3_against_champion", gain.value, gain.low, gain.high, 0.0, passed, words)
