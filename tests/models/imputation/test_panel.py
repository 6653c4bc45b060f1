"""Columns of a panel against pandas, and that they help."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models.imputation.imputer import BootstrapEMImputer
from models.imputation.panel import Panel, PanelColumns


def panel(seed: int = 0) -> pd.DataFrame:
    """Eight machines over thirty days, each with its own level and trend, in no order."""
    rng = np.random.default_rng(seed)
    machine, day = (grid.ravel() for grid in np.meshgrid(np.arange(8), np.arange(30), indexing="ij"))
    level, trend = rng.normal(0, 5, 8), rng.normal(0, 0.3, 8)
    table = pd.DataFrame({
        "machine": np.array([f"m{k}" for k in machine]),
        "day": pd.Timestamp("2026-03-01") + pd.to_timedelta(day, unit="D"),
        "wear": level[machine] + trend[machine] * day + rng.normal(0, 0.5, 240),
        "noise": rng.normal(size=240),
    })  # fmt: skip
    return table.sample(frac=1, random_state=seed).reset_index(drop=True)


def test_lags_and_leads_are_the_neighbours_of_the_unit():
    table = panel()
    table.loc[table.index % 7 == 0, "wear"] = np.nan
    found = PanelColumns(Panel("day", "machine", lags=["wear"], leads=["wear"])).fit(table)
    ordered = table.sort_values(["machine", "day"], kind="stable")
    beside = ordered.groupby("machine")["wear"]
    expected = np.column_stack([beside.shift(1).reindex(table.index), beside.shift(-1).reindex(table.index)])
    np.testing.assert_array_equal(found.build(table), expected)
    assert found.names_ == ["lag(wear)", "lead(wear)"]


def test_polynomials_and_intercepts_span_what_they_name():
    table = panel()
    common = PanelColumns(Panel("day", degree=3)).fit(table)
    assert common.names_ == ["time^1", "time^2", "time^3"]
    built = common.build(table)
    assert np.abs(built).max() <= 1
    day = (table["day"] - table["day"].min()).dt.days.to_numpy()
    rest = (
        day**2
        - np.column_stack([np.ones(240), built])
        @ np.linalg.lstsq(np.column_stack([np.ones(240), built]), day**2, rcond=None)[0]
    )
    assert np.abs(rest).max() < 1e-8
    own = PanelColumns(Panel("day", "machine", degree=1, intercepts=True)).fit(table)
    assert len(own.names_) == 7 + 8
    matrix = np.column_stack([np.ones(240), own.build(table)])
    assert np.linalg.matrix_rank(matrix) == 16
    levels = PanelColumns(Panel(unit="machine", intercepts=True)).fit(table)
    assert levels.names_ == [f"unit=m{k}" for k in range(1, 8)]


def test_a_unit_never_seen_has_no_level_of_its_own():
    table = panel()
    found = PanelColumns(Panel(unit="machine", intercepts=True)).fit(table)
    stranger = table.head(1).assign(machine="m99")
    assert (found.build(stranger) == 0).all()


def test_trends_of_units_help_and_the_result_has_no_more_columns():
    table = panel()
    gone = np.random.default_rng(1).random(240) < 0.2
    holes = table.assign(wear=table["wear"].where(~gone))
    errors = {}
    for name, given in (("plain", None), ("panel", Panel("day", "machine", degree=1, intercepts=True))):
        filled = BootstrapEMImputer(2, panel=given, ignore=["machine", "day"] if given is None else []).fit(
            holes
        )
        found = filled.transform(holes)
        assert list(found.columns) == list(table.columns)
        errors[name] = float(np.sqrt(np.mean((found.loc[gone, "wear"] - table.loc[gone, "wear"]) ** 2)))
    assert errors["panel"] < 0.8
    assert errors["plain"] > 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"degree": 4, "time": "day"}, "degree must be in 0..3, got 4"),
        ({"intercepts": True}, "intercepts need a unit"),
        ({"lags": ["wear"]}, "lags and leads need a time"),
    ],
)
def test_panels_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Panel(**options)
    with pytest.raises(ValueError, match="'shift', which is not in the table"):
        PanelColumns(Panel(unit="shift", intercepts=True)).fit(panel())
