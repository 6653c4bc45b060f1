"""Nothing is judged with a model that could have known its outcome."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.evaluation.splits import as_days, forward_folds, out_of_time

panels = st.lists(st.dates(dt.date(2023, 1, 1), dt.date(2025, 12, 31)), min_size=2, max_size=200)


@given(panels, st.integers(1, 5), st.integers(0, 60))
@settings(max_examples=200, deadline=None)
def test_labels_are_known_before_the_judged_rows_begin(days, n_folds, horizon):
    snapshots = as_days(days)
    previous = None
    for train, held in forward_folds(days, n_folds=n_folds, horizon_days=horizon):
        assert len(train)
        assert len(held)
        # The label of the last training row is settled when its last day is over.
        assert snapshots[train].max() + horizon + 1 <= snapshots[held].min()
        if previous is not None:
            assert snapshots[previous].max() < snapshots[held].min()
        previous = held
    if previous is not None:
        assert snapshots[previous].max() == snapshots.max()


@given(panels, st.integers(1, 4), st.integers(0, 60))
@settings(max_examples=200, deadline=None)
def test_holdout_is_the_last_months_and_accounts_for_every_row(days, months, horizon):
    snapshots = as_days(days)
    calendar = np.unique(snapshots.astype("datetime64[M]"))
    try:
        split = out_of_time(days, months=months, horizon_days=horizon)
    except ValueError:
        first = snapshots[snapshots.astype("datetime64[M]") >= calendar[-months:][0]].min()
        assert len(calendar) <= months or snapshots.min() + horizon >= first
        return
    assert set(snapshots[split.test].astype("datetime64[M]")) == set(calendar[-months:])
    assert snapshots[split.train].max() + horizon < split.first_test == snapshots[split.test].min()
    assert len(split.train) + len(split.test) + split.purged == len(days)


def test_monthly_snapshots_by_hand():
    days = ["2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01"]
    split = out_of_time(days, months=1)
    assert (list(split.train), list(split.test), split.purged) == ([0, 1, 2], [3], 0)
    # 29 days lie between February and March: February's labels are not known on 1 March.
    split = out_of_time(days, months=2)
    assert (list(split.train), list(split.test), split.purged) == ([0], [2, 3], 1)
    folds = forward_folds(days, n_folds=2)
    assert [(list(train), list(held)) for train, held in folds] == [([0], [2]), ([0, 1, 2], [3])]


def test_too_short_a_history_says_so():
    with pytest.raises(ValueError, match=r"months must be between 1 and 1 .* got 4"):
        out_of_time(["2024-01-01", "2024-02-01"])
    with pytest.raises(ValueError, match="reach back more than 30 days before 2024-02-05, got 2024-01-20"):
        out_of_time(["2024-01-20", "2024-02-05"], months=1)
    assert forward_folds(["2024-01-01", "2024-01-08"]) == []


def test_missing_snapshot_is_refused():
    with pytest.raises(ValueError, match="got 1 missing"):
        as_days(["2024-01-01", None])
