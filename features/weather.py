"""What the weather does: the days ahead against the season, and how categories answered such days before.

A day is warm for its season or not; whether that sells ice cream or soup is learnt from the category's own past. The
answer is a ridge regression of the category's daily surprises on those of the weather, both taken against the days
around, so that neither level nor season enters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from features.groups import Group
from features.known import DAY, Known
from features.levels import LEVEL_DAYS, Floats, Levels, expected_on, shrunk_ratio

#: Weather of a store's day, with the most that counts of it: rain beyond a downpour keeps nobody more at home.
MEASURED = {"temperature_c": np.inf, "rain_mm": 20.0}

#: Days from which the answer of a category is learnt, and days around each that it is taken against.
ANSWER_DAYS, AROUND_DAYS = 364, 15

#: Weight of the belief that the weather does nothing, in days of the units that a store's category usually sells.
BELIEF_DAYS = 60.0

#: Weight of a flat year against the measured one, in days.
FLAT_DAYS = 5.0


@dataclass(frozen=True)
class Weather:
    """Weather of n series over the T days of history and the H days ahead, against the season.

    Attributes
    ----------
    anomaly : dict of str to ndarray of float32, shape (n_stores, T + H)
        Difference of each measure from its season; 0 where unknown.
    slope : ndarray of float32, shape (n, measures)
        Log change of a series' sales by unit of each measure: that of its category.
    store : ndarray of int, shape (n,)
        Row of each series' store.
    n_history : int
        T.
    """

    anomaly: dict[str, Floats]
    slope: Floats
    store: NDArray[np.intp]
    n_history: int

    def effect(self, days: slice | NDArray[np.intp]) -> Floats:
        """Log of what the weather of some days does to sales, (n, days)."""
        found = np.float32(0)
        for slope, values in zip(self.slope.T, self.anomaly.values(), strict=True):
            found = found + slope[:, None] * values[:, days][self.store]
        return np.asarray(found, dtype=np.float32)

    def columns(self) -> dict[str, Floats]:
        """Features of the days ahead, (n, H) each.

        ``<measure>_anomaly``, and ``weather_effect``: the log of how much more a series sells for them than over the last
        four weeks, on which its recent level rests. Empty without weather.
        """
        if not self.anomaly:
            return {}
        now = self.n_history
        recent = self.effect(slice(max(0, now - LEVEL_DAYS), now)).mean(axis=1, keepdims=True)
        ahead = {f"{name}_anomaly": values[:, now:][self.store] for name, values in self.anomaly.items()}
        return {**ahead, "weather_effect": self.effect(slice(now, None)) - recent}


def weather_at(known: Known, levels: Levels, category: Group) -> Weather:
    """Weather against the season, and the answer of each series' category to it."""
    anomaly = {
        name: _anomaly(np.minimum(known.calendar[name], most), known)
        for name, most in MEASURED.items()
        if name in known.calendar
    }
    slope = _answers(known, levels, category, [values[:, : known.n_history] for values in anomaly.values()])
    return Weather(anomaly, slope[category.code], known.store, known.n_history)


def _anomaly(values: Floats, known: Known) -> Floats:
    """Difference from the season, (n_stores, T + H); 0 where unknown.

    The season is a wave of one year and one of half a year, fitted to the days of history.
    """
    history = known.n_history
    day = (
        (known.origin + (np.arange(values.shape[1]) - history) * DAY).astype("datetime64[D]").astype(np.int64)
    )
    angle = 2 * np.pi * day / 365.25
    waves = np.column_stack(
        [np.ones(len(day)), *(part(k * angle) for k in (1, 2) for part in (np.cos, np.sin))]
    )
    past, out = waves[:history], np.zeros_like(values)
    flat = np.diag([0.0] + [FLAT_DAYS] * (waves.shape[1] - 1))
    for store, measured in enumerate(values):
        seen = np.isfinite(measured[:history])
        if seen.sum() < AROUND_DAYS:
            continue
        x = past[seen]
        wave = waves @ np.linalg.solve(
            x.T @ x + flat + 1e-9 * np.eye(len(flat)), x.T @ measured[:history][seen]
        )
        out[store] = np.where(np.isfinite(measured), measured - wave, 0)
    return out


def _answers(known: Known, levels: Levels, category: Group, weather: list[Floats]) -> NDArray[np.float32]:
    """Log change of a category's sales by unit of each measure, (categories, measures)."""
    if not weather:
        return np.zeros((category.size, 0), dtype=np.float32)
    days = min(ANSWER_DAYS, known.n_history)
    stores = int(known.store.max(initial=-1)) + 1
    shelf = Group(category.code * stores + known.store, category.size * stores)
    demand = known.demand[:, -days:]
    seen = np.isfinite(demand)
    promoted = known.promo[:, : known.n_history] > 0
    sold = shelf.sum(np.where(seen, demand, np.float32(0)))
    expected = shelf.sum(expected_on(levels.profile, promoted, seen, 0))
    surprise = np.nan_to_num(np.log(shrunk_ratio(sold, expected)))
    weight = expected.reshape(category.size, stores, days)
    y = _against_days_around(surprise).reshape(category.size, stores, days)
    x = np.stack([_against_days_around(values[:, -days:]) for values in weather])
    each = np.maximum(weight.sum(axis=2, keepdims=True) / max(days, 1), 1e-6)
    weight = weight / each  # days of usual sales, so that a hypermarket does not speak for all stores
    moments = np.einsum("csd,asd,bsd->cab", weight, x, x, optimize=True)
    cross = np.einsum("csd,asd,csd->ca", weight, x, y, optimize=True)
    belief = BELIEF_DAYS * np.array([values.var() for values in x])
    found = np.linalg.solve(moments + np.diag(belief + 1e-9)[None], cross[..., None])[..., 0]
    return np.asarray(found, dtype=np.float32)


def _against_days_around(values: Floats) -> Floats:
    """Values less the mean of the days around each."""
    return np.asarray(
        values - uniform_filter1d(values, AROUND_DAYS, axis=1, mode="nearest"), dtype=np.float32
    )
