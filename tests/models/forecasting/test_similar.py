"""New products: weights that shift with evidence, chosen by it; trees on top; old series untouched."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import skops.io

from models.forecasting.similar import USUAL_DAYS, SimilarForecaster, blend


def young_rows(n: int, seed: int, *, spread: float = 0.5) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Young series whose true mean differs from their peers' by ``spread``; own sales are counts of days."""
    rng = np.random.default_rng(seed)
    peers = rng.lognormal(1, 0.7, n)
    mean = peers * rng.lognormal(0, spread, n)
    days = rng.integers(0, 57, n)
    own = rng.poisson(mean * days) / np.maximum(days, 1)
    promo = rng.random(n) < 0.2
    frame = pd.DataFrame(
        {
            "expected": rng.lognormal(1, 1, n).astype("f4"),
            "similar_peers": peers.astype("f4"),
            "similar_sku": np.full(n, np.nan, dtype="f4"),
            "similar_own": np.where(days > 0, own, np.nan).astype("f4"),
            "similar_sku_days": np.zeros(n, dtype="f4"),
            "similar_own_days": days.astype("f4"),
            "promo": promo.astype("f4"),
        }
    )
    mean = mean * np.where(promo, 1.6, 1.0)
    return frame, rng.poisson(mean).astype(float), mean


def test_blend_shifts_from_peers_to_the_product_elsewhere_to_own_days():
    X = pd.DataFrame(
        {
            "similar_peers": [10.0] * 5,
            "similar_sku": [np.nan, 20, 20, 20, np.nan],
            "similar_own": [np.nan, np.nan, np.nan, 40, 40],
            "similar_sku_days": [0.0, 0, 30, 30, 0],
            "similar_own_days": [0.0, 0, 0, 10, 10],
        }
    )
    np.testing.assert_allclose(blend(X, sku_days=30, own_days=10), [10, 10, 15, 27.5, 25])


def test_weight_is_chosen_by_evidence():
    """The more products differ from their peers, the sooner their own days must count."""
    chosen = []
    for spread in (0.05, 1.0):
        X, y, _ = young_rows(4000, 1, spread=spread)
        model = SimilarForecaster(boost=False).fit(X.assign(promo=0), y)
        assert model.evidence_[f"{model.sku_days_:g}/{model.own_days_:g}"] == min(model.evidence_.values())
        chosen.append(model.own_days_)
    assert chosen[0] > chosen[1]


def test_trees_learn_what_the_blend_misses():
    X, y, _ = young_rows(5000, 2)
    Xt, _, mean = young_rows(3000, 3)
    errors = {
        boost: np.abs(SimilarForecaster(boost=boost).fit(X, y).predict(Xt) - mean).sum() / mean.sum()
        for boost in (False, True)
    }
    assert errors[True] < 0.8 * errors[False]


def test_blend_is_better_than_each_of_its_sources():
    X, y, _ = young_rows(5000, 4)
    X, y = X.assign(promo=0), np.where(X["promo"] > 0, np.nan, y)
    X, y = X[np.isfinite(y)], y[np.isfinite(y)]
    Xt, _, mean = young_rows(3000, 5)
    usual = Xt["promo"] == 0
    model = SimilarForecaster(boost=False).fit(X, y)
    tested = Xt[usual & Xt["similar_own"].notna() & (Xt["similar_own_days"] < 8)]
    truth = mean[tested.index]
    errors = {
        name: np.abs(forecast - truth).sum()
        for name, forecast in (
            ("blend", model.predict(tested)),
            ("peers", tested["similar_peers"]),
            ("own", tested["similar_own"]),
        )
    }
    assert errors["blend"] < 0.97 * min(errors["peers"], errors["own"])


def test_old_series_are_forecast_by_what_they_are_expected_to_sell():
    X, y, _ = young_rows(1000, 6)
    old = X.head(5).assign(
        **{name: np.float32("nan") for name in X if name.startswith("similar_")}, expected=np.float32(7)
    )
    model = SimilarForecaster(boost=False).fit(X, y)
    np.testing.assert_allclose(model.predict(old), 7)
    with_old = SimilarForecaster(boost=False).fit(pd.concat([X, old]), np.append(y, [1e6] * 5))
    assert with_old.evidence_ == model.evidence_


def test_without_past_launches_the_usual_weights_serve():
    X, y, _ = young_rows(100, 7)
    model = SimilarForecaster().fit(X, y)
    assert (model.own_days_, model.sku_days_) == USUAL_DAYS
    assert model.trees_ is None
    np.testing.assert_allclose(model.predict(X), blend(X, USUAL_DAYS[1], USUAL_DAYS[0]), rtol=1e-5)


def test_same_again_and_stored_without_a_foreign_type():
    X, y, _ = young_rows(800, 8)
    model = SimilarForecaster().fit(X, y)
    assert model.predict(X).tobytes() == SimilarForecaster().fit(X, y).predict(X).tobytes()
    stored = skops.io.dumps(model)
    types = skops.io.get_untrusted_types(data=stored)
    assert {name.partition(".")[0] for name in types} <= {"models", "sklearn", "numpy"}
    assert skops.io.loads(stored, trusted=types).predict(X).tobytes() == model.predict(X).tobytes()


def test_missing_columns_are_named():
    X, y, _ = young_rows(10, 9)
    with pytest.raises(ValueError, match=r"missing \['similar_own'\]"):
        SimilarForecaster().fit(X.drop(columns="similar_own"), y)
