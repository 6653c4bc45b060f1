"""The imputer as its users meet it: frames and arrays, new rows, storage, odd tables."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from models.imputation.imputer import BootstrapEMImputer
from models.imputation.panel import Panel
from models.imputation.priors import CellPrior


def plant(n: int = 400, seed: int = 0) -> pd.DataFrame:
    """Measurements of every kind, with missing cells and columns that nothing can be done with."""
    rng = np.random.default_rng(seed)
    load = rng.normal(size=n)
    table = pd.DataFrame({
        "part": [f"p{i}" for i in range(n)],
        "line": rng.choice(["A", "B", "C"], n),
        "time": pd.date_range("2026-01-01", periods=n, freq="h"),
        "heat": 80 + 3 * load + rng.normal(size=n),
        "dust": np.exp(0.5 * load + 0.4 * rng.normal(size=n)),
        "yield": 1 / (1 + np.exp(-load - rng.normal(size=n))),
        "grade": np.digitize(load + 0.5 * rng.normal(size=n), [-1, 0, 1.2]).astype(float),
        "alloy": np.where(load + rng.normal(size=n) > 0.5, "hard", np.where(rng.random(n) < 0.3, "mid", "soft")),
        "fixed": 7.0,
        "never": np.nan,
        "serial": [f"s{i % 60}" for i in range(n)],
    })  # fmt: skip
    table["heat_f"] = table["heat"] * 1.8 + 32
    for column in ("heat", "dust", "yield", "grade", "alloy", "fixed", "heat_f", "serial"):
        table.loc[rng.random(n) < 0.2, column] = np.nan
    return table


OPTIONS = {
    "transforms": {"dust": "log", "yield": "logistic", "grade": "ordinal"},
    "bounds": {"heat": (70.0, 90.0), "dust": (0.05, 5.0)},
    "ignore": ["part", "line", "time"],
    "random_state": 3,
}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return plant()


@pytest.fixture(scope="module")
def imputer(table) -> BootstrapEMImputer:
    return BootstrapEMImputer(4, **OPTIONS).fit(table)


def test_observed_cells_are_never_changed_and_missing_ones_filled(table, imputer):
    completed = imputer.completed_
    assert len(completed) == 4
    for one in completed:
        assert list(one.columns) == list(table.columns)
        for column in table.columns:
            seen = table[column].notna()
            pd.testing.assert_series_equal(one.loc[seen, column], table.loc[seen, column], check_dtype=False)
            assert one[column].isna().any() == (column in ("never", "serial")), column
        gone = table["heat"].isna()
        assert one.loc[gone, "heat"].between(70, 90).all()
        assert one.loc[table["dust"].isna(), "dust"].between(0.05, 5).all()
        assert one.loc[table["yield"].isna(), "yield"].between(0, 1, inclusive="neither").all()
        assert set(one["grade"]) == {0.0, 1.0, 2.0, 3.0}
        assert set(one["alloy"]) == {"hard", "mid", "soft"}
        assert (one["fixed"] == 7).all()
    assert (completed[0]["heat"] != completed[1]["heat"]).any()


def test_every_column_is_named_with_what_is_done_with_it(table, imputer):
    found = imputer.report_.preflight.table().set_index("column")
    assert list(found.index) == list(table.columns)
    assert found["action"].to_dict() == {
        "part": "passed_on", "line": "passed_on", "time": "passed_on", "heat": "modelled", "dust": "modelled",
        "yield": "modelled", "grade": "modelled", "alloy": "modelled", "fixed": "filled", "never": "left_out",
        "serial": "left_out", "heat_f": "modelled",
    }  # fmt: skip
    problems = {one.column: one.problem for one in imputer.report_.preflight.problems}
    assert problems == {
        "fixed": "constant", "never": "all_missing", "serial": "too_many_categories", "heat": "collinear",
        "heat_f": "collinear",
    }  # fmt: skip
    assert "60 categories, at most 10" in found.loc["serial", "words"]
    assert set(imputer.report_.reference.flat_columns) == {"heat", "heat_f"}
    assert imputer.report_.converged


def test_a_collinear_column_is_filled_from_its_partner(table, imputer):
    one = imputer.completed_[0]
    # Fahrenheit is missing where Celsius was seen, and the other way round, unless a bound holds it.
    either = table["heat"].isna() ^ table["heat_f"].isna()
    free = either & one["heat"].between(70.5, 89.5)
    error = one.loc[free, "heat_f"] - (one.loc[free, "heat"] * 1.8 + 32)
    assert free.sum() > 80
    assert error.abs().max() < 0.01


def test_same_seed_same_bytes_whatever_the_threads(table, imputer):
    again = BootstrapEMImputer(4, **OPTIONS, n_jobs=3).fit(table).completed_
    for one, other in zip(imputer.completed_, again, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    different = BootstrapEMImputer(4, **(OPTIONS | {"random_state": 4})).fit(table).completed_[0]
    assert (different["heat"] != again[0]["heat"]).any()


def test_new_rows_are_imputed_by_the_stored_model(table, imputer):
    stored = skops.io.dumps(imputer)
    types = skops.io.get_untrusted_types(data=stored)
    assert all(name.startswith("models.") for name in types)
    loaded = skops.io.loads(stored, trusted=types)
    with pytest.raises(ValueError, match="does not hold its table"):
        loaded.iter_completed()
    new = plant(50, seed=9)
    ours, theirs = (one.complete(new, seed=20260102) for one in (imputer, loaded))
    for a, b in zip(ours, theirs, strict=True):
        pd.testing.assert_frame_equal(a, b, check_exact=True)
    assert not ours[0][["heat", "dust", "alloy"]].isna().any().any()
    other_day = imputer.complete(new, seed=20260103)
    assert (other_day[0]["heat"] != ours[0]["heat"]).any()
    assert len(imputer.complete(new, 9)) == 9
    pd.testing.assert_frame_equal(loaded.transform(new), imputer.transform(new), check_exact=True)


def test_a_new_category_is_left_as_it_is(imputer):
    new = plant(30, seed=11)
    new.loc[new.index[0], "alloy"] = "exotic"
    assert imputer.complete(new)[0]["alloy"].iloc[0] == "exotic"


def test_categories_and_levels_come_as_often_as_they_should():
    rng = np.random.default_rng(21)
    n = 6000
    load = rng.normal(size=n)
    truth = pd.DataFrame({
        "load": load,
        "rare": np.where(load + rng.normal(size=n) > 2.2, "yes", "no"),
        "grade": np.digitize(load + rng.normal(size=n), [1.0, 2.0]),
    })  # fmt: skip
    holes = truth.astype({"grade": float})
    gone = rng.random(n) < 0.5
    holes.loc[gone, ["rare", "grade"]] = np.nan
    one = BootstrapEMImputer(2, transforms={"grade": "ordinal"}).fit(holes).completed_[0]
    share = (one.loc[gone, "rare"] == "yes").mean()
    assert share == pytest.approx((truth.loc[gone, "rare"] == "yes").mean(), abs=0.02)
    for grade in (0, 1, 2):
        at = (one.loc[gone, "grade"] == grade).mean()
        assert at == pytest.approx((truth.loc[gone, "grade"] == grade).mean(), abs=0.03)
    assert one.loc[gone, "load"].corr(one.loc[gone, "grade"]) == pytest.approx(
        truth.loc[gone, "load"].corr(truth.loc[gone, "grade"]), abs=0.05
    )


def test_arrays_give_arrays_equal_to_frames():
    rng = np.random.default_rng(31)
    values = rng.normal(size=(200, 3)) @ rng.normal(size=(3, 3))
    values[rng.random((200, 3)) < 0.2] = np.nan
    plain = BootstrapEMImputer(2).fit(values)
    framed = BootstrapEMImputer(2).fit(pd.DataFrame(values))
    bounded = BootstrapEMImputer(2, bounds={0: (-100.0, 100.0)}).fit(values)
    for array, frame, other in zip(plain.completed_, framed.completed_, bounded.completed_, strict=True):
        assert isinstance(array, np.ndarray)
        np.testing.assert_array_equal(array, frame.to_numpy())
        np.testing.assert_array_equal(array, other)
        np.testing.assert_array_equal(array[~np.isnan(values)], values[~np.isnan(values)])


def test_a_prior_moves_its_cell_and_its_likes():
    rng = np.random.default_rng(41)
    x = rng.normal(size=200)
    values = np.column_stack([x, x + 0.5 * rng.normal(size=200)])
    values[:20, 1] = np.nan
    sure = [CellPrior(3, 1, 40.0, 1e-6)]
    fitted = BootstrapEMImputer(3, priors=sure, ridge=0.0).fit(values)
    assert all(one[3, 1] == pytest.approx(40, abs=1e-4) for one in fitted.completed_)
    with pytest.raises(ValueError, match="row 50, column 1 is observed"):
        BootstrapEMImputer(2, priors=[CellPrior(50, 1, 0.0, 1.0)]).fit(values)
    wide = CellPrior.from_range(3, 1, 30.0, 50.0)
    assert wide.mean == 40
    assert wide.sd == pytest.approx(10 / 1.959964, rel=1e-6)


@pytest.mark.parametrize(
    "kind", ["wide", "one column", "constant", "empty rows", "huge scale", "two rows seen"]
)
def test_odd_tables_never_crash(kind):
    rng = np.random.default_rng(51)
    values = rng.normal(size=(40, 4))
    values[rng.random((40, 4)) < 0.2] = np.nan
    if kind == "wide":
        values = rng.normal(size=(15, 30))
        values[rng.random((15, 30)) < 0.1] = np.nan
    elif kind == "one column":
        values = values[:, :1]
    elif kind == "constant":
        values[:, 1] = np.where(np.isnan(values[:, 1]), np.nan, 3.0)
    elif kind == "empty rows":
        values[:5] = np.nan
    elif kind == "huge scale":
        values *= [1e-12, 1e12, 1.0, 1e6]
    else:
        values[:, 0] = np.nan
        values[:2, 0] = [1.0, 2.0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        imputer = BootstrapEMImputer(3, min_observed=2).fit(values)
        for one in imputer.completed_:
            assert np.isfinite(one).all()
    if kind == "wide":
        assert imputer.report_.preflight.ridge == 0.01
        assert "15 rows for 495 parameters" in imputer.report_.preflight.notes[0]
    if kind == "empty rows":
        assert "5 rows have nothing observed" in imputer.report_.preflight.notes[0]


def test_caps_end_up_in_the_report():
    values = plant().select_dtypes("number").drop(columns=["never"])
    imputer = BootstrapEMImputer(2, max_iter=1).fit(values)
    assert not imputer.report_.converged
    assert set(imputer.report_.table()["stopped_by"]) == {"max_iter"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"m": 0}, "m must be at least 1, got 0"),
        ({"ridge": -1.0}, "ridge must be prior rows per row of data"),
        ({"tolerance": 0.0}, "tolerance must be positive"),
        ({"transforms": {"heat": "cube"}}, "a transform must be one of"),
        ({"transforms": {"cold": "log"}}, r"must name columns of the table, got \['cold'\]"),
        ({"bounds": {"alloy": (0, 1)}}, "bounds must name modelled columns"),
        ({"bounds": {"heat": (5, 1)}}, "a lower bound must be below the upper one"),
        ({"panel": Panel(time="never", degree=1)}, "the time of a panel must be known in every row"),
    ],
)
def test_errors_say_what_must_hold(table, options, message):
    with pytest.raises(ValueError, match=message):
        BootstrapEMImputer(**options).fit(table)


def test_impossible_transforms_name_the_column(table):
    with pytest.raises(ValueError, match=r"column 'heat' must lie in 0\.\.1 for 'logistic'"):
        BootstrapEMImputer(transforms={"heat": "logistic"}).fit(table)
    negative = table.assign(heat=-table["heat"])
    with pytest.raises(ValueError, match="column 'heat' must not be negative for 'log'"):
        BootstrapEMImputer(transforms={"heat": "log"}).fit(negative)
    with pytest.raises(ValueError, match="none called"):
        BootstrapEMImputer(2).fit(table[["heat", "dust"]]).complete(table[["heat"]])
    with pytest.raises(ValueError, match="must be finite or missing"):
        BootstrapEMImputer(2).fit(table[["dust"]].assign(heat=np.inf))
    with pytest.raises(ValueError, match="at least one column must be fit to be modelled"):
        BootstrapEMImputer(2).fit(table[["never", "fixed"]])


def test_follows_the_conventions_of_scikit_learn(table):
    imputer = BootstrapEMImputer(2, **OPTIONS)
    with pytest.raises(NotFittedError):
        imputer.complete(table)
    copy = clone(imputer)
    assert copy.get_params() == imputer.get_params()
    assert copy.fit(table) is copy
    assert copy.n_features_in_ == table.shape[1]
    filled = copy.fit_transform(table)
    assert not filled[["heat", "dust"]].isna().any().any()
