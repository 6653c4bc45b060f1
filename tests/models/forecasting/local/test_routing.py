"""Series that no model is fitted to get a named fallback."""

from __future__ import annotations

import numpy as np
import pytest

from models.forecasting.local.routing import FALLBACKS, LEAST_DAYS, REASONS, fallback_forecast, route

NAN = float("nan")
USUAL = np.tile([1.0, 0, 3], 20)


@pytest.mark.parametrize(
    ("values", "open_ahead", "expected", "forecast"),
    [
        (USUAL, True, "", 0),
        (np.zeros(60), True, "fallback_zero", 0),
        (np.full(60, NAN), True, "fallback_zero", 0),
        (np.full(60, 2.0), True, "fallback_constant", 2),
        (np.where(np.arange(60) % 2, NAN, 2.0), True, "fallback_constant", 2),
        (np.r_[np.full(60 - LEAST_DAYS + 1, NAN), USUAL[: LEAST_DAYS - 1]], True, "fallback_short", 4 / 3),
        (np.r_[np.full(60 - LEAST_DAYS, NAN), USUAL[:LEAST_DAYS]], True, "", 0),
        (np.r_[np.full(58, NAN), 2.0, 4.0], True, "fallback_short", 3),
        (np.r_[np.full(57, NAN), 0.0, 0.0, 0.0], True, "fallback_zero", 0),
        (np.r_[np.zeros(30), 50.0, np.zeros(29)], True, "fallback_spike", 0),
        (USUAL, False, "fallback_closed", 0),
        (np.zeros(60), False, "fallback_closed", 0),
    ],
)
def test_routes(values: np.ndarray, open_ahead: bool, expected: str, forecast: float) -> None:
    names = route(values[None, :], np.full((1, 3), open_ahead))
    assert names.tolist() == [expected]
    if expected:
        np.testing.assert_allclose(fallback_forecast(names, values[None, :], 3), [[forecast] * 3], rtol=0.1)


def test_one_open_day_ahead_is_enough() -> None:
    assert route(USUAL[None, :], np.array([[False, False, True]])).tolist() == [""]


def test_every_fallback_says_why() -> None:
    assert set(REASONS) == set(FALLBACKS)
