"""What a series would have sold: stock-outs as lower bounds, closed days as gaps, promotions taken out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: Days on each side of a day that tell its level.
LEVEL_DAYS = 28
#: A weekday's factor is drawn to 1 as if that many average days had been seen on it.
WEEKDAY_PRIOR_DAYS = 3.0
#: What is known of the effect of promotions before any is seen: a tenth off sells some 20 % more, and from
#: one article to another that varies as much again. Effects beyond the limit are accidents.
ELASTICITY, ELASTICITY_SPREAD, MOST_ELASTICITY = 2.0, 2.0, 8.0
#: Variance of daily sales over their mean, as far as the effect of promotions is concerned.
PROMO_DISPERSION = 2.0
#: Rounds in which stock-out days are estimated from levels that contain their last estimates.
ROUNDS = 3


@dataclass(frozen=True)
class Cleaned:
    """History of n series as the models fit it; all matrices n x T.

    Attributes
    ----------
    demand
        Units demanded: as sold, or the estimate on a stock-out day; NaN where closed or not reported.
    base
        ``demand`` without the effect of promotions; NaN in the same places.
    expected
        Demand without promotions by local level and weekday, everywhere (0 for a series never seen).
    elasticity
        Logarithm of the effect of a promotion per unit of discount, shape (n,).
    week
        Factor of each weekday, Monday first, shape (n, 7).
    """

    demand: Floats
    base: Floats
    expected: Floats
    elasticity: Floats
    week: Floats

    @property
    def filled(self) -> Floats:
        """``base`` with gaps filled by ``expected``, for models that take no gaps."""
        return np.where(np.isnan(self.base), self.expected, self.base)

    def lifted(self, base: Floats, promo: Floats, rows: Any) -> Floats:
        """``base`` of the series ``rows`` with the effect of promotions of the discounts ``promo``."""
        return np.asarray(base * np.exp(self.elasticity[rows, None] * promo))


def clean(y: Floats, censored: Mask, opened: Mask, promo: Floats, weekday: NDArray[np.intp]) -> Cleaned:
    """Estimate the demand behind sales.

    A day's comparable days are the uncensored ones within four weeks on either side, put on its weekday
    and promotion by factors of the whole history. Their mean is what the day would have sold on average;
    a stock-out adds that it would have sold at least what it did, so its value is the mean of a Poisson
    demand (with the series' own dispersion) given that it reaches what was sold. Because stock-outs fall
    on days of high demand, the mean of the other days is too low: estimates enter the levels, in turn,
    until they settle (an EM algorithm for a censored Poisson mean).

    Parameters
    ----------
    y : ndarray of shape (n, T)
        Units sold; NaN where not reported.
    censored : ndarray of bool, shape (n, T)
        The article was out of stock for part of the day.
    opened : ndarray of bool, shape (n, T)
        The store was open. Days it was closed are gaps, not zeros, unless it sold something.
    promo : ndarray of shape (n, T)
        Discount as a share of the regular price; 0 without promotion.
    weekday : ndarray of int, shape (T,)
        0 Monday to 6 Sunday.

    Returns
    -------
    Cleaned

    References
    ----------
    Nahmias (1994), Demand estimation in lost sales inventory systems, Naval Research Logistics 41.
    """
    known = np.isfinite(y) & (opened | (np.nan_to_num(y) > 0))
    hidden = known & censored
    sold = np.where(known, np.nan_to_num(y), 0.0)
    values = sold.copy()
    seen = known & ~hidden
    # A series that was out of stock on all its days has only those.
    seen |= known & ~seen.any(axis=1, keepdims=True)
    elasticity, expected, week = _structure(values, seen.astype(np.float64), promo, weekday)
    for round_ in range(ROUNDS if hidden.any() else 0):
        if round_:
            elasticity, expected, week = _structure(values, known.astype(np.float64), promo, weekday)
        mean = expected * np.exp(elasticity[:, None] * promo)
        scale = _dispersion(sold, mean, seen)[:, None]
        estimate = _mean_given_at_least(sold, mean, np.broadcast_to(scale, mean.shape), hidden)
        values = np.where(hidden, np.maximum(sold, estimate), sold)
    demand = np.where(known, values, np.nan)
    return Cleaned(demand, demand / np.exp(elasticity[:, None] * promo), expected, elasticity, week)


def _structure(
    values: Floats, weights: Floats, promo: Floats, weekday: NDArray[np.intp]
) -> tuple[Floats, Floats, Floats]:
    """Elasticity (n,), expected demand without promotions (n, T) and weekdays (n, 7) of weighted days."""
    promoted = promo > 0
    plain = weights * ~promoted
    # Series that are always in promotion have no plain days to compare with.
    plain = np.where(plain.any(axis=1, keepdims=True), plain, weights)
    factor = _weekday_factors(values, plain, weekday)
    per_day = factor[:, weekday]
    level = _local_mean(values / per_day, plain)
    expected = level * per_day
    return _elasticity(values, expected, weights * promoted, plain, promo), expected, factor


def _elasticity(values: Floats, expected: Floats, on_promo: Floats, plain: Floats, promo: Floats) -> Floats:
    """Posterior mean of the logarithm of a promotion's effect per unit of discount, shape (n,).

    The sales on promotion days against what was expected of them have a relative variance of one over
    the units sold on such days plus one over those on plain days, which the expectation comes from. So a
    launch that was on offer from the start tells nothing of the effect.
    """
    days = on_promo.sum(axis=1)
    sold, usual = (on_promo * values).sum(axis=1), (on_promo * expected).sum(axis=1)
    depth = np.divide((on_promo * promo).sum(axis=1), days, out=np.ones(len(values)), where=days > 0)
    found = np.log((sold + 1.0) / (usual + 1.0)) / depth
    units = (plain * values).sum(axis=1)
    variance = PROMO_DISPERSION * (1 / (sold + 1.0) + 1 / (units + 1.0)) / depth**2
    trust = ELASTICITY_SPREAD**2 / (ELASTICITY_SPREAD**2 + variance)
    posterior = np.clip(ELASTICITY + trust * (found - ELASTICITY), 0.0, MOST_ELASTICITY)
    return np.where(days > 0, posterior, ELASTICITY)


def _weekday_factors(values: Floats, weights: Floats, weekday: NDArray[np.intp]) -> Floats:
    """Mean of each weekday relative to the mean of all, drawn to 1; shape (n, 7)."""
    # Sums along rows, not a product of matrices: how that rounds depends on how many series there are.
    count, total = (
        np.stack([np.ascontiguousarray(x[:, weekday == day]).sum(axis=1) for day in range(7)], axis=1)
        for x in (weights, weights * values)
    )
    mean = total.sum(axis=1) / np.maximum(count.sum(axis=1), 1.0)
    prior = WEEKDAY_PRIOR_DAYS * np.maximum(mean, 1e-9)[:, None]
    factor = (total + prior) / (count * np.maximum(mean, 1e-9)[:, None] + prior)
    return np.asarray(factor)


def _local_mean(values: Floats, weights: Floats) -> Floats:
    """Weighted mean of the days around each day; of the nearest known days where there are none around."""
    ones = np.ones((len(values), 1))
    count = np.hstack([0 * ones, np.cumsum(weights, axis=1)])
    total = np.hstack([0 * ones, np.cumsum(weights * values, axis=1)])
    end = values.shape[1]
    last = np.minimum(np.arange(end) + LEVEL_DAYS + 1, end)
    first = np.maximum(np.arange(end) - LEVEL_DAYS, 0)
    around = count[:, last] - count[:, first]
    mean = np.divide(
        total[:, last] - total[:, first], around, out=np.full_like(values, np.nan), where=around > 0.5
    )
    return _carry(mean)


def _carry(values: Floats) -> Floats:
    """Fill NaN with the last value before, then with the first after; 0 where there is none at all."""
    known = np.isfinite(values)
    positions = np.where(known, np.arange(values.shape[1]), 0)
    before = np.take_along_axis(values, np.maximum.accumulate(positions, axis=1), axis=1)
    first = np.take_along_axis(values, known.argmax(axis=1)[:, None], axis=1)
    return np.nan_to_num(np.where(np.isnan(before), first, before))


def _dispersion(sold: Floats, mean: Floats, seen: Mask) -> Floats:
    """Variance over mean of the uncensored days, at least 1; shape (n,)."""
    squares = np.where(seen, (sold - mean) ** 2, 0.0).sum(axis=1)
    total = np.maximum(np.where(seen, mean, 0.0).sum(axis=1), 1e-9)
    return np.asarray(np.maximum(squares / total, 1.0))


def _mean_given_at_least(least: Floats, mean: Floats, scale: Floats, where: Mask) -> Floats:
    """E[D | D >= least] for D / scale Poisson with mean ``mean / scale``; 0 outside ``where``.

    For a Poisson count, E[D; D >= c] = mean x P(D >= c - 1) and P(D >= c) is the regularised lower
    incomplete gamma function of c and the mean, which is defined between the integers too.
    """
    result = np.zeros_like(mean)
    c, mu = least[where] / scale[where], np.maximum(mean[where], 1e-9) / scale[where]
    tail = np.where(c > 0, gammainc(np.maximum(c, 1e-9), mu), 1.0)
    before = np.where(c > 1, gammainc(np.maximum(c - 1, 1e-9), mu), 1.0)
    # Far above its mean a count is hardly more than the bound itself.
    value = np.divide(mu * before, tail, out=c.copy(), where=tail > 1e-12)
    result[where] = value * scale[where]
    return result
