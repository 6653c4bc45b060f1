"""Rubin's rules against mice, and what follows from them.

Golden values: mice 3.15.0 under R 4.2.2, ``pool.scalar(c(1.2, 1.5, 0.9, 1.1, 1.35), c(0.10, 0.12, 0.09, 0.11, 0.10),
n = N, k = 2, rule = "rubin1987")[c("qbar", "ubar", "b", "t", "df", "fmi")]`` for N = Inf and 40.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from models.imputation.fraction import imputations_needed, needed_table
from models.imputation.pooling import difference, means, pool, pool_over
from models.imputation.sensitivity import delta_sensitivity, most_different

Q, U = [1.2, 1.5, 0.9, 1.1, 1.35], [0.10, 0.12, 0.09, 0.11, 0.10]


@pytest.mark.parametrize(
    ("complete_df", "df", "fmi"), [(None, 27.7775404454, 0.419798179338), (38, 12.4094066461, 0.460013415815)]
)
def test_pooled_numbers_are_those_of_mice(complete_df, df, fmi):
    found = pool(Q, U, complete_df=complete_df)
    assert found.estimate[0] == pytest.approx(1.21)
    assert found.within[0] == pytest.approx(0.104)
    assert found.between[0] == pytest.approx(0.053)
    assert found.variance[0] == pytest.approx(0.1676)
    assert found.df[0] == pytest.approx(df, rel=1e-10)
    assert found.fmi[0] == pytest.approx(fmi, rel=1e-10)


def test_nothing_missing_is_no_less_sure():
    found = pool([2.0, 2.0, 2.0], [0.25, 0.25, 0.25])
    assert found.fmi[0] == 0
    assert math.isinf(found.df[0])
    assert found.low[0] == pytest.approx(2 - 1.959964 * 0.5, rel=1e-6)
    assert found.p_value(2.0)[0] == pytest.approx(1.0)
    small = pool([2.0, 2.0], [0.25, 0.25], complete_df=10)
    assert small.df[0] == pytest.approx(11 / 13 * 10)


def test_matrices_are_pooled_as_matrices_and_names_kept():
    rng = np.random.default_rng(1)
    estimates = pd.DataFrame(rng.normal(size=(6, 2)), columns=["a", "b"])
    matrices = np.array([np.eye(2) * 0.5 + 0.1 for _ in range(6)])
    found = pool(estimates, matrices)
    assert found.names == ["a", "b"]
    np.testing.assert_allclose(np.diag(found.covariance), found.variance)
    between = np.cov(estimates.to_numpy(), rowvar=False)
    assert found.covariance[0, 1] == pytest.approx(0.1 + 7 / 6 * between[0, 1])
    assert list(found.table().index) == ["a", "b"]


def test_any_estimator_runs_over_completed_tables():
    tables = [pd.DataFrame({"x": [1.0, 2.0, 3.0 + k], "word": ["a", "b", "c"]}) for k in range(4)]
    found = pool_over(iter(tables), means)
    assert found.names == ["x"]
    assert found.m == 4
    assert found.estimate[0] == pytest.approx(np.mean([2 + k / 3 for k in range(4)]))
    one_number = pool_over(tables, lambda table: (table["x"].max(), 0.5))
    assert one_number.estimate[0] == pytest.approx(4.5)


@pytest.mark.parametrize(
    ("estimates", "variances", "message"),
    [
        ([1.0], [1.0], "at least 2 completed data sets, got 1"),
        ([1.0, 2.0], [1.0], "variances must have the shape"),
        ([1.0, np.nan], [1.0, 1.0], "estimates must be finite"),
        ([1.0, 2.0], [1.0, -1.0], "not negative"),
    ],
)
def test_wrong_input_is_told(estimates, variances, message):
    with pytest.raises(ValueError, match=message):
        pool(estimates, variances)


def test_more_data_sets_are_called_for_where_more_is_missing():
    # von Hippel (2020): m = 1 + (fmi / cv)^2 / 2, at the upper end of the interval of the fraction.
    high = 1 / (1 + math.exp(-(math.log(0.3 / 0.7) + 1.959964 * math.sqrt(2 / 20))))
    needed = imputations_needed(0.3, 20)
    assert needed.fmi_high == pytest.approx(high, rel=1e-6)
    assert needed.m == math.ceil(1 + 0.5 * (high / 0.05) ** 2)
    assert imputations_needed(0.0, 5).m == 2
    assert imputations_needed(0.3, 200).m < needed.m  # known better, so less cautious
    with pytest.raises(ValueError, match=r"must be in 0\.\.1"):
        imputations_needed(1.2, 5)
    table = needed_table(pool(np.column_stack([Q, [1.0] * 5]), np.column_stack([U, U])))
    assert list(table["enough"]) == [False, True]


def holes_and_completed() -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    rng = np.random.default_rng(2)
    before = pd.DataFrame({"x": rng.normal(1.0, 2.0, 200), "line": ["A", "B"] * 100})
    before.loc[rng.random(200) < 0.3, "x"] = np.nan
    gaps = before["x"].isna()
    completed = []
    for _ in range(5):
        one = before.copy()
        one.loc[gaps, "x"] = rng.normal(1.0, 2.0, gaps.sum())
        completed.append(one)
    return before, completed


def test_the_tipping_point_is_where_the_interval_meets_the_null():
    before, completed = holes_and_completed()
    found = delta_sensitivity(before, iter(completed), "x", means, deltas=np.linspace(-3, 3, 25))
    assert list(found.table["holds"][found.table["delta"] == 0]) == [True]
    assert found.tipping_low is not None
    assert found.tipping_high is None
    at_tip = delta_sensitivity(before, completed, "x", means, deltas=[found.tipping_low])
    row = at_tip.table.iloc[0]
    assert row["low"] == pytest.approx(0, abs=0.01)
    assert f"{found.tipping_low:+.2f} sd" in found.words
    # Shifting all missing cells moves the mean by the shift times the share missing.
    share = before["x"].isna().mean()
    slope = np.diff(found.table["estimate"]) / np.diff(found.table["shift"])
    np.testing.assert_allclose(slope, share)


def test_shifts_may_be_of_one_line_and_stay_within_bounds():
    before, completed = holes_and_completed()
    line = (before["line"] == "A").to_numpy()
    some = delta_sensitivity(before, completed, "x", means, deltas=[1.0], where=line)
    share = (before["x"].isna() & line).mean()
    assert np.diff(some.table["estimate"])[0] == pytest.approx(share * before["x"].std())
    kept = delta_sensitivity(before, completed, "x", means, deltas=[50.0], bounds=(None, 10.0))
    assert kept.table["estimate"].iloc[-1] < 10
    assert some.tipping_low is None
    assert "holds for every shift" in some.words
    with pytest.raises(ValueError, match="must have missing cells to shift"):
        delta_sensitivity(completed[0], completed, "x", means)


def test_a_difference_has_the_variances_of_both_sides():
    values = np.array([[1.0, 5.0], [3.0, 5.0], [10.0, 6.0], [14.0, 8.0], [12.0, 7.0]])
    mean, variance = difference(values, np.array([True, True, False, False, False]))
    assert mean.tolist() == [-10.0, -2.0]
    assert variance == pytest.approx([2 / 2 + 4 / 3, 0 / 2 + 1 / 3])


def test_the_group_that_differs_most_has_enough_rows_on_either_side():
    values = np.array([0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 4.0, 5.0, 4.0])
    groups = np.array(["a", "a", "b", "b", "c", "c", "d", "d", "e"], dtype=object)
    assert most_different(values, groups, fewest=2) == "d"
    assert most_different(values, groups, fewest=5) is None
