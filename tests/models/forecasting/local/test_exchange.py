"""Series become rows and forecasts become a matrix again."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

from models.forecasting.local import pack, unpack
from models.forecasting.local.exchange import GROUP_SIZES
from models.forecasting.local.matrices import Group
from models.forecasting.panel import Panel


def test_a_row_holds_what_its_model_needs(panel: Panel) -> None:
    models = ["prophet"] * 6 + ["tsb"] * 6
    packed = pack(panel, models, [""] * 5 + ["(1,0,0)(0,1,1)"] + [""] * 6).sort_values(
        "row", ignore_index=True
    )
    group = Group.of(packed)
    assert packed["as_of"].unique().tolist() == ["2025-03-10"]
    np.testing.assert_array_equal(group.days, panel.days)
    assert group.weekday[panel.n_history] == 0  # a Monday
    np.testing.assert_array_equal(group.opened, panel.open)
    np.testing.assert_array_equal(group.promo, panel.promo)
    assert group.orders[5] == "(1,0,0)(0,1,1)"
    assert sorted(group.regressors[0]) == ["day_before_holiday", "is_public_holiday"]
    np.testing.assert_array_equal(
        group.regressors[3]["is_public_holiday"], panel.calendar["is_public_holiday"][1]
    )
    assert group.regressors[6] == {}, "others learn nothing from the calendar"


def test_groups_are_of_one_model_and_bounded(panel: Panel) -> None:
    rows = np.tile(np.arange(12), 10)
    models = np.where(np.arange(120) % 2, "prophet", "seasonal_naive").tolist()
    packed = pack(panel.take(rows), models)
    assert packed["group"].is_monotonic_increasing
    assert (packed.groupby("group")["model"].nunique() == 1).all()
    assert packed.groupby("group").size().to_dict() == {
        "prophet-00000": GROUP_SIZES["prophet"],
        "prophet-00001": GROUP_SIZES["prophet"],
        "prophet-00002": GROUP_SIZES["prophet"],
        "seasonal_naive-00000": 60,
    }
    assert sorted(packed["row"]) == list(range(120))


def test_series_of_a_store_share_its_lists(panel: Panel) -> None:
    many = pack(panel.take(np.tile(np.arange(12), 50)), "prophet")
    for column in ("regressors", "open"):
        assert len(many[column].map(id).unique()) == 3
        assert len(pickle.dumps(many[column].to_list())) < 10_000 + 600 * 4


def test_a_panel_without_calendar_is_open_every_day(panel: Panel) -> None:
    bare = Panel(
        panel.series,
        panel.days,
        panel.n_history,
        panel.y,
        panel.censored,
        panel.promo,
        panel.price,
        panel.store,
    )
    group = Group.of(pack(bare, "prophet"))
    assert group.opened.all()
    assert group.regressors == [{}] * 12


def test_models_and_orders_are_one_per_series(panel: Panel) -> None:
    with pytest.raises(ValueError, match="models and orders must have 12 entries"):
        pack(panel, ["ets"] * 3)
    with pytest.raises(ValueError, match="models and orders must have 12 entries"):
        pack(panel, "sarima", ["(1,0,1)(0,1,1)"])


def test_forecasts_become_a_matrix_in_the_order_of_the_rows() -> None:
    frame = pd.DataFrame({"row": [2, 0, 2, 0], "step": [1, 0, 0, 1], "forecast": [21, 0, 20, 1.0]})
    assert unpack(frame).tolist() == [[0, 1], [20, 21]]
    assert unpack(frame.iloc[:0]).shape == (0, 0)
    with pytest.raises(ValueError, match=r"steps 0\.\.1 once; offending rows: \[0\] of 1"):
        unpack(frame.iloc[:3])
    with pytest.raises(ValueError, match="once; offending rows"):
        unpack(frame.assign(step=[1, 1, 0, 1]))
