"""The bench on a few stores: better than its peers' simple one, and blind to what it must not know."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.lab.bench import rossmann
from pipelines.lab.bench.rossmann_panel import read_rossmann

STORES = 80


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(rossmann, "SETTINGS", {**rossmann.SETTINGS, "rounds": 80, "leaves": 15})
    monkeypatch.setattr(rossmann, "FACTOR_ROUNDS", 20)
    monkeypatch.setattr(rossmann, "FIRST", np.datetime64("2014-12-04"))


@pytest.mark.real_data
def test_few_stores_are_forecast_well_without_their_future(quick, data_dir):
    panel = read_rossmann(data_dir / "rossmann", stores=STORES)
    model = rossmann.fit(panel)
    found = rossmann.measure(panel, lambda last, days: model.forecast(panel, last + 1, days))
    naive = rossmann.measure(panel, lambda last, days: rossmann._same_weekday(panel, last, days))
    assert found["rmspe_42d"] < 0.13
    assert found["rmspe_14d"] < 0.13
    assert naive["rmspe_42d"] > 0.17
    assert 0.97 < model.factor < 1.01

    first = np.searchsorted(panel.days, rossmann.ORIGIN + 1)
    later = np.arange(panel.n_history) >= first
    changed = replace(panel, y=np.where(later, panel.y * 3, panel.y).astype("f4"))
    again = rossmann.fit(changed)
    assert again.factor == model.factor
    assert again.models["xgboost"].boosters_ == model.models["xgboost"].boosters_
    after = rossmann.ORIGIN + 1
    np.testing.assert_array_equal(again.forecast(changed, after, 42), model.forecast(panel, after, 42))
