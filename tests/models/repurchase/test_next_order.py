"""Lists for dates, the rules to beat, and the metrics."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models.repurchase import rules
from models.repurchase.bgnbd import BgNbd, History
from models.repurchase.metrics import curve, f1_of, list_metrics, timing_metrics
from models.repurchase.next_order import (
    DUE_THEN,
    EXPECTED_DAYS,
    NextOrderModel,
    make_lists,
    with_expected_date,
)
from models.repurchase.order_size import OrderSize
from pipelines.lab.purchase_counts import PurchaseCounts


def test_lists_are_ranked_within_customers_and_ties_keep_their_order():
    p = np.array([0.2, 0.9, 0.2, 0.01, 0.02])
    lists = make_lists(p, ["x", "x", "x", "y", "y"], OrderSize())
    assert lists.position.tolist() == [1, 0, 2, 4, 3]
    assert lists.rank.tolist() == [1, 2, 3, 1, 2]
    assert lists.sizes.tolist() == [3, 2]
    assert lists.choice.size.tolist() == [1, 0]
    assert lists.listed.tolist() == [True, False, False, False, False]


def test_candidates_are_seen_as_on_the_expected_day():
    X = pd.DataFrame({"days_since_last_bought": [10.0, 10.0, 3.0], "cycle_days": [20.0, np.nan, 0.0]})
    then = with_expected_date(X, np.array([10.0, 10.0, 4.0]))
    assert then[EXPECTED_DAYS].tolist() == [10, 10, 4]
    assert then[DUE_THEN].iloc[0] == 1.0
    assert then[DUE_THEN].iloc[1:].isna().all(), "bought once: no cycle"


def test_a_model_without_dates_says_so():
    with pytest.raises(ValueError, match="fitted NextOrderTiming"):
        NextOrderModel().predict(pd.DataFrame())


def test_the_median_gap_is_counted_from_the_last_order():
    found = rules.median_gap([20.0, 20.0, np.nan], [5, 30, 2], usual=9.0)
    assert found.tolist() == [15.0, 0.0, 7.0]


def test_histories_of_orders_are_those_of_bgnbd():
    history = rules.purchase_history([1, 4], [12, 3], [12, 40])
    assert history.repeats.tolist() == [0, 3]
    assert history.recency.tolist() == [0, 37]
    assert history.age.tolist() == [12, 40]


def test_simple_lists():
    sizes = np.array([3, 2])
    score, size = rules.last_order_again([True, False, True, False, False], sizes)
    assert (score.tolist(), size.tolist()) == ([1, 0, 1, 0, 0], [2, 0])
    score, size = rules.most_frequent([3, 5, 3, 1, 1], [0, 2, 4, 1, 0], [1.6, 1.6, 1.6, 9, 9], sizes)
    assert size.tolist() == [2, 2], "no more than there are"
    assert np.argsort(-score[:3]).tolist() == [1, 0, 2], "ties by the newest"


def test_f1_counts_rightly_expected_nothing_as_right():
    assert f1_of([2, 0, 0, 3], [1, 0, 0, 0], [2, 0, 4, 0]).tolist() == [0.5, 1.0, 0.0, 0.0]
    found = list_metrics([2, 0, 0, 3], [1, 0, 0, 0], [2, 0, 4, 0])
    assert found["f1"] == pytest.approx(1.5 / 4)
    assert found["precision"] == pytest.approx(0.25)
    assert found["recall"] == pytest.approx(0.25)
    assert (found["nothing_named"], found["nothing_repeated"]) == (0.5, 0.5)


def test_errors_of_dates():
    found = timing_metrics([3, 10], [5, 6], [2, 7], [4, 12])
    assert found == {
        "mae_days": 3.0, "median_error_days": 3.0, "bias_days": -1.0, "coverage": 1.0, "window_days": 4.5,
    }  # fmt: skip


def test_curves_keep_all_rows_and_hits():
    rng = np.random.default_rng(1)
    p = rng.random(1003)
    happened = rng.random(1003) < p
    found = curve(p, happened, bins=10)
    assert found["rows"].sum() == 1003
    assert (np.diff(found["predicted"]) < 0).all()
    assert found["rows"] @ found["observed"] == pytest.approx(happened.sum())
    np.testing.assert_allclose(found["predicted"], found["observed"], atol=0.12)
    assert len(curve([], [])["rows"]) == 0


def test_counts_learn_what_bgnbd_does_not_know():
    rng = np.random.default_rng(2)
    n = 4000
    history = History.of(np.full(n, 2.0), np.full(n, 20.0), np.full(n, 30.0))
    loyal = rng.random(n) < 0.5
    mixed = History.of(np.where(rng.random(n) < 0.5, 2.0, 0.0), np.zeros(n) + 0.0, np.full(n, 30.0))
    bought = rng.poisson(np.where(loyal, 3.0, 0.5)).astype(float)
    X = pd.DataFrame({"loyal": loyal.astype(float)})
    model = PurchaseCounts(learning_rate=0.3).fit([X], [mixed], [np.full(n, 30.0)], [bought])
    found = model.predict(X, mixed, 30.0)
    assert found[loyal].mean() == pytest.approx(bought[loyal].mean(), rel=0.1)
    assert found[~loyal].mean() == pytest.approx(bought[~loyal].mean(), rel=0.1)
    assert isinstance(model.bgnbd_, BgNbd)
    with pytest.raises(ValueError, match="at least one period"):
        PurchaseCounts().fit([], [history][:0], [], [])
