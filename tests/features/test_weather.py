"""Weather against the season, and the answer of categories to it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from features.groups import groups_of
from features.known import known_at
from features.levels import levels_at
from features.weather import LEVEL_DAYS, weather_at
from models.forecasting.panel import Panel

ORIGIN = np.datetime64("2025-04-01")
HORIZON = 14
SLOPE = 0.04  # bread, by degree warmer than usual; dairy does not care


def weathered(chain: Panel, slope: float = SLOPE) -> tuple[Panel, np.ndarray]:
    """The chain with a seasonal temperature, spells around it, and sales of bread that follow them."""
    rng = np.random.default_rng(4)
    total = len(chain.days)
    season = 12 + 8 * np.cos(2 * np.pi * (np.arange(total) - 200) / 365.25)
    spells = np.zeros((3, total))
    for day in range(1, total):
        spells[:, day] = 0.8 * spells[:, day - 1] + 2 * rng.normal(size=3)
    bread = (chain.series["category"] == "bread").to_numpy()[:, None]
    mean = 40 * np.exp(np.where(bread, slope * spells[chain.store], 0))
    is_open = chain.calendar["is_open"][chain.store] > 0
    y = np.where(is_open, rng.poisson(mean), 0)[:, : chain.n_history].astype("f4")
    calendar = {**chain.calendar, "temperature_c": (season + spells).astype("f4")}
    promo, censored = np.zeros_like(chain.promo), np.zeros_like(chain.censored)
    return replace(chain, y=y, promo=promo, censored=censored, calendar=calendar, reported_on=None), spells


def found_in(panel: Panel) -> dict[str, np.ndarray]:
    known = known_at(panel, ORIGIN, HORIZON)
    groups = groups_of(panel.series)
    return weather_at(
        known, levels_at(known, groups["category"], groups["shelf"]), groups["category"]
    ).columns()


def test_the_answer_of_each_category_is_learnt(chain):
    panel, spells = weathered(chain)
    found = found_in(panel)
    cut = int((ORIGIN - panel.days[0]) / np.timedelta64(1, "D"))
    ahead = spells[:, cut : cut + HORIZON]
    recent = spells[:, cut - LEVEL_DAYS : cut].mean(axis=1, keepdims=True)
    assert np.corrcoef(found["temperature_c_anomaly"].ravel(), ahead[panel.store].ravel())[0, 1] > 0.9
    true = SLOPE * (ahead - recent)[panel.store]
    bread = (panel.series["category"] == "bread").to_numpy()
    slope = np.polyfit(true[bread].ravel(), found["weather_effect"][bread].ravel(), 1)[0]
    assert slope == pytest.approx(1, abs=0.25)  # pulled a little towards no effect
    assert np.abs(found["weather_effect"][~bread]).max() < 0.25 * np.abs(true).max()


def test_where_the_weather_does_nothing_nothing_is_learnt(chain):
    panel, spells = weathered(chain, slope=0.0)
    assert np.abs(found_in(panel)["weather_effect"]).max() < 0.2 * SLOPE * np.abs(spells).max()


def test_unknown_weather_changes_nothing(chain):
    panel, _ = weathered(chain)
    calendar = {**panel.calendar, "temperature_c": panel.calendar["temperature_c"].copy()}
    calendar["temperature_c"][:, panel.n_history :] = np.nan
    calendar["temperature_c"][1] = np.nan  # a store without a station
    found = found_in(replace(panel, calendar=calendar))
    assert all(np.isfinite(values).all() for values in found.values())
    assert not found["temperature_c_anomaly"][panel.store == 1].any()
    without = {name: values for name, values in panel.calendar.items() if name != "temperature_c"}
    assert found_in(replace(panel, calendar=without)) == {}
