"""The default classifier: scikit-learn's contract, mixed frames, time, determinism, calibration."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from models.classification import boosted
from models.classification.baselines import UsageTrendRule
from models.classification.boosted import ChurnClassifier
from models.classification.frames import FrameEncoder


@parametrize_with_checks(
    [
        ChurnClassifier(n_estimators=30, learning_rate=0.3, min_child_samples=1, reg_lambda=0.1, n_folds=2),
        FrameEncoder(),
        FrameEncoder(one_hot=True),
        UsageTrendRule(column=0),
    ]
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def mixed(n: int, seed: int) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Rows whose true log-odds are known: a frame, the outcomes, the true probabilities."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "trend": rng.lognormal(0, 0.5, n),
            "tickets": rng.poisson(1.0, n),
            "annual": rng.random(n) < 0.4,
            "tier": rng.choice(["starter", "growth", "business"], n),
            "csat": np.where(rng.random(n) < 0.4, np.nan, rng.integers(1, 6, n)),
        }
    )
    logit = (
        -2.2
        - 1.5 * np.log(frame["trend"])
        + 0.5 * frame["tickets"]
        - 1.0 * frame["annual"]
        + 0.8 * (frame["tier"] == "starter")
    )
    risk = 1 / (1 + np.exp(-logit.to_numpy()))
    return frame, rng.random(n) < risk, risk


QUICK = {"learning_rate": 0.2, "n_estimators": 8, "n_models": 2, "n_folds": 2}
SMALL = {"learning_rate": 0.1, "n_estimators": 200, "patience": 20}


def test_ranks_and_calibrates_close_to_the_truth():
    X, y, _ = mixed(6000, 1)
    Xt, yt, risk = mixed(6000, 2)
    p = ChurnClassifier(**SMALL).fit(X, y).predict_proba(Xt)[:, 1]
    assert roc_auc_score(yt, p) > roc_auc_score(yt, risk) - 0.01
    assert log_loss(yt, p) < log_loss(yt, risk) + 0.01
    # Classes are 15 : 85; weighting them equal would have put the mean at about 0.35.
    assert p.mean() == pytest.approx(risk.mean(), rel=0.06)


def test_words_never_seen_and_missing_words_are_scored():
    X, y, _ = mixed(1500, 3)
    model = ChurnClassifier(**SMALL).fit(X, y)
    strange = X.head(4).assign(tier=["enterprise", None, "growth", np.nan])
    p = model.predict_proba(strange)[:, 1]
    assert np.isfinite(p).all()
    alike = X.head(4).assign(tier=None)
    assert p[0] == model.predict_proba(alike)[0, 1]
    assert p[1] == model.predict_proba(alike)[1, 1]


def test_storage_of_the_same_values_does_not_matter():
    X, y, _ = mixed(1500, 4)
    model = ChurnClassifier(**SMALL).fit(X, y)
    stored = X.assign(
        tier=X["tier"].astype(pd.CategoricalDtype(["growth", "starter", "business"])),
        annual=X["annual"].astype("boolean"),
        csat=X["csat"].astype("Float64"),
        tickets=X["tickets"].astype("int8"),
    )
    np.testing.assert_array_equal(model.predict_proba(X), model.predict_proba(stored))


def test_same_bytes_again_and_with_more_threads(monkeypatch):
    monkeypatch.setattr(boosted, "ROWS_PER_THREAD", 100)  # so that 3,000 rows do get both threads
    assert ChurnClassifier(n_jobs=2).booster_params(3000)["num_threads"] == 2
    X, y, _ = mixed(3000, 5)
    runs = [
        ChurnClassifier(**QUICK, random_state=7, n_jobs=jobs).fit(X, y).predict_proba(X).tobytes()
        for jobs in (1, 1, 2)
    ]
    assert runs[0] == runs[1] == runs[2]
    other = ChurnClassifier(**QUICK, random_state=8).fit(X, y).predict_proba(X).tobytes()
    assert other != runs[0]


def test_several_models_differ_and_their_mean_is_the_score():
    X, y, _ = mixed(1000, 14)
    model = ChurnClassifier(**QUICK).fit(X, y)
    matrix = model.encoder_.transform(X)
    first, second = (booster.predict(matrix, raw_score=True) for booster in model.boosters_)
    assert not np.allclose(first, second)
    np.testing.assert_allclose(model.raw_score(X), (first + second) / 2)


def test_few_rows_get_one_thread():
    assert ChurnClassifier(n_jobs=4).booster_params(3000)["num_threads"] == 1
    assert ChurnClassifier(n_jobs=4).booster_params(70_000)["num_threads"] == 3
    assert ChurnClassifier().booster_params(70_000)["num_threads"] == 1


def test_survives_pickling():
    X, y, _ = mixed(800, 6)
    model = ChurnClassifier(**SMALL).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    assert again.predict_proba(X).tobytes() == model.predict_proba(X).tobytes()


def test_folds_go_forward_in_time_and_are_purged():
    X, y, _ = mixed(3000, 8)
    days = np.datetime64("2024-01-01") + np.repeat(np.arange(10) * 31, 300)
    model = ChurnClassifier(**SMALL, n_folds=3)
    model.fit(X, y, snapshots=days)
    folds = model._folds(y, days)
    assert len(folds) == 3
    for train, held in folds:
        assert days[train].max() + np.timedelta64(30, "D") < days[held].min()
    assert model.n_rounds_ < 200


def test_too_few_events_for_folds_boosts_all_rounds_uncalibrated():
    X, y, _ = mixed(200, 9)
    y = np.zeros(200, dtype=bool)
    y[17] = True
    model = ChurnClassifier(n_estimators=13).fit(X, y)
    assert model.n_rounds_ == 13
    assert np.isnan(model.fold_loss_)
    assert (model.calibration_.slope, model.calibration_.intercept) == (1.0, 0.0)


def test_event_is_the_class_that_sorts_last():
    X, y, _ = mixed(1500, 10)
    words = np.where(y, "leaves", "keeps")
    model = ChurnClassifier(**SMALL).fit(X, words)
    assert list(model.classes_) == ["keeps", "leaves"]
    assert roc_auc_score(y, model.predict_proba(X)[:, 1]) > 0.7
    assert set(model.predict(X)) == {"keeps", "leaves"}


@pytest.mark.parametrize(
    ("parameter", "value"), [("learning_rate", 0), ("subsample", 1.5), ("n_models", 0), ("n_folds", 1)]
)
def test_bad_parameter_is_named(parameter, value):
    X, y, _ = mixed(100, 11)
    with pytest.raises(ValueError, match=f"{parameter} must be .*got {value}"):
        ChurnClassifier(**{parameter: value}).fit(X, y)


def test_column_of_dates_is_refused_by_name():
    X, y, _ = mixed(100, 12)
    X["as_of"] = pd.Timestamp("2024-01-01")
    with pytest.raises(TypeError, match=r"offending: \['as_of'\]"):
        ChurnClassifier().fit(X, y)


def test_infinite_number_is_refused_by_name():
    X, y, _ = mixed(100, 13)
    X.loc[3, "trend"] = np.inf
    with pytest.raises(ValueError, match=r"got infinity; offending: \['trend'\]"):
        ChurnClassifier().fit(X, y)
