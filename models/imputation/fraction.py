"""How much information is missing, and how many completed data sets that calls for."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd
from scipy.special import expit, logit
from scipy.stats import norm

from models.imputation.pooling import Pooled

#: Wanted coefficient of variation of a standard error, were everything imputed again.
REPEATABLE = 0.05


@dataclass(frozen=True)
class Needed:
    """Data sets called for.

    Attributes
    ----------
    m : int
        By the rule, at least 2.
    fmi, fmi_high : float
        The fraction, and the upper end of its 95 % interval, on which the rule is based: a fraction measured on
        few data sets is itself uncertain.
    """

    m: int
    fmi: float
    fmi_high: float


def imputations_needed(fmi: float, m: int, *, cv: float = REPEATABLE) -> Needed:
    """Data sets for standard errors that would come out the same again, by von Hippel's quadratic rule.

    ``m = 1 + (fmi / cv)^2 / 2``: von Hippel (2020), "How Many Imputations Do You Need? A Two-stage Calculation
    Using a Quadratic Rule", Sociological Methods & Research 49(3).

    Parameters
    ----------
    fmi : float
        Fraction of missing information, measured on ``m`` data sets.
    m : int
    cv : float
        Wanted coefficient of variation of a standard error.
    """
    if not 0 <= fmi <= 1:
        raise ValueError(f"a fraction must be in 0..1, got {fmi!r}")
    if m < 2 or cv <= 0:
        raise ValueError(f"m must be at least 2 and cv positive, got m={m!r}, cv={cv!r}")
    inside = min(max(fmi, 1e-6), 1 - 1e-6)
    high = 0.0 if fmi == 0 else float(expit(logit(inside) + norm.ppf(0.975) * math.sqrt(2 / m)))
    # A hair is taken off, so that a rule that yields 5 does not yield 6 by rounding.
    return Needed(max(2, math.ceil(1 + 0.5 * (high / cv) ** 2 - 1e-9)), float(fmi), high)


def needed_table(pooled: Pooled, *, cv: float = REPEATABLE) -> pd.DataFrame:
    """Fraction of missing information of each estimate and the data sets it calls for, worst first."""
    found = [imputations_needed(min(float(fmi), 1.0), pooled.m, cv=cv) for fmi in pooled.fmi]
    table = pd.DataFrame([vars(one) for one in found], index=pd.Index(pooled.names, name="name"))
    return table.assign(enough=table["m"] <= pooled.m).sort_values("fmi", ascending=False, kind="stable")
