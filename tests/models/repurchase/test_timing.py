"""Waits with censoring: against simulated customers whose waits are known."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

from models.repurchase.timing import NextOrderTiming

QUICK = {"rounds": 40, "learning_rate": 0.2, "max_depth": 3, "n_folds": 2}


def customers(n: int, seed: int) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Features, true waits in whole days, and days until which each customer was observed."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(
        {
            "gap": rng.uniform(3, 30, n),
            "regular": rng.random(n) < 0.5,
            "channel": pd.Categorical(rng.choice(["app", "web"], n)),
            "noise": np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n)),
        }
    )
    spread = np.where(X["regular"], 0.25, 0.9)
    wait = np.exp(np.log(X["gap"] * np.where(X["channel"] == "app", 0.7, 1.0)) + spread * rng.normal(size=n))
    return X, np.floor(wait).astype(float), rng.integers(20, 61, n).astype(float)


def seen(wait: np.ndarray, until: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Waits as far as observed, and which are censored."""
    censored = wait >= until
    return np.where(censored, until, wait), censored


@pytest.fixture(scope="module")
def fitted() -> NextOrderTiming:
    X, wait, until = customers(8000, 1)
    y, censored = seen(wait, until)
    return NextOrderTiming(horizon_days=30, **QUICK).fit(X, y, censored=censored)


def test_probabilities_and_windows_are_true(fitted):
    X, wait, _ = customers(8000, 2)
    found = fitted.predict_wait(X)
    back = wait < 30
    assert found.probability.mean() == pytest.approx(back.mean(), abs=0.02)
    likely = found.probability > np.quantile(found.probability, 0.7)
    for group in (likely, ~likely):
        assert found.probability[group].mean() == pytest.approx(back[group].mean(), abs=0.03)
    inside = (found.low <= wait) & (wait <= found.high)
    assert inside[back].mean() == pytest.approx(0.8, abs=0.05)
    # As many come earlier than expected as later; the expected day itself counts half.
    earlier = (wait < found.expected)[back].mean() + (wait == found.expected)[back].mean() / 2
    assert earlier == pytest.approx(0.5, abs=0.05)


def test_errors_come_close_to_those_of_the_best_guess(fitted):
    X, wait, _ = customers(8000, 3)
    back = wait < 30
    typical = np.minimum(np.floor(X["gap"] * np.where(X["channel"] == "app", 0.7, 1.0)), 29)[back]
    ours = np.abs(fitted.predict(X)[back] - wait[back]).mean()
    assert ours < 1.05 * np.abs(typical - wait[back]).mean()
    assert ours < 0.75 * np.abs(np.median(wait[back]) - wait[back]).mean()


def test_leaving_out_who_has_not_come_back_would_promise_too_much(fitted):
    X, wait, until = customers(8000, 1)
    _, censored = seen(wait, until)
    known = ~censored
    dropped = NextOrderTiming(horizon_days=30, **QUICK).fit(X[known].reset_index(drop=True), wait[known])
    fresh, later, _ = customers(8000, 2)
    truth = (later < 30).mean()
    ours = abs(fitted.predict_wait(fresh).probability.mean() - truth)
    assert abs(dropped.predict_wait(fresh).probability.mean() - truth) > ours + 0.05


def test_other_horizons_agree(fitted):
    X, _, _ = customers(300, 4)
    day_ten = fitted.predict_wait(X, horizon_days=10)
    np.testing.assert_allclose(day_ten.probability, fitted.return_probability(X, 10.0))
    assert (day_ten.probability <= fitted.predict_wait(X).probability).all()
    assert day_ten.high.max() <= 9
    found = fitted.predict_wait(X)
    assert ((found.low <= found.expected) & (found.expected <= found.high)).all()


def test_the_same_rows_make_the_same_bytes_and_nobodys_rows_are_stored(fitted):
    X, wait, until = customers(1500, 5)
    y, censored = seen(wait, until)
    stored = [
        pickle.dumps(NextOrderTiming(horizon_days=20, **QUICK).fit(X, y, censored=censored)) for _ in range(2)
    ]
    assert stored[0] == stored[1]
    again = pickle.loads(pickle.dumps(fitted))
    assert not hasattr(again, "out_of_fold_")
    fresh, _, _ = customers(50, 6)
    np.testing.assert_array_equal(again.predict(fresh), fitted.predict(fresh))


def test_customers_are_in_one_fold_with_all_their_rows():
    X, wait, until = customers(600, 7)
    twice = pd.concat([X, X], ignore_index=True)
    y, censored = (np.tile(part, 2) for part in seen(wait, until))
    who = np.tile(np.arange(600), 2)
    model = NextOrderTiming(horizon_days=20, **QUICK).fit(twice, y, censored=censored, customers=who)
    np.testing.assert_array_equal(model.out_of_fold_[:600], model.out_of_fold_[600:])


@pytest.mark.parametrize(
    ("change", "y", "censored", "words"),
    [
        ({}, [-1.0, 5.0, 40.0], None, ">= 0"),
        ({}, [5.0, 0.0, 40.0], [False, True, False], "at least one day"),
        ({}, [5.0, 9.0, 40.0], [True] * 3, "came back|come back"),
        ({"horizon_days": 50}, [5.0, 9.0, 40.0], None, "reach back further"),
        ({"window": 1.0}, [5.0, 9.0, 40.0], None, "window must be"),
        ({"n_folds": 1}, [5.0, 9.0, 40.0], None, "n_folds"),
    ],
)
def test_what_it_refuses(change, y, censored, words):
    X = pd.DataFrame({"gap": [1.0, 2.0, 3.0]})
    with pytest.raises(ValueError, match=words):
        NextOrderTiming(**{"horizon_days": 30, **QUICK, **change}).fit(X, y, censored=censored)
