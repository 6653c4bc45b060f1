"""Prophet on a signal that is known, quiet and without a trace."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

import numpy as np
import pytest

from models.forecasting.local.prophet_model import _library, prophet_forecast

LENGTH, HORIZON = 420, 15
DAYS = np.datetime64("2025-03-10") + np.arange(-LENGTH, HORIZON)


def signal(seed: int = 0) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """History with noise, truth of the days ahead, regressors."""
    rng = np.random.default_rng(seed)
    time = np.arange(LENGTH + HORIZON)
    promo = np.where(time % 45 < 7, 0.25, 0.0)
    promo[-6:] = 0.25
    holiday = (time % 61 == 5).astype(float)
    holiday[LENGTH + 3] = 1
    week = np.array([0.8, 0.8, 0.9, 1.0, 1.2, 1.5, 0.8])[time % 7]
    mean = (20 + 0.02 * time) * week * (1 + 2 * promo) * (1 + 0.5 * holiday)
    regressors = {"promo": promo, "is_public_holiday": holiday, "never": np.zeros(LENGTH + HORIZON)}
    return rng.poisson(mean[:LENGTH]).astype(float), mean[LENGTH:], regressors


def test_week_promotions_and_holidays_are_found() -> None:
    values, truth, regressors = signal()
    values[[50, 51, 300]] = np.nan
    found = prophet_forecast(values, DAYS, regressors)
    assert np.abs(found - truth).sum() / truth.sum() < 0.08
    without = prophet_forecast(values, DAYS, {})
    assert np.abs(without - truth)[-6:].sum() > 3 * np.abs(found - truth)[-6:].sum()
    assert without[3] < 0.85 * truth[3]


def test_the_same_series_gives_the_same_forecast() -> None:
    values, _, regressors = signal(1)
    first = prophet_forecast(values, DAYS, regressors)
    np.testing.assert_array_equal(first, prophet_forecast(values, DAYS, regressors))


def test_nothing_is_left_behind_and_nothing_is_said(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    import cmdstanpy

    _library()
    shared = set(Path(cmdstanpy._TMPDIR).iterdir())
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    used: list[str] = []
    create = tempfile.TemporaryDirectory

    def watched(*words: object, **options: object) -> tempfile.TemporaryDirectory[str]:
        folder = create(*words, **options)
        used.append(folder.name)
        return folder

    monkeypatch.setattr(tempfile, "TemporaryDirectory", watched)
    with caplog.at_level(logging.INFO, logger="root"):
        prophet_forecast(signal()[0], DAYS, {})
    assert [Path(name).parent for name in used] == [tmp_path]
    assert not list(tmp_path.iterdir())
    assert set(Path(cmdstanpy._TMPDIR).iterdir()) == shared
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


def test_newtons_method_takes_over_where_the_first_search_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    values, truth, regressors = signal()
    model = _library()[1].model
    optimize, tried = model.optimize, []

    def stubborn(*words: object, algorithm: str, **options: object) -> object:
        tried.append(algorithm)
        if algorithm == "LBFGS":
            raise RuntimeError("line search failed")
        return optimize(*words, algorithm=algorithm, **options)

    monkeypatch.setattr(model, "optimize", stubborn)
    found = prophet_forecast(values, DAYS, regressors)
    assert tried == ["LBFGS", "Newton"]
    assert np.abs(found - truth).sum() / truth.sum() < 0.08
