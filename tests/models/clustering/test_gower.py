"""Gower distances against the definition, and what a fitted space does with new rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from models.clustering import gower, kernel
from models.clustering.gower import GowerSpace, gower_distances
from models.clustering.kinds import Kind, infer_kinds

MIXED = {"x": "numeric", "o": "ordinal", "w": "nominal", "a": "asymmetric_binary", "s": "symmetric_binary"}
WEIGHTS = {"x": 2.0, "w": 0.5, "a": 3.0, "s": 0.0}

values = st.fixed_dictionaries(
    {
        "x": st.one_of(st.none(), st.floats(-1e3, 1e3).map(lambda value: round(value, 2))),
        "o": st.one_of(st.none(), st.integers(1, 5)),
        "w": st.one_of(st.none(), st.sampled_from(["red", "green", "blue"])),
        "a": st.one_of(st.none(), st.booleans()),
        "s": st.one_of(st.none(), st.booleans()),
    }
)


def by_definition(rows, weights):
    """One pair and one variable at a time."""
    known = {name: [row[name] for row in rows if row[name] is not None] for name in "xo"}
    spread = {name: (max(found) - min(found) if found else 0) or 1 for name, found in known.items()}
    out = np.zeros((len(rows), len(rows)))
    for i, p in enumerate(rows):
        for j, q in enumerate(rows):
            top = bottom = 0.0
            for name in MIXED:
                if p[name] is None or q[name] is None or (name == "a" and not p[name] and not q[name]):
                    continue
                weight = weights.get(name, 1.0)
                bottom += weight
                top += weight * (
                    abs(p[name] - q[name]) / spread[name] if name in spread else p[name] != q[name]
                )
            out[i, j] = 0.0 if i == j else top / bottom if bottom else np.nan
    return out


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(values, min_size=2, max_size=12), weights=st.sampled_from([{}, WEIGHTS]))
def test_distances_are_what_the_definition_says(rows, weights):
    frame = pd.DataFrame(rows, columns=list(MIXED), dtype=object)
    found = gower_distances(frame, MIXED, weights=weights)
    assert_allclose(found, by_definition(rows, weights), atol=1e-12)


@pytest.mark.parametrize(("chunk_rows", "n_jobs"), [(1, 1), (7, 2), (None, 2), (1000, 1)])
def test_blocks_tiles_and_threads_change_nothing(stores, kinds, monkeypatch, chunk_rows, n_jobs):
    whole = gower_distances(stores, kinds)
    monkeypatch.setattr(gower, "TILE", 31)
    space = GowerSpace(kinds, chunk_rows=chunk_rows, n_jobs=n_jobs).fit(stores)
    assert np.array_equal(space.pairwise(stores), whole)
    assert_allclose(space.pairwise(stores.head(40), stores), whole[:40], atol=1e-15)


def test_single_precision_is_as_near_as_it_can_be(stores, kinds):
    exact, single = gower_distances(stores, kinds), gower_distances(stores, kinds, dtype="float32")
    assert single.dtype == np.float32
    assert np.array_equal(single, exact.astype(np.float32))


def test_new_rows_keep_the_fitted_ranges_and_categories(stores, kinds):
    space = GowerSpace(kinds).fit(stores)
    new = stores.head(2).copy()
    new.loc["S000", "turnover"] = stores["turnover"].max() + 2 * np.ptp(stores["turnover"].dropna())
    new.loc["S000", "type"] = "never seen"
    found = space.mean_by_variable(space.encode(new), space.encode(stores))
    assert found[0, 0] > 2  # further away than any two fitted rows
    assert found[0, 3] == 1.0
    assert 0 < found[1, 3] < 1


def test_rows_that_share_nothing_have_no_distance():
    frame = pd.DataFrame({"x": [1.0, np.nan, 2.0], "w": [None, "a", "b"]})
    found = gower_distances(frame)
    assert np.isnan(found[0, 1])
    assert np.isfinite(found[[0, 1], [2, 2]]).all()
    assert (np.diag(found) == 0).all()


def test_columns_that_say_nothing_are_named():
    frame = pd.DataFrame({"x": [1.0, 2.0], "flat": [3.0, 3.0], "none": [np.nan, np.nan]})
    space = GowerSpace().fit(frame)
    assert (space.constant_, space.empty_) == (["flat"], ["none"])
    assert space.pairwise(frame)[0, 1] == 0.5  # as in daisy: alike in the constant column


def test_whole_numbers_with_gaps_are_the_same_categories():
    whole = pd.DataFrame({"zone": [1, 2, 3]})
    space = GowerSpace({"zone": "nominal"}).fit(whole)
    gaps = pd.DataFrame({"zone": [1.0, np.nan, 4.0]})
    assert_allclose(space.pairwise(gaps, whole), [[0, 1, 1], [np.nan] * 3, [1, 1, 1]])


def test_kinds_follow_from_types(stores):
    found = infer_kinds(stores.assign(city=True, type=stores["type"].astype("category")))
    assert found == {
        "turnover": Kind.NUMERIC,
        "sunday": Kind.NUMERIC,
        "uplift": Kind.NUMERIC,
        "type": Kind.NOMINAL,
        "size": Kind.ORDINAL,
        "bakery": Kind.NUMERIC,
        "city": Kind.SYMMETRIC_BINARY,
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kinds": {"x": "number", "w": "nominal"}}, r"kinds must be among .*got \{'x': 'number'\}"),
        ({"kinds": {"x": "numeric"}}, r"columns without a kind: \['w'\]"),
        ({"kinds": {"x": "numeric", "w": "nominal", "z": "numeric"}}, r"without a column: \['z'\]"),
        ({"kinds": {"x": "numeric", "w": "numeric"}}, "numeric column w must hold numbers, got 'a'"),
        ({"kinds": {"x": "numeric", "w": "ordinal"}}, "'a'; make it an ordered categorical"),
        ({"kinds": {"x": "symmetric_binary", "w": "nominal"}}, r"x must hold 0, 1 or nothing, got \[2.0\]"),
        ({"weights": {"x": -1.0}}, "weights must be finite, not negative"),
        ({"weights": {"x": 0.0, "w": 0.0}}, "not all zero"),
        ({"weights": {"y": 1.0}}, r"weights must belong to columns of X, got \['y'\]"),
        ({"dtype": "float16"}, "dtype must be float64 or float32, got 'float16'"),
        ({"chunk_rows": 0}, "chunk_rows must be at least 1, got 0"),
    ],
)
def test_errors_say_what_must_hold(change, message):
    frame = pd.DataFrame({"x": [1.0, 2.0], "w": ["a", "b"]})
    with pytest.raises(ValueError, match=message):
        GowerSpace(**change).fit(frame)


def test_infinity_and_levels_that_are_unknown_are_refused(stores, kinds):
    with pytest.raises(ValueError, match="numeric column x must be finite"):
        GowerSpace().fit(pd.DataFrame({"x": [1.0, np.inf]}))
    space = GowerSpace(kinds).fit(stores)
    new = stores.head(1).astype({"size": object}).assign(size="huge")
    with pytest.raises(ValueError, match=r"ordinal column size must hold levels .*, got \['huge'\]"):
        space.encode(new)
    with pytest.raises(ValueError, match=r"X must have the columns that were fitted, missing: \['size'\]"):
        space.encode(new.drop(columns="size"))


def test_where_nothing_can_be_kept_the_loop_is_compiled_anew(monkeypatch, stores, kinds):
    def njit(*, cache: bool = False, **given):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: function

    whole = gower_distances(stores.head(8), kinds)
    monkeypatch.setattr(kernel.numba, "njit", njit)
    plain = kernel._compiled(kernel.gower_rows.py_func)
    monkeypatch.setattr(kernel, "gower_rows", plain)
    assert_allclose(gower_distances(stores.head(8), kinds), whole, atol=1e-15)
