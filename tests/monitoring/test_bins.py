from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pipelines.monitoring.bins import Bins, count, make_bins

NUMBERS = st.lists(st.none() | st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0]), min_size=1, max_size=200)


def column(values: list[object], dtype: pa.DataType | None = None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, dtype)])


@given(NUMBERS)
def test_numeric_bins_agree_with_their_definition(values: list[float | None]) -> None:
    """Every value lies in (edge below, edge above] of its bin; nulls in the last one."""
    data = column(values, pa.float64())
    bins = make_bins("x", data)
    for value, code in zip(values, bins.codes(data).tolist(), strict=True):
        if value is None:
            assert code == bins.size - 1
            continue
        assert code < bins.size - 1
        assert code == 0 or value > bins.edges[code - 1]
        assert code == len(bins.edges) or value <= bins.edges[code]


def test_bins_of_distinct_values_hold_a_tenth_each() -> None:
    data = column(np.random.default_rng(0).permutation(1000).astype(float).tolist())
    bins = make_bins("x", data)
    assert count(bins.codes(data), bins.size)[0].tolist() == [100] * 10 + [0]


def test_a_count_that_is_mostly_zero_keeps_a_bin_for_zero() -> None:
    data = column([0] * 80 + [1] * 15 + [5] * 5)
    bins = make_bins("tickets", data)
    assert bins.edges == (0.0, 1.0)
    assert count(bins.codes(data), bins.size)[0].tolist() == [80, 15, 5, 0]


def test_values_beyond_the_reference_fall_into_the_outer_bins() -> None:
    bins = Bins("x", "numeric", edges=(1.0, 2.0))
    assert bins.codes(column([-1e9, 1.0, 1.5, 1e9, None, float("nan")])).tolist() == [0, 0, 1, 2, 3, 3]


def test_constant_and_empty_variables_have_bins() -> None:
    assert make_bins("x", column([7, 7, 7])).edges == ()
    assert make_bins("x", column([None, None], pa.float64())).size == 2


def test_categories_unknown_in_training_are_other() -> None:
    bins = make_bins("tier", column(["a", "b", "b", None]))
    assert bins.categories == ("b", "a")
    assert bins.codes(column(["a", "b", "new", None])).tolist() == [1, 0, 2, 3]


def test_booleans_are_categories() -> None:
    data = column([True, False, False])
    bins = make_bins("is_annual", data)
    assert bins.kind == "categorical"
    assert bins.codes(data).tolist() == [1, 0, 0]


def test_rare_categories_share_a_bin() -> None:
    data = column([f"c{i:02}" for i in range(40)])
    bins = make_bins("sector", data)
    assert count(bins.codes(data), bins.size)[0].tolist() == [1] * 30 + [10, 0]


def test_count_by_group() -> None:
    counted = count(np.array([0, 1, 1, 2]), 3, np.array([0, 0, 1, 1]), 2)
    assert counted.tolist() == [[1, 1, 0], [0, 1, 1]]
