"""What if values are missing because of what they are? Imputed cells are shifted until a conclusion falls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.imputation.pooling import Estimator, Pooled, pool_answers

#: Shifts of imputed cells, in standard deviations of the observed ones.
DELTAS = tuple(float(delta) for delta in np.linspace(-2, 2, 17))


@dataclass(frozen=True)
class Sensitivity:
    """How an answer depends on what cannot be seen.

    Attributes
    ----------
    table : DataFrame
        ``delta`` (in standard deviations), ``shift`` (in units), ``estimate``, ``low``, ``high``, ``p_value``,
        ``holds``: whether the conclusion is that of delta 0.
    tipping_low, tipping_high : float or None
        Shift nearest to zero, below and above, at which the conclusion changes; interpolated between the
        deltas that were tried. None: it holds as far as was tried.
    column, name : str
        Column whose imputed cells are shifted, and what is estimated.
    """

    table: pd.DataFrame
    tipping_low: float | None
    tipping_high: float | None
    column: str
    name: str

    @property
    def words(self) -> str:
        """One sentence for people."""
        tips = [tip for tip in (self.tipping_low, self.tipping_high) if tip is not None]
        tried = f"{self.table['delta'].min():+.3g} to {self.table['delta'].max():+.3g}"
        if not tips:
            return f"the conclusion on {self.name} holds for every shift of missing {self.column} tried ({tried} sd)"
        where = " or ".join(f"{tip:+.2f} sd" for tip in tips)
        return f"the conclusion on {self.name} changes if missing {self.column} are really {where} from their imputations"


def delta_sensitivity(
    before: pd.DataFrame,
    completed: Iterable[pd.DataFrame],
    column: str,
    estimator: Estimator,
    *,
    name: str | None = None,
    deltas: Sequence[float] = DELTAS,
    null: float = 0.0,
    where: NDArray[np.bool_] | None = None,
    bounds: tuple[float | None, float | None] = (None, None),
    level: float = 0.95,
    conclusion: Callable[[Pooled, int], Any] | None = None,
) -> Sensitivity:
    """Shift the imputed cells of a column and pool an estimate again (a pattern-mixture model).

    Parameters
    ----------
    before : DataFrame
        With its missing cells: only these are shifted.
    completed : iterable of DataFrame
        Visited once, one in memory at a time.
    column : str
        Numeric.
    estimator : callable
        As for ``pool_over``.
    name : str, optional
        Which of its estimates is followed; the first if not given.
    deltas : sequence of float
        In standard deviations of the observed cells; zero is added.
    null : float
        The conclusion is whether the interval lies below, above or around this value.
    where : ndarray of bool, optional
        Rows whose cells may be shifted: one line, one station.
    bounds : pair of float or None
        Shifted cells stay within.
    level : float
    conclusion : callable, optional
        Something else than above: takes the pooled answer and the position of the estimate.

    References
    ----------
    Cro et al. (2020), "Sensitivity analysis for clinical trials with missing continuous outcome data using
    controlled multiple imputation", Statistics in Medicine 39(21).
    """
    gaps = before[column].isna().to_numpy() if where is None else before[column].isna().to_numpy() & where
    sd = float(before[column].std(ddof=1))
    if not gaps.any() or not sd > 0:
        raise ValueError(f"{column!r} must have missing cells to shift and observed ones that vary")
    tried = sorted({0.0, *(float(delta) for delta in deltas)})
    answers: list[list[tuple[Any, Any]]] = [[] for _ in tried]
    for table in completed:
        numbers = table[column].to_numpy(dtype=np.float64, copy=True)
        for found, delta in zip(answers, tried, strict=True):
            moved = numbers.copy()
            moved[gaps] = np.clip(
                moved[gaps] + delta * sd,
                -np.inf if bounds[0] is None else bounds[0],
                np.inf if bounds[1] is None else bounds[1],
            )
            found.append(estimator(table.assign(**{column: moved})))
    pooled = [pool_answers(found, level=level) for found in answers]
    i = 0 if name is None else pooled[0].names.index(name)
    decide = conclusion or (lambda one, at: (one.low[at] > null) * 1 - (one.high[at] < null) * 1)
    verdicts = [decide(one, i) for one in pooled]
    zero = tried.index(0.0)
    rows = [
        {
            "delta": delta,
            "shift": delta * sd,
            "estimate": one.estimate[i],
            "low": one.low[i],
            "high": one.high[i],
            "p_value": one.p_value(null)[i],
            "holds": bool(verdict == verdicts[zero]),
        }
        for delta, one, verdict in zip(tried, pooled, verdicts, strict=True)
    ]
    table_ = pd.DataFrame(rows)
    margin = None if conclusion else _margin(table_, null, int(verdicts[zero]))
    return Sensitivity(
        table_,
        _tip(table_, zero, -1, margin),
        _tip(table_, zero, 1, margin),
        column,
        name or pooled[0].names[i],
    )


def _margin(table: pd.DataFrame, null: float, verdict: int) -> NDArray[np.float64]:
    """How far the conclusion is from falling; negative where it fell."""
    low, high = table["low"].to_numpy() - null, null - table["high"].to_numpy()
    # Neither above nor below: it falls when either end crosses.
    return np.asarray(low if verdict > 0 else high if verdict < 0 else -np.maximum(low, high))


def _tip(table: pd.DataFrame, zero: int, step: int, margin: NDArray[np.float64] | None) -> float | None:
    """Delta at which the conclusion first changes, going away from zero."""
    delta, holds = table["delta"].to_numpy(), table["holds"].to_numpy()
    i = zero
    while 0 <= i + step < len(delta):
        if not holds[i + step]:
            if margin is None:
                return float(delta[i + step])
            a, b = margin[i], margin[i + step]
            return float(delta[i] + (delta[i + step] - delta[i]) * (a / (a - b) if a != b else 1.0))
        i += step
    return None


def most_different(values: NDArray[np.float64], groups: NDArray[Any], *, fewest: int) -> str | None:
    """Group whose mean is furthest from the others' in standard errors, with so many rows on either side at least."""
    best, furthest = None, 0.0
    for group in np.unique(groups):
        own = groups == group
        if min(own.sum(), (~own).sum()) < fewest:
            continue
        here, there = values[own], values[~own]
        error = np.sqrt(here.var() / len(here) + there.var() / len(there))
        distance = abs(here.mean() - there.mean()) / error if error > 0 else 0.0
        if distance > furthest:
            best, furthest = str(group), distance
    return best
