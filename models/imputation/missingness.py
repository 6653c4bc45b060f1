"""What is missing: by pattern, and whether completely at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from models.imputation.em import EMOptions, Incomplete, Moments, run_em
from models.imputation.patterns import Patterns
from models.imputation.threads import single_blas

Floats = NDArray[np.float64]


def pattern_table(frame: pd.DataFrame, *, top: int = 20) -> pd.DataFrame:
    """The most frequent patterns: a column of booleans per column (True: missing), ``rows`` and ``share``.

    The last row sums up all others, its cells True where more than half of those rows miss the column.
    """
    gaps = frame.isna().to_numpy()
    distinct, counts = (
        np.unique(gaps, axis=0, return_counts=True) if gaps.size else (gaps[:0], np.empty(0, int))
    )
    order = np.lexsort((distinct.sum(axis=1), -counts)) if len(counts) else np.empty(0, int)
    shown = order[:top]
    table = pd.DataFrame(
        distinct[shown], columns=frame.columns, index=[str(i) for i in range(1, len(shown) + 1)]
    )
    rows = counts[shown]
    rest = order[top:]
    if len(rest):
        average = np.average(distinct[rest], axis=0, weights=counts[rest])
        table.loc[f"{len(rest)} others"] = average > 0.5
        rows = np.append(rows, counts[rest].sum())
    return table.assign(rows=rows, share=rows / max(len(frame), 1))


@dataclass(frozen=True)
class McarTest:
    """Little's test of missing completely at random.

    Attributes
    ----------
    statistic, df, p_value : float
        Chi square; NaN p value if there is but one pattern.
    patterns : int
    rows : int
        Rows with anything observed.
    rows_per_pattern : float
        With few, the test has little power and its p value is rough.
    columns : list of str
    """

    statistic: float
    df: int
    p_value: float
    patterns: int
    rows: int
    rows_per_pattern: float
    columns: list[str]

    @property
    def words(self) -> str:
        """One sentence for people."""
        if np.isnan(self.p_value):
            return "one pattern only: nothing to be tested"
        verdict = (
            "not completely at random: means of what is observed differ between patterns"
            if self.p_value < 0.05
            else "nothing speaks against missing completely at random"
        )
        return f"{verdict} (chi square {self.statistic:.1f}, {self.df} degrees of freedom, p = {self.p_value:.3g})"


def little_mcar(frame: Any, *, max_iter: int = 500) -> McarTest:
    """Little's (1988) test over the numeric columns that vary.

    The means of what is observed in each pattern are compared with the overall ones; the covariance is the most
    likely one under normality. It sees a dependence on observed columns, never one on the missing values
    themselves.

    Parameters
    ----------
    frame : DataFrame or array
    max_iter : int
        Of EM.
    """
    table = frame if isinstance(frame, pd.DataFrame) else pd.DataFrame(frame)
    numbers = table.select_dtypes("number").to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    names = [str(name) for name in table.select_dtypes("number").columns]
    kept = [j for j in range(numbers.shape[1]) if len(np.unique(numbers[:, j][~np.isnan(numbers[:, j])])) > 1]
    values = numbers[:, kept]
    values = values[~np.isnan(values).all(axis=1)]
    if not kept:
        raise ValueError("the test needs a numeric column that varies, got none")
    values = (values - np.nanmean(values, axis=0)) / np.nanstd(values, axis=0)
    missing = np.isnan(values)
    with single_blas():
        data = Incomplete.of(values)
        n = len(values)
        moments, _ = run_em(data, np.ones(n), Moments.start(len(kept)), EMOptions(max_iter=max_iter))
    statistic, df, patterns = 0.0, 0, 0
    for rows, seen in _groups(data.patterns, missing):
        patterns += 1
        off = data.filled[rows][:, seen].mean(axis=0) - moments.mean[seen]
        part = moments.covariance[np.ix_(seen, seen)] * n / (n - 1)
        statistic += len(rows) * float(off @ np.linalg.pinv(part, hermitian=True) @ off)
        df += len(seen)
    df -= len(kept)
    p_value = float(stats.chi2.sf(statistic, df)) if df > 0 else float("nan")
    return McarTest(statistic, df, p_value, patterns, n, n / patterns, [names[j] for j in kept])


def _groups(
    patterns: Patterns, missing: NDArray[np.bool_]
) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Rows and observed columns of each pattern, complete rows included."""
    out = [
        (
            patterns.order[patterns.start[k] : patterns.start[k + 1]],
            np.flatnonzero(~missing[patterns.order[patterns.start[k]]]),
        )
        for k in range(len(patterns))
    ]
    complete = np.flatnonzero(~missing.any(axis=1))
    if len(complete):
        out.append((complete, np.arange(missing.shape[1])))
    return out
