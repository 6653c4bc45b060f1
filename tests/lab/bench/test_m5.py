"""The bench on the M5 subset: its levels, its peers, and forecasts better than the naive ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.errors import DataContractError
from pipelines.lab.bench import m5
from pipelines.lab.bench.global_models import GlobalAverage, training_stack, weekly


@pytest.mark.real_data
def test_global_models_beat_the_seasonal_naive_on_an_earlier_window(data_dir):
    found = m5.read_m5(data_dir / "m5")
    assert found.units.shape == (70, 1913)
    assert np.isnan(found.panel.y).sum() == 461  # cells that were imputed
    assert {level: len(set(nodes)) for level, nodes in found.levels.items()} == {
        "total": 1, "state": 3, "store": 10, "category": 3, "department": 7, "store_department": 70,
    }  # fmt: skip
    christmas = found.panel.days.astype(str).tolist().index("2015-12-25")
    assert not found.panel.open[:, christmas].any()
    assert found.panel.open.mean() > 0.99
    assert found.panel.calendar["snap"][:, 100:].mean() == pytest.approx(1 / 3, abs=0.01)  # ten days a month

    stop = 1913 - 3 * 28
    first = found.panel.days[stop]
    X, y = training_stack(found.panel, weekly(first - 7 * 20, first), 28, before=first)
    model = GlobalAverage.fit(X, y, {**m5.SETTINGS, "rounds": 60, "leaves": 15, "learning_rate": 0.1})
    ours = m5._judge(found, stop, model.forecast(found.panel, first, 28))
    naive = m5._judge(found, stop, np.tile(found.units[:, stop - 7 : stop], 4))
    assert all(ours[level] < 0.9 * naive[level] for level in ours), (ours, naive)


def small(found: m5.M5, rows: int, days: int) -> m5.M5:
    panel = found.panel
    start = panel.n_history - days
    part = replace(
        panel.take(np.arange(rows)),
        days=panel.days[start:],
        n_history=days,
        y=panel.y[:rows, start:],
        censored=panel.censored[:rows, start:],
        promo=panel.promo[:rows, start:],
        price=panel.price[:rows, start:],
        calendar={name: values[:, start:] for name, values in panel.calendar.items()},
    )
    levels = {name: nodes[:rows] for name, nodes in found.levels.items()}
    return m5.M5(part, found.units[:rows, start:], levels)


@pytest.mark.real_data
def test_peers_are_fitted_series_by_series_on_the_past_only(data_dir, monkeypatch):
    monkeypatch.setattr(m5, "_PROCESSES", 1)
    part = small(m5.read_m5(data_dir / "m5"), 3, 120)
    stop = 120 - 28
    peers = m5._peers(part, stop)
    np.testing.assert_array_equal(peers["seasonal_naive"], np.tile(part.units[:, stop - 7 : stop], 4))
    assert (np.abs(peers["ets"].mean(axis=1) / part.units[:, :stop].mean(axis=1) - 1) < 0.5).all()
    part.units[:, stop:] = 0
    np.testing.assert_array_equal(m5._peers(part, stop)["ets"], peers["ets"])


def test_missing_files_are_named(tmp_path):
    with pytest.raises(DataContractError, match=r"missing \['m5_store_dept_daily_1913.parquet', 'calendar"):
        m5.read_m5(tmp_path)
