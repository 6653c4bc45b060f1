"""Seasonal ARIMA with fixed orders against statsmodels, which is slow and right."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.tsa.statespace.sarimax import SARIMAX

from models.forecasting.local.arima import Order, fit, forecast


def daily(length: int = 160, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    level = np.zeros(length)
    for day in range(1, length):
        level[day] = 0.9 * level[day - 1] + rng.normal(0, 1)
    week = np.array([8, 9, 10, 11, 13, 16, 7.0])[np.arange(length) % 7]
    return week + level + rng.normal(0, 1, length)


def oracle(values: np.ndarray, order: Order, start: np.ndarray) -> tuple[float, np.ndarray]:
    """Log-likelihood and forecast of statsmodels, started where our search ended and left to go on."""
    model = SARIMAX(
        values,
        order=(order.p, order.d, order.q),
        seasonal_order=(order.P, order.D, order.Q, 7),
        trend=None,
        enforce_stationarity=True,
        enforce_invertibility=False,
    )
    variance = np.nanvar(values) / 10
    result = model.fit(start_params=[*start, variance], disp=False, maxiter=100, cov_type="none")
    return float(result.llf), np.asarray(result.forecast(14))


@pytest.mark.parametrize("text", ["(1,0,1)(0,1,1)", "(0,1,1)(0,1,1)", "(1,0,0)(0,1,1)"])
@pytest.mark.parametrize("gaps", [False, True])
def test_likelihood_and_forecasts_are_those_of_statsmodels(text: str, gaps: bool) -> None:
    values = daily()
    if gaps:
        values[[30, 31, 90, 120, 157]] = np.nan
    order = Order.parse(text)
    fitted = fit(values, order)
    likelihood, ahead = oracle(values, order, fitted.coefficients)
    # With gaps ours is the likelihood of the differences that are known, which are fewer.
    if not gaps:
        assert fitted.loglik == pytest.approx(likelihood, abs=0.3)
    np.testing.assert_allclose(forecast(values, fitted, 14), ahead, atol=0.35 if gaps else 0.15)


def test_the_search_does_not_stop_short() -> None:
    """From afar statsmodels must not find a better optimum than ours: statsforecast's own search does stop."""
    from statsforecast.arima import Arima

    values = daily(400, seed=8)
    order = Order.parse("(1,0,1)(0,1,1)")
    ours = fit(values, order).loglik
    theirs = Arima(values, order=(1, 0, 1), seasonal={"order": (0, 1, 1), "period": 7}, method="CSS-ML")
    afar, _ = oracle(values, order, np.array([0.5, -0.2, -0.5]))
    assert ours > afar - 0.3
    assert ours > theirs["loglik"] + 2, "statsforecast's own search is good enough again"


def test_a_mean_is_estimated_without_differencing_only() -> None:
    values = 50 + np.random.default_rng(2).normal(0, 1, 120)
    fitted = fit(values, Order.parse("(1,0,0)(0,0,0)"))
    assert fitted.coefficients[-1] == pytest.approx(50, abs=0.5)
    np.testing.assert_allclose(forecast(values, fitted, 5), 50, atol=0.6)
    assert len(fit(values, Order.parse("(0,1,1)(0,0,0)")).coefficients) == 1
    white = fit(values, Order.parse("(0,0,0)(0,0,0)"))
    np.testing.assert_allclose(forecast(values, white, 3), values.mean())


def test_aicc_prefers_the_order_that_made_the_series() -> None:
    rng = np.random.default_rng(3)
    values = np.zeros(300)
    for day in range(1, 300):
        values[day] = 0.8 * values[day - 1] + rng.normal()
    texts = ["(0,0,0)(0,0,0)", "(1,0,0)(0,0,0)", "(0,0,0)(1,0,0)"]
    assert min(texts, key=lambda text: fit(values, Order.parse(text)).aicc) == "(1,0,0)(0,0,0)"


def test_a_series_too_short_for_the_order_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(1,0,1\)\(0,1,1\) needs 16 days after differencing, got 13"):
        fit(np.arange(20.0), Order.parse("(1,0,1)(0,1,1)"))


def test_orders_are_written_and_read() -> None:
    order = Order.parse(" (2, 1,0)(0,1,2) ".strip())
    assert order == Order(2, 1, 0, 0, 1, 2)
    assert str(order) == "(2,1,0)(0,1,2)"
    for text in ("", "(1,0,1)", "(1,0,-1)(0,1,1)", "auto"):
        with pytest.raises(ValueError, match="an order must look like"):
            Order.parse(text)
