"""Season: the same days one and two years before, of series and of groups, against loops."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features.groups import groups_of
from features.known import known_at
from features.levels import levels_at, shrunk_ratio
from features.seasons import season_of, windows_of
from models.forecasting.panel import Panel

ORIGIN = np.datetime64("2025-04-01")


@pytest.fixture(scope="module")
def known(chain):
    return known_at(chain, ORIGIN, 14, history_days=800)


@pytest.fixture(scope="module")
def levels(chain, known):
    groups = groups_of(chain.series)
    return levels_at(known, groups["category"], groups["shelf"])


def sums(known, levels, rows, first: int, last: int) -> tuple[float, float]:
    """Sold and expected units of some series from day ``first`` to ``last`` after the origin."""
    sold = expected = 0.0
    for row in rows:
        for after in range(first, last + 1):
            day = known.n_history + after
            if 0 <= day < known.n_history and np.isfinite(known.demand[row, day]):
                sold += float(known.demand[row, day])
                expected += float(levels.profile[row, after % 7, int(known.promo[row, day] > 0)])
    return sold, expected


def ratio(pair: tuple[float, float]) -> float:
    return float(shrunk_ratio(np.float32(pair[0]), np.float32(pair[1])))


@pytest.mark.parametrize("name", [None, "region"])
def test_ratios_as_loops_over_days(chain, known, levels, name):
    group = groups_of(chain.series)[name] if name else None
    season = season_of(windows_of(known, levels), group)
    for unit in (0, 1):
        rows = [unit] if group is None else np.flatnonzero(group.code == unit)
        for label, lag in (("1y", 364), ("2y", 728)):
            before = ratio(sums(known, levels, rows, -lag - 28, -lag - 1))
            for span, (first, last) in (("day", (0, 0)), ("week", (-3, 3)), ("month", (-10, 10))):
                for step in (0, 9, 13):
                    then = ratio(sums(known, levels, rows, step - lag + first, step - lag + last))
                    found = season.ahead[f"{span}_{label}"][unit, step]
                    assert found == pytest.approx(np.log(then / before), abs=1e-4, nan_ok=True)
        for window in (7, 28, 91) if group is not None else ():
            now = ratio(sums(known, levels, rows, -window, -1))
            assert season.now[f"trend_{window}"][unit] == pytest.approx(np.log(now), abs=1e-4)


def test_years_not_lived_are_unknown(chain, levels):
    young = season_of(windows_of(known_at(chain, ORIGIN, 14, history_days=500), levels))
    assert young.ahead.keys() == season_of(windows_of(known_at(chain, ORIGIN, 14), levels)).ahead.keys()
    for name, values in young.ahead.items():
        assert values.shape == (12, 14)
        assert np.isnan(values).all() == name.endswith("2y")


def test_direction_of_the_year_is_found():
    days = np.datetime64("2023-01-02") + np.arange(800)
    wave = 100 * np.exp(np.sin(np.arange(786) * 2 * np.pi / 364)).astype("f4")
    panel = Panel(
        series=pd.DataFrame({"store_id": ["a"], "sku_id": ["b"]}),
        days=days,
        n_history=786,
        y=wave[None],
        censored=np.zeros((1, 786), dtype=bool),
        promo=np.zeros((1, 800), dtype="f4"),
        price=np.ones((1, 800), dtype="f4"),
        store=np.zeros(1, dtype=np.intp),
    )
    known = known_at(panel, days[786], 14)
    every = groups_of(panel.series)["all"]
    season = season_of(windows_of(known, levels_at(known, every, every)))
    true = np.log(wave[786 - 364 + np.arange(14)] / wave[786 - 364 - 28 : 786 - 364].mean())
    np.testing.assert_allclose(season.ahead["week_1y"][0], true, atol=0.03)
