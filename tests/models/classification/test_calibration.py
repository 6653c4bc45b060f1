"""Calibration finds the truth, keeps the ranking, and keeps its hands off small samples."""

from __future__ import annotations

import numpy as np
import pytest

from models.classification.calibration import LogitCalibration


def sample(n, slope, intercept, seed=0):
    rng = np.random.default_rng(seed)
    raw = rng.normal(-1, 1.5, n)
    return raw, rng.random(n) < 1 / (1 + np.exp(-(slope * raw + intercept)))


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.5, -0.4), (1.8, 0.7)])
def test_finds_slope_and_intercept(slope, intercept):
    found = LogitCalibration.fit(*sample(200_000, slope, intercept))
    assert found.slope == pytest.approx(slope, abs=0.03)
    assert found.intercept == pytest.approx(intercept, abs=0.03)


def test_ranking_is_kept_even_if_the_raw_score_is_upside_down():
    raw, y = sample(5000, -1.0, 0.0)
    found = LogitCalibration.fit(raw, y)
    assert found.slope > 0
    assert np.all(np.diff(found(np.sort(raw))) >= 0)


def test_few_events_leave_scores_as_they_are():
    raw, y = sample(150, 2.0, -1.0)
    assert y.sum() < 50
    assert LogitCalibration.fit(raw, y) == LogitCalibration(1.0, 0.0)
    assert LogitCalibration.fit(raw, y, min_positives=5) != LogitCalibration(1.0, 0.0)


def test_a_lasting_distortion_is_corrected():
    raw, y = sample(20_000, 0.5, -0.4)
    found = LogitCalibration.fit_over_folds(raw, y, np.arange(20_000) % 4)
    assert found == LogitCalibration.fit(raw, y)
    assert found.slope == pytest.approx(0.5, abs=0.05)


def test_a_passing_shift_is_not_believed():
    # The level of risk swings between folds: what three folds say misleads on the fourth.
    swings = [-0.6, 0.6, -0.6, 0.6]
    parts = [sample(20_000, 1.0, swing, seed) for seed, swing in enumerate(swings)]
    raw, y = (np.concatenate(column) for column in zip(*parts, strict=True))
    fold = np.repeat(np.arange(4), 20_000)
    assert LogitCalibration.fit_over_folds(raw, y, fold) == LogitCalibration(1.0, 0.0)


def test_no_folds_no_calibration():
    none = np.empty(0)
    found = LogitCalibration.fit_over_folds(none, none.astype(bool), none.astype(np.intp))
    assert found == LogitCalibration(1.0, 0.0)
