"""One answer from m completed data sets, by Rubin's rules, for any estimator."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
#: An estimator's answer on one completed table: estimates, and their variances or covariance matrix.
Estimator = Callable[[Any], tuple[Any, Any]]


@dataclass(frozen=True)
class Pooled:
    """Pooled estimates.

    Attributes
    ----------
    estimate : ndarray of shape (k,)
    variance : ndarray of shape (k,)
        Of the estimate: within + (1 + 1/m) between.
    within, between : ndarray of shape (k,)
        Mean variance of the completed data sets, and variance of their estimates.
    df : ndarray of shape (k,)
        Degrees of freedom of the t distribution.
    fmi : ndarray of shape (k,)
        Fraction of missing information: how much of the information in full data is lost.
    low, high : ndarray of shape (k,)
        Ends of the intervals.
    level : float
    m : int
    names : list of str
    covariance : ndarray of shape (k, k) or None
        Of all estimates together, if matrices were pooled.
    """

    estimate: Floats
    variance: Floats
    within: Floats
    between: Floats
    df: Floats
    fmi: Floats
    low: Floats
    high: Floats
    level: float
    m: int
    names: list[str]
    covariance: Floats | None = None

    @property
    def standard_error(self) -> Floats:
        """Square root of the variance."""
        return np.sqrt(self.variance)

    def p_value(self, null: float = 0.0) -> Floats:
        """Two-sided p values of the estimates being ``null``."""
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.abs(self.estimate - null) / self.standard_error
        return np.asarray(2 * stats.t.sf(t, self.df))

    def table(self) -> pd.DataFrame:
        """One row per estimate."""
        return pd.DataFrame(
            {
                "estimate": self.estimate,
                "standard_error": self.standard_error,
                "low": self.low,
                "high": self.high,
                "df": self.df,
                "fmi": self.fmi,
                "within": self.within,
                "between": self.between,
            },
            index=pd.Index(self.names, name="name"),
        )


def pool(
    estimates: Any,
    variances: Any,
    *,
    level: float = 0.95,
    complete_df: float | None = None,
) -> Pooled:
    """Pool estimates of m completed data sets.

    Parameters
    ----------
    estimates : array-like of shape (m,) or (m, k), or DataFrame of m rows
    variances : array-like of the same shape, or (m, k, k)
        Squared standard errors, or covariance matrices.
    level : float
        Of the intervals.
    complete_df : float, optional
        Degrees of freedom if nothing were missing; for small samples (Barnard and Rubin 1999). None: so many
        that they do not matter (Rubin 1987).

    Raises
    ------
    ValueError
        There are fewer than two data sets, shapes differ, or a variance is negative or not finite.
    """
    names = [str(name) for name in estimates.columns] if isinstance(estimates, pd.DataFrame) else None
    values = np.asarray(estimates, dtype=np.float64)
    spread = np.asarray(variances, dtype=np.float64)
    if values.ndim == 1:
        values = values[:, None]
        spread = spread[:, None] if spread.ndim == 1 else spread
    m, k = values.shape
    if m < 2:
        raise ValueError(f"pooling needs at least 2 completed data sets, got {m}")
    if spread.shape not in ((m, k), (m, k, k)):
        raise ValueError(f"variances must have the shape {(m, k)} or {(m, k, k)}, got {spread.shape}")
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got {level!r}")
    diagonal = spread if spread.ndim == 2 else np.diagonal(spread, axis1=1, axis2=2)
    if not (np.isfinite(values).all() and np.isfinite(spread).all() and (diagonal >= 0).all()):
        raise ValueError("estimates must be finite and variances finite and not negative")
    estimate = values.mean(axis=0)
    within = diagonal.mean(axis=0)
    between = values.var(axis=0, ddof=1)
    extra = (1 + 1 / m) * between
    variance = within + extra
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(variance > 0, extra / variance, 0.0)
        df = (m - 1) / np.square(share)
        if complete_df is not None:
            observed_df = (complete_df + 1) / (complete_df + 3) * complete_df * (1 - share)
            df = 1 / (1 / df + 1 / observed_df)
        ratio = np.where(within > 0, extra / within, np.inf)
        fmi = np.where(np.isinf(ratio), 1.0, (ratio + 2 / (df + 3)) / (ratio + 1))
        fmi = np.where(extra == 0, 0.0, fmi)
    half = stats.t.ppf(0.5 + level / 2, df) * np.sqrt(variance)
    covariance = None
    if spread.ndim == 3:
        covariance = spread.mean(axis=0) + (1 + 1 / m) * np.atleast_2d(np.cov(values, rowvar=False))
    return Pooled(
        estimate, variance, within, between, df, fmi, estimate - half, estimate + half, level, m,
        names or [str(i) for i in range(k)], covariance,
    )  # fmt: skip


def pool_over(
    completed: Iterable[Any],
    estimator: Estimator,
    *,
    level: float = 0.95,
    complete_df: float | None = None,
) -> Pooled:
    """Run an estimator on each completed table, one in memory at a time, and pool what it says.

    Parameters
    ----------
    completed : iterable
        ``imputer.iter_completed()``, or tables read from the lake.
    estimator : callable
        Takes a table, returns estimates and their variances (or covariance matrix): numbers, arrays or Series.
        Of statsmodels, ``lambda table: (fit := ols(...).fit()) and (fit.params, fit.cov_params())``.
    level, complete_df
        See ``pool``.
    """
    return pool_answers([estimator(table) for table in completed], level=level, complete_df=complete_df)


def pool_answers(
    answers: list[tuple[Any, Any]], *, level: float = 0.95, complete_df: float | None = None
) -> Pooled:
    """Pool pairs of estimates and variances, one pair per completed data set."""
    first = answers[0][0] if answers else ()
    estimates: Any = np.array([np.atleast_1d(np.asarray(answer[0], dtype=np.float64)) for answer in answers])
    if isinstance(first, pd.Series):
        estimates = pd.DataFrame(estimates, columns=first.index)
    variances = np.array([np.atleast_1d(np.asarray(answer[1], dtype=np.float64)) for answer in answers])
    return pool(estimates, variances, level=level, complete_df=complete_df)


def means(table: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """The estimator "mean of each numeric column", with squared standard errors."""
    numbers = table.select_dtypes("number")
    return numbers.mean(), numbers.var(ddof=1) / len(numbers)


def difference(values: Floats, own: NDArray[np.bool_]) -> tuple[Any, Any]:
    """The estimator "mean of some rows less that of the others", of each column, with squared standard errors."""
    here, there = values[own], values[~own]
    variance = here.var(axis=0, ddof=1) / len(here) + there.var(axis=0, ddof=1) / len(there)
    return here.mean(axis=0) - there.mean(axis=0), variance
