"""The go/no-go decision for an imputation model, with its grounds in words.

What is judged are cells that were observed, hidden and imputed, of parts that the model never saw. Their noise
is estimated by drawing whole parts: the cells of a part are wrong together. Filling in means must be beaten
beyond noise, and against the serving champion the burden of proof is reversed.
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
class Hidden:
    """Cells that were hidden and imputed by one candidate.

    Attributes
    ----------
    part : ndarray of shape (n,)
        Part of each cell; all candidates of a verdict have the same cells.
    error : ndarray of shape (n,)
        Imputed mean minus observed value, in standard deviations of the sensor.
    covered : ndarray of shape (n,), bool
        Whether the 90 % interval of the draws held the observed value.
    """

    part: Any
    error: Floats
    covered: NDArray[np.bool_]


@dataclass(frozen=True)
class ModelFacts:
    """What the fit said of itself.

    Attributes
    ----------
    chains, converged : int
        Chains, and how many of them converged.
    columns, left_out : int
        Sensors, and how many of them are not modelled.
    unexplained : tuple of str
        Degenerate sensors of which the preflight says nothing; there must be none.
    """

    chains: int
    converged: int
    columns: int
    left_out: int
    unexplained: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImputationThresholds:
    """What a model must reach before it may serve.

    Attributes
    ----------
    min_cells : int
        Fewest hidden cells.
    coverage : tuple of float
        Least and largest coverage of the 90 % intervals; the whole interval of the estimate must not lie outside.
    max_left_out : float
        Largest share of sensors that are not modelled.
    level : float
        Share of replicates inside the intervals; 0.9 makes one-sided 95 % bounds.
    """

    min_cells: int = 300
    coverage: tuple[float, float] = (0.85, 0.95)
    max_left_out: float = 0.2
    level: float = LEVEL


def judge_imputation(
    challenger: Hidden,
    facts: ModelFacts,
    *,
    baselines: Mapping[str, Hidden],
    champion: Hidden | None = None,
    thresholds: ImputationThresholds | None = None,
    n_replicates: int = 500,
    seed: int = 0,
) -> Verdict:
    """Decide whether an imputation model may serve.

    Parameters
    ----------
    baselines
        Simpler rules on the same cells; each must be beaten in squared error beyond noise.
    champion
        The serving model on the same cells; the challenger must not be worse beyond noise.

    Raises
    ------
    ValueError
        A candidate has other cells than the challenger.
    """
    limits = thresholds or ImputationThresholds()
    for name, other in {**baselines, **({"champion": champion} if champion else {})}.items():
        if not np.array_equal(np.asarray(other.part), np.asarray(challenger.part)):
            raise ValueError(f"hidden cells of {name} must be the challenger's")
    cells = len(challenger.error)
    position, parts = cluster_positions(challenger.part)
    draws = list(draw_counts(parts, n_replicates, seed)) if cells else []
    per_part = np.bincount(position, minlength=parts).astype(np.float64)

    def mean(values: Floats) -> Interval:
        """Mean over cells with the interval of its replicates over parts."""
        if not draws:
            return Interval(float("nan"), float("nan"), float("nan"), limits.level)
        sums = np.bincount(position, weights=values, minlength=parts)
        replicates = np.concatenate([(sums @ c) / np.maximum(per_part @ c, 1e-12) for c in draws])
        tail = (1 - limits.level) / 2
        low, high = (float(q) for q in np.quantile(replicates, [tail, 1 - tail]))
        return Interval(float(values.mean()), low, high, limits.level)

    checks = [_enough(cells, limits), _converged(facts), _accounted(facts, limits)]
    checks.append(_covers(mean(challenger.covered.astype(np.float64)), limits))
    squared = challenger.error**2
    for name, other in baselines.items():
        checks.append(_beats(name, mean(other.error**2 - squared), squared, other.error**2))
    if champion is not None:
        checks.append(_no_worse(mean(champion.error**2 - squared)))
    return decide(checks)


def _enough(cells: int, limits: ImputationThresholds) -> Check:
    passed = cells >= limits.min_cells
    words = (
        f"{cells:,} cells were hidden and imputed, {'enough' if passed else 'too few'} to judge "
        f"(at least {limits.min_cells:,} are needed)"
    )
    return Check("cells", cells, None, None, limits.min_cells, passed, words)


def _converged(facts: ModelFacts) -> Check:
    passed = facts.converged == facts.chains
    words = f"{facts.converged} of {facts.chains} chains converged"
    return Check("converged", facts.converged, None, None, facts.chains, passed, words)


def _accounted(facts: ModelFacts, limits: ImputationThresholds) -> Check:
    share = facts.left_out / facts.columns if facts.columns else 1.0
    passed = share <= limits.max_left_out and not facts.unexplained
    words = (
        f"{facts.left_out} of {facts.columns} sensors are not modelled (at most {limits.max_left_out:.0%})"
    )
    if facts.unexplained:
        words += f"; degenerate without a word in the preflight: {', '.join(facts.unexplained[:5])}"
    return Check("left_out", share, None, None, limits.max_left_out, passed, words)


def _covers(found: Interval, limits: ImputationThresholds) -> Check:
    low, high = limits.coverage
    passed = bool(low <= found.value <= high)
    words = (
        f"90 % intervals hold {found.value:.1%} of the hidden cells (between {found.low:.1%} and {found.high:.1%}), "
        f"{'as' if passed else 'not as'} they should ({low:.0%} to {high:.0%})"
    )
    return Check("coverage_90", found.value, found.low, found.high, low, passed, words)


def _beats(label: str, saved: Interval, ours: Floats, theirs: Floats) -> Check:
    passed = bool(saved.low > 0)
    how = "better than" if passed else "not better beyond noise than"
    pair = [float(np.sqrt(part.mean())) if len(part) else float("nan") for part in (ours, theirs)]
    words = (
        f"error {pair[0]:.3f} standard deviations is {how} {pair[1]:.3f} of {label!r} (squared error saved "
        f"{signed(saved)})"
    )
    return Check(f"error_against_{label}", saved.value, saved.low, saved.high, 0.0, passed, words)


def _no_worse(saved: Interval) -> Check:
    passed = not saved.high < 0
    how = "not worse than the champion beyond noise" if passed else "worse than the champion"
    words = f"{how} (squared error saved {signed(saved)})"
    return Check("error_against_champion", saved.value, saved.low, saved.high, 0.0, passed, words)
