"""Forecasts of past days beside what came: figures that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from models.forecasting.compared import Compared

NAN = float("nan")

#: Two rows over three days, one and two days ahead: the first is forecast 10 % too high, the second 20 % too low.
CAME = np.repeat(np.array([[10.0, 20.0, NAN], [10.0, 5.0, 10.0]])[:, :, None], 2, axis=2)
TOLD = (np.nan_to_num(CAME) * np.array([1.1, 0.8])[:, None, None]).astype(np.float32)


def compared(**changed: np.ndarray) -> Compared:
    given = {
        "predicted": {"operational": TOLD, "lower_80": TOLD - 1.5, "upper_80": TOLD + 1.5},
        "actual": CAME,
        "censored": np.array([[False, False, False], [False, True, False]]),
        "clusters": np.array(["a", "b"]),
    }
    return Compared(**{**given, **changed})


def test_days_without_report_and_lower_bounds_are_not_judged() -> None:
    found = compared()
    assert found.horizon_days == 2
    assert found.judged[:, :, 0].tolist() == [[True, True, False], [True, False, True]]
    assert found.days_judged(1) == 3
    assert found.errors()["points"].tolist() == [8]


def test_errors_by_group_and_rows() -> None:
    table = compared().errors(np.array(["high", "low"]), horizons=(2,))
    assert table["group"].tolist() == ["high", "high", "low", "low"]
    assert table["mape"].tolist() == pytest.approx([0.1, 0.1, 0.2, 0.2])
    assert table["bias"].tolist() == pytest.approx([0.1, 0.1, -0.2, -0.2])
    only = compared().errors(rows=np.array([False, True]))
    assert only[["series", "points"]].to_numpy().tolist() == [[1, 4]]


def test_coverage_counts_judged_days_inside() -> None:
    """Off by 1, 2 and 2, 2 units: only the first day of the first row is held."""
    [row] = compared().coverage(80).to_dict("records")
    assert (row["coverage"], row["points"]) == (0.25, 8)
    spread = compared().coverage_interval(80)
    assert spread.value == 0.25
    assert spread.low < spread.value < spread.high


def test_intervals_of_errors_draw_whole_clusters() -> None:
    both = np.ones(2, dtype=bool)
    mape, bias = compared().mape_interval(1, both), compared().bias_interval(both)
    assert mape.value == pytest.approx((2 * 0.1 + 2 * 0.2) / 4)
    assert bias.value == pytest.approx((3.0 - 4.0) / 50)
    assert (mape.low, mape.high) == pytest.approx((0.1, 0.2))
    alone = compared(clusters=np.array(["a", "a"])).mape_interval(1, both)
    assert alone.value == mape.value
    assert np.isnan(alone.low), "one cluster says nothing of another"
