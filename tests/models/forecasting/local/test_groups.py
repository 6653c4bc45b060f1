"""Every series gets a forecast and a reason, whatever it is and whatever a library does."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from models.forecasting.local import LOCAL_MODELS, catalogue, forecast_group, groups, pack, unpack
from models.forecasting.panel import Panel

ROUTED = {
    1: "fallback_zero",
    2: "fallback_constant",
    3: "fallback_short",
    4: "fallback_spike",
    5: "fallback_zero",
    11: "fallback_closed",
}


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per series."""
    return frame.drop_duplicates("row").set_index("row")


@pytest.mark.parametrize("model", LOCAL_MODELS)
def test_every_series_gets_a_forecast_and_a_reason(model: str, panel: Panel) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = forecast_group(pack(panel, model))
    ahead = unpack(result)
    assert ahead.shape == (12, 15)
    assert np.isfinite(ahead).all()
    assert (ahead >= 0).all()
    assert (ahead[~panel.open[:, -15:]] == 0).all()
    by_row = summary(result)
    assert by_row["reason"].str.len().min() > 0
    assert (by_row["seconds"] > 0).all()
    assert {row: by_row["used"][row] for row in ROUTED} == ROUTED
    rest = [row for row in range(12) if row not in ROUTED]
    assert set(by_row["used"][rest]) == {model}
    if not model.startswith("fallback"):
        assert set(by_row["reason"][rest]) == {"fitted"}
        level = panel.y[0, panel.open[0, :140] & (panel.promo[0, :140] == 0)].mean()
        open_days = panel.open[0, -15:] & (panel.promo[0, -15:] == 0)
        assert ahead[0, open_days].mean() == pytest.approx(level, rel=0.3)
        assert 2 < ahead[7].mean() < 12, "a month out of stock is no month without demand"
        assert ahead[8].mean() > 4


@pytest.mark.parametrize("model", ["tsb", "ets", "sarima", "prophet", "average"])
def test_promotions_ahead_raise_the_forecast(model: str, panel: Panel) -> None:
    ahead = unpack(forecast_group(pack(panel.take(np.array([0])), model)))[0]
    promoted = panel.promo[0, -15:] > 0
    weekday = np.arange(15) % 7
    for day in np.flatnonzero(promoted & panel.open[0, -15:]):
        without = ahead[(weekday == weekday[day]) & ~promoted]
        assert 1.3 < ahead[day] / without.mean() < 3


def test_a_series_does_not_depend_on_its_group(panel: Panel) -> None:
    models = ["sarima", "ets", "tsb", "average", "prophet", "seasonal_naive"] * 2
    together = unpack(forecast_group(pack(panel, models)))
    for row in (0, 6, 7, 8, 9):
        alone = forecast_group(pack(panel.take(np.array([row])), [models[row]]))
        np.testing.assert_array_equal(unpack(alone)[0], together[row])


def failing(error: BaseException) -> Callable[..., object]:
    def fit(group: object, row: int) -> object:
        raise error

    return fit


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (np.linalg.LinAlgError("singular\n  matrix"), "ets failed: LinAlgError: singular matrix"),
        (RuntimeError("Stan went away"), "ets failed: RuntimeError: Stan went away"),
        (ZeroDivisionError("division by zero"), "ets failed: ZeroDivisionError: division by zero"),
    ],
)
def test_where_a_library_fails_the_last_weeks_stand_in(
    error: Exception, words: str, panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    naive = unpack(forecast_group(pack(panel, "seasonal_naive")))
    monkeypatch.setitem(catalogue.PER_SERIES, "ets", failing(error))
    result = forecast_group(pack(panel, ["ets"] * 11 + ["tsb"]))
    assert summary(result)["reason"][0] == words
    assert summary(result)["used"][0] == "seasonal_naive"
    np.testing.assert_array_equal(unpack(result)[0], naive[0])


def test_a_forecast_that_is_not_finite_is_none(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalogue.PER_SERIES, "ets", lambda group, row: (np.full(15, np.inf), "ANA"))
    result = summary(forecast_group(pack(panel, "ets")))
    assert result["reason"][0] == "ets failed: FloatingPointError: the forecast is not finite"
    assert result["used"][0] == "seasonal_naive"
    assert result["order"][0] == ""


def test_an_error_of_our_own_stops_the_run(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalogue.PER_SERIES, "ets", failing(KeyError("expected")))
    with pytest.raises(KeyError, match="expected"):
        forecast_group(pack(panel, "ets"))


def test_a_series_that_takes_too_long_is_left(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(group: object, row: int) -> object:
        while True:
            pass

    monkeypatch.setitem(catalogue.PER_SERIES, "ets", slow)
    monkeypatch.setattr(groups, "SECONDS_PER_SERIES", 0.05)
    result = summary(forecast_group(pack(panel.take(np.array([0])), "ets")))
    assert result["reason"].tolist() == ["ets failed: FitTimeout: more than 0.05 s of CPU"]
    assert result["used"].tolist() == ["seasonal_naive"]


def test_orders_are_those_given_and_wrong_ones_are_told(panel: Panel) -> None:
    orders = ["", "", "", "", "", "", "(0,1,1)(0,0,0)", "auto", *[""] * 4]
    result = summary(forecast_group(pack(panel, "sarima", orders)))
    assert result["order"][6] == "(0,1,1)(0,0,0)"
    assert result["order"][0] == "(1,0,1)(0,1,1)"
    assert (
        result["reason"][7] == "sarima failed: ValueError: an order must look like (1,0,1)(0,1,1), got 'auto'"
    )


def test_no_rows_tell_the_columns(panel: Panel) -> None:
    packed = pack(panel, "tsb")
    empty, full = forecast_group(packed.iloc[:0]), forecast_group(packed)
    assert empty.empty
    assert empty.dtypes.to_dict() == full.dtypes.to_dict()


def test_a_model_that_is_none_is_refused(panel: Panel) -> None:
    with pytest.raises(ValueError, match=r"model must be one of seasonal_naive, .*, got magic"):
        forecast_group(pack(panel, ["magic"] + ["tsb"] * 11))
