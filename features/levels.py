"""How much each series sells at an origin: level, weekday and promotion profile, trend, gaps.

Everything is a ratio to what the series is *expected* to sell, so that a learner sees kiosks and
supermarkets alike. Slow series have little evidence of their own; their ratios are shrunk, in units sold,
towards those of their group.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.groups import Group
from features.known import Known

Floats = NDArray[np.float32]

#: Days of the ratios of recent sales to expected ones.
TREND_DAYS = (3, 7, 14, 28, 56, 91, 182)

#: Days before the origin on which the recent level of a series rests.
LEVEL_DAYS = 28

#: Weeks of the profiles by weekday and promotion.
PROFILE_WEEKS = (6, 13, 26, 52)

#: Days of the level, and of statistics of the series' whole life.
YEAR_DAYS = 364

#: Least expected units a day: one sale in three months.
FLOOR = 0.01

#: Evidence that a series' own profile is weighed against: this many days, and days that sell this much.
PRIOR_DAYS = 4.0
PRIOR_UNITS = 15.0

#: Days of the group's level that a young series' level is weighed against.
LEVEL_PRIOR_DAYS = 3.0

#: Units that pull a ratio of sales to expected sales towards 1.
RATIO_UNITS = 4.0

#: Share of the expected units that is added to both sides of a ratio, so that a ratio without sales stays finite.
LEAST_SHARE = 0.05

#: Days known within the last four weeks below which the level of the last half year serves.
RECENT_DAYS = 7


@dataclass(frozen=True)
class Levels:
    """Statistics of n series at an origin.

    Attributes
    ----------
    columns : dict of str to ndarray of float32, shape (n,)
        Features that are the same for all days ahead.
    profile : ndarray of float32, shape (n, 7, 2)
        Units expected on a day by its weekday (column s: the weekday of ``origin + s``) and without or
        with promotion, at the level of the last year.
    recent : ndarray of float32, shape (n,)
        Recent sales over what the profile expected.
    profiles : dict of int to ndarray of float32, shape (n, 7, 2)
        Plain means of the last weeks, by their number; NaN where there was no such day.
    last_weeks : ndarray of float32, shape (n, 2, 7)
        Sales of the last week and of the one before over what the profile expected; NaN where unknown.
    mean : ndarray of float32, shape (n,)
        Units a day over the last year, shrunk where the series is young.
    """

    columns: dict[str, Floats]
    profile: Floats
    recent: Floats
    profiles: dict[int, Floats]
    last_weeks: Floats
    mean: Floats


def levels_at(known: Known, pooled: Group, peers: Group) -> Levels:
    """Statistics of all series at the origin of ``known``.

    Parameters
    ----------
    known
        What was known.
    pooled
        Groups whose common profile the series' own is weighed against.
    peers
        Groups whose mean the level of a young series is weighed against.
    """
    seen = np.isfinite(known.demand)
    sold = np.where(seen, known.demand, np.float32(0))
    promoted = known.promo[:, : known.n_history] > 0
    year = slice(max(0, known.n_history - YEAR_DAYS), None)
    mean = _level(sold[:, year].sum(axis=1), seen[:, year].sum(axis=1, dtype=np.float32), peers)
    sums = {weeks: _profile_sums(sold, seen, promoted, weeks) for weeks in PROFILE_WEEKS}
    profile = _profile(sums[26], sums[52], mean, pooled)

    expected = expected_on(profile, promoted, seen[:, -max(TREND_DAYS) :], 0)
    ratios = {
        days: shrunk_ratio(sold[:, -days:].sum(axis=1), expected[:, -days:].sum(axis=1))
        for days in TREND_DAYS
    }
    few = seen[:, -LEVEL_DAYS:].sum(axis=1) < RECENT_DAYS
    recent = np.where(few, ratios[182], ratios[LEVEL_DAYS])
    recent = np.where(np.isfinite(recent), recent, np.float32(1))
    return Levels(
        columns={
            **{f"trend_{days}": np.log(ratio / recent) for days, ratio in ratios.items()},
            **_gaps(known, seen, sold, expected, mean),
            "recent": np.log(recent),
            "promo_uplift": _promo_uplift(sums[52], profile, mean),
        },
        profile=profile,
        recent=recent,
        profiles={weeks: mean_of(total, count) for weeks, (total, count) in sums.items()},
        last_weeks=_last_weeks(sold, seen, expected),
        mean=mean,
    )


def expected_on(profile: Floats, promoted: NDArray[np.bool_], seen: NDArray[np.bool_], back: int) -> Floats:
    """What the profile expects on known days of the past; 0 where unknown.

    Parameters
    ----------
    profile : ndarray of shape (n, 7, 2)
    promoted : ndarray of bool, shape (n, T)
        Days with promotion, up to the one before the origin.
    seen : ndarray of bool, shape (n, days)
        Known days of the window, which ends ``back`` days before the origin.

    Returns
    -------
    ndarray of float32, shape (n, days)
    """
    days, stop = seen.shape[1], promoted.shape[1] - back
    slot = np.arange(-back - days, -back) % 7
    return np.asarray(usual_on(profile, promoted[:, stop - days : stop], slot) * seen)


def usual_on(profile: Floats, promoted: NDArray[np.bool_], slot: NDArray[np.intp]) -> Floats:
    """What the profile expects on days of some weekday slots, with and without promotion, (n, days)."""
    return np.asarray(np.where(promoted, profile[:, slot, 1], profile[:, slot, 0]))


def shrunk_ratio(sold: Floats, expected: Floats, units: float = RATIO_UNITS) -> Floats:
    """Sales over expected sales, pulled towards 1 where few units are expected; NaN if none are."""
    added = np.float32(units) + np.float32(LEAST_SHARE) * expected
    ratio = (sold + added) / (expected + added)
    return np.asarray(np.where(expected > 0, ratio, np.float32("nan")), dtype=np.float32)


def mean_of(total: Floats, count: Floats) -> Floats:
    """Mean; NaN where nothing counts."""
    out: Floats = np.full(total.shape, np.nan, dtype=np.float32)
    np.divide(total, count, out=out, where=count > 0)
    return out


def _level(total: Floats, count: Floats, peers: Group) -> Floats:
    group = np.divide(peers.sum(total[:, None]), np.maximum(peers.sum(count[:, None]), 1))[peers.code, 0]
    level = (total + LEVEL_PRIOR_DAYS * group) / (count + LEVEL_PRIOR_DAYS)
    return np.asarray(np.maximum(level, FLOOR), dtype=np.float32)


def _profile_sums(
    sold: Floats, seen: NDArray[np.bool_], promoted: NDArray[np.bool_], weeks: int
) -> tuple[Floats, Floats]:
    """Units and days by weekday slot and promotion over the last whole weeks, each (n, 7, 2)."""
    weeks = min(weeks, sold.shape[1] // 7)
    shape = (len(sold), weeks, 7)
    window = slice(sold.shape[1] - 7 * weeks, None)
    units, days = sold[:, window].reshape(shape), seen[:, window].reshape(shape)
    promo = promoted[:, window].reshape(shape)
    with_promo, without = days & promo, days & ~promo
    total = np.stack([(units * mask).sum(axis=1) for mask in (without, with_promo)], axis=-1)
    count = np.stack([mask.sum(axis=1, dtype=np.float32) for mask in (without, with_promo)], axis=-1)
    return total, count


def _profile(half: tuple[Floats, Floats], year: tuple[Floats, Floats], mean: Floats, pooled: Group) -> Floats:
    """Units by weekday and promotion: the last half year's with twice the weight, shrunk to the group's."""
    level = mean[:, None, None]
    group_units, group_expected = pooled.sum(year[0]), pooled.sum(year[1] * level)
    overall = (group_units.sum(axis=0) + 1e-6) / (group_expected.sum(axis=0) + 1e-6)
    factor = (group_units + PRIOR_UNITS * overall) / (group_expected + PRIOR_UNITS)
    prior = PRIOR_DAYS + PRIOR_UNITS / level
    total = half[0] + 0.5 * year[0] + prior * level * factor[pooled.code]
    count = half[1] + 0.5 * year[1] + prior
    return np.asarray(np.maximum(total / count, FLOOR * 0.1), dtype=np.float32)


def _promo_uplift(year: tuple[Floats, Floats], profile: Floats, mean: Floats) -> Floats:
    """Log of promoted sales over what the same days sell without promotion; NaN if never promoted."""
    usual = (year[1][:, :, 1] * profile[:, :, 0]).sum(axis=1)
    return np.asarray(np.log(shrunk_ratio(year[0][:, :, 1].sum(axis=1), usual)))


def _last_weeks(sold: Floats, seen: NDArray[np.bool_], expected: Floats) -> Floats:
    out = np.full((len(sold), 2, 7), np.nan, dtype=np.float32)
    for week in (0, 1):
        if sold.shape[1] < 7 * (week + 1):
            continue
        window = slice(-7 * (week + 1), -7 * week or None)
        ratio = shrunk_ratio(sold[:, window], expected[:, window], 1.0)
        out[:, week] = np.where(seen[:, window], ratio, np.float32("nan"))
    return out


def _gaps(
    known: Known, seen: NDArray[np.bool_], sold: Floats, expected: Floats, mean: Floats
) -> Mapping[str, Floats]:
    """Zeros, gaps, age, noise and stock-outs."""
    span = known.n_history
    year = slice(max(0, span - YEAR_DAYS), None)
    found = {}
    for name, days in (("56", 56), ("364", YEAR_DAYS)):
        part, units = seen[:, -days:], sold[:, -days:]
        count = part.sum(axis=1, dtype=np.float32)
        found[f"zero_share_{name}"] = mean_of((part & (units == 0)).sum(axis=1, dtype=np.float32), count)
        found[f"known_share_{name}"] = count / np.float32(min(days, span))
    width = expected.shape[1]
    error = np.where(seen[:, -width:], sold[:, -width:] - expected, 0) ** 2
    deviation = np.sqrt(mean_of(error.sum(axis=1), seen[:, -width:].sum(axis=1, dtype=np.float32)))
    newest = np.where(sold > 0, np.arange(span, dtype=np.int32), -1).max(axis=1)
    first = np.where(seen.any(axis=1), seen.argmax(axis=1), span)
    return {
        **found,
        "noise": np.log((deviation + FLOOR) / (mean + FLOOR)),
        "level": np.log(mean),
        "days_since_sale": np.where(newest >= 0, span - newest, span).astype(np.float32),
        "age_days": (span - first).astype(np.float32),
        "stockout_share": known.cut_short[:, year].mean(axis=1, dtype=np.float32),
    }
