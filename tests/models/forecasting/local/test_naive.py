"""The same weekday of the last weeks, against a loop over days."""

from __future__ import annotations

import numpy as np

from models.forecasting.local.naive import seasonal_naive


def test_against_a_loop() -> None:
    rng = np.random.default_rng(0)
    values = rng.poisson(4, (6, 61)).astype(float)
    values[rng.random(values.shape) < 0.4] = np.nan
    found = seasonal_naive(values, 15, weeks=3)
    for row in range(6):
        for step in range(15):
            same = [values[row, day] for day in range(61) if (61 + step - day) % 7 == 0]
            known = [value for value in same if not np.isnan(value)][-3:]
            assert found[row, step] == np.mean(known)


def test_a_weekday_never_known_takes_the_mean_of_the_others() -> None:
    values = np.array([[np.nan, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0] * 4, [np.nan] * 28])
    found = seasonal_naive(values, 8)
    assert found[0].tolist() == [3.5, 1, 2, 3, 4, 5, 6, 3.5]
    assert (found[1] == 0).all()
