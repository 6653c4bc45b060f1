"""The go/no-go decision for new groups of stores, with its grounds in words.

Groups have no truth to be compared with. What can be asked of them: are stores clearly in one group and not
between two (silhouette), do the same groups come out of another sample of stores (stability), do they tell more
than what people group by already, and are they no worse than the groups that policies rest on now.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.evaluation.bootstrap import LEVEL, Interval, draw_counts
from models.evaluation.verdict import Check, Verdict, decide, signed

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class GroupThresholds:
    """What groups must show before policies may rest on them.

    Attributes
    ----------
    min_stores : int
        Fewest stores judged.
    min_silhouette : float
        Least mean silhouette; the lower bound of its interval must reach it.
    min_stability : float
        Least mean over the stores of the stability of their groups.
    doubtful : float
        Stability below which a group is not to be trusted.
    max_unstable_share : float
        Largest share of the stores in such groups.
    level : float
        Share of replicates inside the intervals.
    """

    min_stores: int = 8
    min_silhouette: float = 0.05
    min_stability: float = 0.6
    doubtful: float = 0.6
    max_unstable_share: float = 0.34
    level: float = LEVEL


def judge_groups(
    silhouettes: Floats,
    stability: Floats,
    *,
    baselines: Mapping[str, Floats],
    champion: Floats | None = None,
    thresholds: GroupThresholds | None = None,
    n_replicates: int = 500,
    seed: int = 0,
) -> Verdict:
    """Decide whether groups may serve.

    Parameters
    ----------
    silhouettes, stability : ndarray of shape (n,)
        Of each store: its silhouette, and the stability of its group.
    baselines
        Silhouettes of the same stores, in the same space, in groupings that exist already; each must be beaten
        beyond noise.
    champion
        Those of the serving groups; the challenger must not be worse beyond noise.

    Raises
    ------
    ValueError
        A candidate has another number of stores.
    """
    limits = thresholds or GroupThresholds()
    n = len(silhouettes)
    others = {**baselines, **({"champion": champion} if champion is not None else {})}
    for name, values in {"stability": stability, **others}.items():
        if len(values) != n:
            raise ValueError(f"{name} must have the challenger's {n} stores, got {len(values)}")
    draws = list(draw_counts(n, n_replicates, seed)) if n else []

    def mean(values: Floats) -> Interval:
        value = float(values.mean()) if n else float("nan")
        if not draws:
            return Interval(value, float("nan"), float("nan"), limits.level)
        replicates = np.concatenate([(values @ counts) / n for counts in draws])
        tail = (1 - limits.level) / 2
        low, high = (float(q) for q in np.quantile(replicates, [tail, 1 - tail]))
        return Interval(value, low, high, limits.level)

    checks = [_enough(n, limits), _clear(mean(silhouettes), limits), _stable(stability, limits)]
    checks.append(_trusted(stability, limits))
    for name, values in baselines.items():
        checks.append(_beats(name, mean(silhouettes - values), silhouettes, values))
    if champion is not None:
        checks.append(_no_worse(mean(silhouettes - champion)))
    return decide(checks)


def _enough(stores: int, limits: GroupThresholds) -> Check:
    passed = stores >= limits.min_stores
    words = f"{stores:,} stores, {'enough' if passed else 'too few'} to judge (at least {limits.min_stores:,} are needed)"
    return Check("stores", stores, None, None, limits.min_stores, passed, words)


def _clear(found: Interval, limits: GroupThresholds) -> Check:
    passed = bool(found.low >= limits.min_silhouette)
    words = (
        f"silhouette is {found.value:.3f}, between {found.low:.3f} and {found.high:.3f}, "
        f"{'at least' if passed else 'below'} {limits.min_silhouette:g}"
    )
    return Check("silhouette", found.value, found.low, found.high, limits.min_silhouette, passed, words)


def _stable(stability: Floats, limits: GroupThresholds) -> Check:
    value = float(stability.mean()) if len(stability) else float("nan")
    passed = bool(value >= limits.min_stability)
    words = (
        f"a store's group comes out again to {value:.0%} in other samples, "
        f"{'at least' if passed else 'less than'} {limits.min_stability:.0%}"
    )
    return Check("stability", value, None, None, limits.min_stability, passed, words)


def _trusted(stability: Floats, limits: GroupThresholds) -> Check:
    share = float((stability < limits.doubtful).mean()) if len(stability) else float("nan")
    passed = bool(share <= limits.max_unstable_share)
    words = (
        f"{share:.0%} of the stores are in groups that are not to be trusted, "
        f"{'at most' if passed else 'more than'} {limits.max_unstable_share:.0%}"
    )
    return Check("unstable_share", share, None, None, limits.max_unstable_share, passed, words)


def _beats(label: str, gained: Interval, ours: Floats, theirs: Floats) -> Check:
    passed = bool(gained.low > 0)
    how = "clearer than" if passed else "not clearer beyond noise than"
    words = (
        f"silhouette {ours.mean():.3f} is {how} {theirs.mean():.3f} of grouping by {label!r} "
        f"(gained {signed(gained)})"
    )
    return Check(f"silhouette_against_{label}", gained.value, gained.low, gained.high, 0.0, passed, words)


def _no_worse(gained: Interval) -> Check:
    passed = not gained.high < 0
    how = "not less clear than the champion beyond noise" if passed else "less clear than the champion"
    words = f"{how} (silhouette gained {signed(gained)})"
    return Check("silhouette_against_champion", gained.value, gained.low, gained.high, 0.0, passed, words)
