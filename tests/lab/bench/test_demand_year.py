"""A quarter of a small chain: every candidate is judged on the same days by the demand itself."""

from __future__ import annotations

from datetime import date, datetime

import numpy as np
import pandas as pd
import pytest

from models.forecasting.panel import Panel
from pipelines.lab.bench.demand_peers import ETS_SERIES, PEERS, seasonal_naive
from pipelines.lab.bench.demand_year import FLOOR, OURS, year
from pipelines.lab.simulation.demand import generate
from pipelines.measure import Stopwatch
from pipelines.settings import Settings
from pipelines.sources.ingest import ingest

END = date(2025, 6, 2)
PARAMS = {
    "features.history_days": 430,
    "backtest.training_weeks": 6,
    "backtest.local_series": 5,
    "boosting.max_rows": 15_000,
    "boosting.rounds": 60,
    "workers": 1,
}


def test_a_quarter_is_judged_by_the_truth(tmp_path):
    settings = Settings(var=tmp_path, lake="", overrides={"demand": PARAMS})
    lines, watch = [], Stopwatch()
    files = tmp_path / "data" / "demand"
    generate(3, 40, 30_000, 3, files, start=date(2023, 11, 1), end=END, kept_days=120)
    arrived = datetime.combine(END, datetime.min.time())
    ingest("demand", files, settings=settings, ingested_at=arrived, quality_checks=False)
    found = year(settings, END, 1, watch, lines.append)
    assert set(found) == {OURS, FLOOR, *PEERS}
    assert len(lines) == 4
    assert {"train", "nights", *PEERS} == set(watch.seconds)
    for name, errors in found.items():
        assert errors["wape"] > 0, name
        assert found[FLOOR]["wape"] < errors["wape"] or name == FLOOR
        assert set(errors["by_cell"]) >= {"stable/regular"}
    assert found["seasonal_naive"]["wape_of_ours_there"] == pytest.approx(found[OURS]["wape"])


def panel(rows: int = 3, days: int = 60) -> Panel:
    y = np.tile(np.arange(7.0), (rows, -(-days // 7)))[:, :days].astype("f4")
    y[1, :40] = np.nan  # launched twenty days ago
    total = days + 14
    is_open = np.ones((1, total), dtype="f4")
    is_open[:, days + 3] = 0
    return Panel(
        series=pd.DataFrame({"store_id": ["S"] * rows, "sku_id": [f"K{row}" for row in range(rows)]}),
        days=np.datetime64("2025-01-06") + np.arange(total),
        n_history=days,
        y=y,
        censored=np.zeros_like(y, dtype=bool),
        promo=np.zeros((rows, total), dtype="f4"),
        price=np.ones((rows, total), dtype="f4"),
        store=np.zeros(rows, dtype=np.intp),
        calendar={"is_open": is_open},
    )


def test_peers_forecast_every_series_and_nothing_on_closed_days():
    given = panel()
    for name, forecast in PEERS.items():
        found = forecast(given)
        assert found.shape == (3, 14), name
        assert not found[:, 3][np.isfinite(found[:, 3])].any(), name
    assert ETS_SERIES >= 3
    expected = np.arange(60, 74) % 7
    expected[3] = 0
    assert seasonal_naive(given)[0] == pytest.approx(expected)
