"""TSB against a loop, and what it is for."""

from __future__ import annotations

import numpy as np
import pytest

from models.forecasting.local.intermittent import tsb


def loop(values: np.ndarray, alpha: float, beta: float) -> tuple[float, float]:
    """Forecast and in-sample squared error of one series, by the book."""
    known = values[~np.isnan(values)]
    size = known[known > 0].mean() if (known > 0).any() else 0.0
    chance = (known > 0).mean() if len(known) else 0.0
    error = 0.0
    for value in known:
        error += (value - size * chance) ** 2
        if value > 0:
            size += alpha * (value - size)
            chance += beta * (1 - chance)
        else:
            chance += beta * (0 - chance)
    return size * chance, error


def sporadic() -> np.ndarray:
    rng = np.random.default_rng(1)
    values = rng.poisson(3, (8, 90)) * (rng.random((8, 90)) < rng.uniform(0.05, 0.9, (8, 1))).astype(float)
    values[2, 10:40] = np.nan
    return values


@pytest.mark.parametrize(("alpha", "beta"), [(0.1, 0.05), (0.3, 0.2)])
def test_against_a_loop(alpha: float, beta: float) -> None:
    values = sporadic()
    found = tsb(values, 3, size_smoothing=(alpha,), chance_smoothing=(beta,))
    expected = [loop(row, alpha, beta)[0] for row in values]
    np.testing.assert_allclose(found, np.repeat(np.array(expected)[:, None], 3, axis=1))


def test_each_series_takes_the_smoothing_that_fits_it() -> None:
    values = sporadic()
    found = tsb(values, 1, size_smoothing=(0.05, 0.3), chance_smoothing=(0.02, 0.2))[:, 0]
    for row, forecast in zip(values, found, strict=True):
        tried = [loop(row, alpha, beta) for alpha in (0.05, 0.3) for beta in (0.02, 0.2)]
        assert forecast == pytest.approx(min(tried, key=lambda pair: pair[1])[0])


def test_the_forecast_of_an_article_that_stopped_selling_falls() -> None:
    selling = np.tile([0.0, 5.0, 0.0], 40)[None, :]
    stopped = np.hstack([selling, np.zeros((1, 60))])
    assert tsb(stopped, 1)[0, 0] < 0.3 * tsb(selling, 1)[0, 0]


def test_series_without_sales_or_days() -> None:
    values = np.array([[0.0, 0.0, 0.0], [np.nan, np.nan, np.nan]])
    assert tsb(values, 2).tolist() == [[0, 0], [0, 0]]
