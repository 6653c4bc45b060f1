"""Curves against scikit-learn and against the metrics they illustrate."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve as sklearn_curve

from models.evaluation.curves import calibration_curve, gain_curve, precision_recall_curve
from models.evaluation.metrics import auc_pr, expected_calibration_error, recall_at_top


def data(n: int = 3000):
    rng = np.random.default_rng(0)
    p = rng.beta(1, 8, n).round(3)
    return rng.random(n) < p, p


def test_every_point_lies_on_scikit_learns_curve():
    y, p = data()
    curve = precision_recall_curve(y, p, points=50)
    precision, recall, _ = sklearn_curve(y, p)
    exact = set(zip(recall.round(10), precision.round(10), strict=True))
    assert {*zip(curve["recall"].round(10), curve["precision"].round(10), strict=True)} <= exact
    assert len(curve["recall"]) <= 50
    assert curve["recall"][-1] == 1


def test_unthinned_curve_has_the_area_of_the_metric():
    y, p = data()
    curve = precision_recall_curve(y, p, points=100_000)
    area = np.diff(curve["recall"], prepend=0) @ curve["precision"]
    assert area == pytest.approx(auc_pr(y, p))


def test_gain_is_recall_at_each_share():
    y, p = data()
    curve = gain_curve(y, p, points=11)
    for share, recall, lift in zip(curve["share"][1:], curve["recall"][1:], curve["lift"][1:], strict=True):
        assert recall == pytest.approx(recall_at_top(y, p, share))
        assert lift == pytest.approx(recall / share)
    assert curve["recall"][0] == 0
    assert np.isnan(curve["lift"][0])


def test_calibration_bins_hold_all_rows_and_agree_with_the_error():
    y, p = data()
    curve = calibration_curve(y, p)
    assert curve["n"].sum() == len(y)
    assert np.all(np.diff(curve["predicted"]) > 0)
    assert np.all((curve["low"] <= curve["observed"]) & (curve["observed"] <= curve["high"]))
    error = (curve["n"] * np.abs(curve["observed"] - curve["predicted"])).sum() / len(y)
    assert error == pytest.approx(expected_calibration_error(y, p))


def test_without_events_curves_are_empty_not_wrong():
    y, p = np.zeros(10), np.linspace(0, 1, 10)
    assert len(precision_recall_curve(y, p)["recall"]) == 0
    assert np.isnan(gain_curve(y, p)["recall"]).all()
    assert (calibration_curve(y, p, bins=2)["observed"] == 0).all()
