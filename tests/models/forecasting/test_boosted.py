"""Global models: scikit-learn's contract, mixed frames, scale, determinism, storage."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.utils.estimator_checks import parametrize_with_checks

from models.forecasting import boosted
from models.forecasting.boosted import GlobalForecaster
from models.forecasting.matrix import FeatureMatrix

#: No draws, and leaves of one row: a row of weight 2 must count like two rows.
EXACT = {"min_rows_in_leaf": 1, "subsample": 1.0, "colsample": 1.0, "reg_lambda": 0.1}

SMALL = {"rounds": 60, "learning_rate": 0.1, "leaves": 15, "min_rows_in_leaf": 20}


@parametrize_with_checks(
    [
        # One round: in later ones LightGBM breaks ties between equal splits by the order of rows.
        GlobalForecaster("lightgbm", rounds=1, learning_rate=1.0, **EXACT),
        GlobalForecaster("xgboost", rounds=20, learning_rate=0.3, **EXACT),
        FeatureMatrix(),
    ]
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def sales(n: int, seed: int) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Rows whose true mean is known: what is expected, times effects of promotion, weather and region."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "expected": rng.lognormal(0, 1.5, n).astype(np.float32),
            "promo": (rng.random(n) < 0.3).astype(np.float32),
            "warmer": rng.normal(0, 5, n).astype(np.float32),
            "region": pd.Categorical(rng.choice(["north", "south", "west"], n)),
        }
    )
    frame.loc[rng.random(n) < 0.1, "warmer"] = np.nan
    mean = frame["expected"].to_numpy(float) * np.exp(
        0.8 * frame["promo"] + 0.04 * frame["warmer"].fillna(0) + 0.5 * (frame["region"] == "south")
    )
    return frame, rng.poisson(mean).astype(float), mean.to_numpy()


def deviation(mean: np.ndarray, forecast: np.ndarray) -> float:
    return float(np.abs(forecast - mean).sum() / mean.sum())


@pytest.mark.parametrize("kind", ["lightgbm", "xgboost"])
@pytest.mark.parametrize("objective", ["poisson", "tweedie"])
def test_finds_the_true_mean_of_counts_from_kiosks_to_supermarkets(kind, objective):
    X, y, _ = sales(8000, 1)
    Xt, _, mean = sales(4000, 2)
    forecast = GlobalForecaster(kind, objective=objective, **SMALL).fit(X, y).predict(Xt)
    assert deviation(mean, forecast) < 0.1
    assert deviation(mean, Xt["expected"].to_numpy()) > 0.3
    assert forecast.sum() == pytest.approx(mean.sum(), rel=0.03)
    small = mean < 0.3
    assert forecast[small].sum() == pytest.approx(mean[small].sum(), rel=0.1)


@pytest.mark.parametrize("kind", ["lightgbm", "xgboost"])
def test_rows_that_sold_thousands_of_times_what_was_expected_break_nothing(kind):
    """A store that opens after the origin: nothing was expected of it, and it sells like the others."""
    rng = np.random.default_rng(2)
    X = pd.DataFrame({"noise": rng.random(4_000).astype(np.float32), "expected": np.float32(20)})
    X.loc[:19, "expected"] = np.float32(1e-3)
    y = rng.poisson(20.0, 4_000).astype(float)
    found = GlobalForecaster(kind, rounds=60, min_rows_in_leaf=20).fit(X, y).predict(X)
    usual = found[X["expected"].to_numpy() > 1]
    assert np.isfinite(found).all()
    assert 0.8 * 20 < usual.mean() < 1.3 * 20


@pytest.mark.parametrize("kind", ["lightgbm", "xgboost"])
def test_logs_forecast_a_median_until_the_factor_corrects_it(kind):
    rng = np.random.default_rng(33)
    X, _, mean = sales(9000, 3)
    y = mean * rng.lognormal(0, 0.5, 9000)
    train, held, judged = np.split(np.arange(9000), [5000, 7000])
    model = GlobalForecaster(kind, objective="log", **SMALL).fit(X.iloc[train], y[train])
    median = model.predict(X.iloc[judged])
    assert deviation(mean[judged], median) < 0.06
    raised = model.fit_factor(X.iloc[held], y[held]).predict(X.iloc[judged])
    assert model.factor_ == pytest.approx(np.exp(0.125), rel=0.06)  # mean over median of the noise
    np.testing.assert_allclose(raised, median * model.factor_)
    lowered = model.fit_factor(X.iloc[held], y[held], loss="percentage")
    squares = [
        np.mean((lowered.predict(X.iloc[held]) * scale / y[held] - 1) ** 2) for scale in (0.97, 1.0, 1.03)
    ]
    assert squares[1] == min(squares)


@pytest.mark.parametrize("kind", ["lightgbm", "xgboost"])
def test_weight_two_is_two_rows_and_weight_zero_is_none(kind):
    rng = np.random.default_rng(4)
    X = pd.DataFrame(rng.normal(size=(200, 4)), columns=list("abcd"))  # no ties, a bin for each value
    y, weight = rng.gamma(2.0, 1.0, 200), rng.integers(0, 3, 200)
    repeated = np.repeat(np.arange(200), weight)
    # Logs: with other objectives LightGBM estimates the rows of a leaf from their second derivatives.
    model = GlobalForecaster(kind, objective="log", rounds=10, learning_rate=0.3, leaves=6, **EXACT)
    by_weight = model.fit(X, y, sample_weight=weight).predict(X)
    by_rows = model.fit(X.iloc[repeated], y[repeated]).predict(X)
    np.testing.assert_allclose(by_weight, by_rows, rtol=1e-4)


@pytest.mark.parametrize("kind", ["lightgbm", "xgboost"])
def test_same_bytes_again_and_another_seed_differs(kind):
    X, y, _ = sales(1500, 5)
    runs = [GlobalForecaster(kind, random_state=seed, **SMALL).fit(X, y) for seed in (7, 7, 8)]
    assert runs[0].boosters_ == runs[1].boosters_
    assert runs[0].boosters_ != runs[2].boosters_


def test_threads_do_not_change_lightgbm(monkeypatch):
    monkeypatch.setattr(boosted, "ROWS_PER_THREAD", 100)  # so that 1,500 rows do get both threads
    X, y, _ = sales(1500, 6)
    one, two = (GlobalForecaster(n_jobs=jobs, **SMALL).fit(X, y) for jobs in (1, 2))
    assert (one._threads(1500), two._threads(1500)) == (1, 2)
    assert one.predict(X).tobytes() == two.predict(X).tobytes()


@pytest.mark.parametrize("kind", ["lightgbm", "xgboost"])
def test_stored_without_a_foreign_type_and_read_back_the_same(kind):
    X, y, _ = sales(1500, 7)
    model = GlobalForecaster(kind, n_models=2, **SMALL).fit(X, y)
    stored = skops.io.dumps(model)
    types = skops.io.get_untrusted_types(data=stored)
    assert {name.partition(".")[0] for name in types} <= {"models", "sklearn", "numpy"}
    again = skops.io.loads(stored, trusted=types)
    assert again.predict(X).tobytes() == model.predict(X).tobytes()


def test_words_are_words_whatever_their_storage_and_order():
    X, y, _ = sales(3000, 8)
    model = GlobalForecaster(**SMALL).fit(X, y)
    other = X.assign(
        region=X["region"].astype(str).astype(pd.CategoricalDtype(["west", "south", "elsewhere", "north"]))
    )
    np.testing.assert_array_equal(model.predict(X), model.predict(other))
    np.testing.assert_array_equal(
        model.predict(X), model.predict(X.assign(region=X["region"].astype(object)))
    )
    south = model.predict(X.assign(region="south")) / model.predict(X.assign(region="north"))
    assert np.median(south) == pytest.approx(np.exp(0.5), rel=0.1)
    unseen, missing = (model.predict(X.assign(region=value)) for value in ("overseas", None))
    np.testing.assert_array_equal(unseen, missing)


def test_sample_is_bounded_and_the_same_again():
    X, y, _ = sales(3000, 9)
    model = GlobalForecaster(max_rows=500, **SMALL)
    kept = model._sample(np.ones(3000))
    assert len(kept) == 500
    assert (np.diff(kept) > 0).all()
    bounded = model.fit(X, y).predict(X)
    by_hand = GlobalForecaster(**SMALL).fit(X.iloc[kept], y[kept]).predict(X)
    assert bounded.tobytes() == by_hand.tobytes()
    assert 0 not in model._sample(np.array([0.0, 1.0, 1.0]))


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("kind", "catboost"), ("objective", "l1"), ("learning_rate", 0), ("tweedie_power", 2.0), ("leaves", 1)],
)
def test_bad_parameter_is_named(parameter, value):
    X, y, _ = sales(50, 10)
    with pytest.raises(ValueError, match=f"{parameter} must be .*got {value!r}"):
        GlobalForecaster(**{parameter: value}).fit(X, y)


def test_targets_that_are_no_sales_are_refused():
    X, y, _ = sales(50, 11)
    with pytest.raises(ValueError, match="not negative, got -1"):
        GlobalForecaster(**SMALL).fit(X, np.where(np.arange(50) == 3, -1.0, y))
    with pytest.raises(ValueError, match="positive for the objective 'log', got 0"):
        GlobalForecaster(objective="log", **SMALL).fit(X, np.where(np.arange(50) == 3, 0.0, y + 1))
    with pytest.raises(ValueError, match="store has not reported"):
        GlobalForecaster(**SMALL).fit(X, np.where(np.arange(50) == 3, np.nan, y))


def test_infinite_feature_is_refused_by_name():
    X, y, _ = sales(50, 12)
    X.loc[3, "warmer"] = np.inf
    with pytest.raises(ValueError, match=r"got infinity; offending: \['warmer'\]"):
        GlobalForecaster(**SMALL).fit(X, y)
