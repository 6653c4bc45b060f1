"""Levels and categories: probabilities against discriminant analysis, and what is drawn together stays together."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from models.imputation.discrete import probabilities
from models.imputation.em import Incomplete, Moments
from models.imputation.imputer import BootstrapEMImputer
from models.imputation.transforms import DiscreteColumn, NumericColumn


def groups(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Three groups of unequal size whose two measurements differ in the mean."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(3, n, p=[0.6, 0.3, 0.1])
    centers = np.array([[0.0, 0.0], [1.5, 0.5], [-0.5, 2.0]])
    return kind, centers[kind] + rng.normal(size=(n, 2)) @ np.array([[1.0, 0.3], [0.0, 0.8]])


def test_probabilities_of_groups_are_those_of_linear_discriminant_analysis():
    kind, values = groups(3000, 1)
    column = DiscreteColumn("kind", ordered=False).fit(pd.Series(kind).map({0: "a", 1: "b", 2: "c"}))
    matrix = np.column_stack([column.scores_[kind], values])
    moments = Moments.of(matrix.mean(axis=0), np.cov(matrix, rowvar=False, ddof=0))
    asked = matrix.copy()
    asked[:, :2] = np.nan
    ours = probabilities(Incomplete.of(asked), moments, np.arange(2), column.scores_, column.share_)
    theirs = LinearDiscriminantAnalysis(solver="lsqr").fit(values, kind).predict_proba(values)
    # Theirs divides by n, too: the same numbers by another road.
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_with_nothing_to_go_by_probabilities_are_the_shares():
    kind, _ = groups(500, 2)
    column = DiscreteColumn("kind", ordered=True).fit(pd.Series(kind))
    matrix = np.column_stack([column.scores_[kind], np.random.default_rng(3).normal(size=500)])
    moments = Moments.of(matrix.mean(axis=0), np.cov(matrix, rowvar=False, ddof=0))
    asked = np.full((4, 2), np.nan)
    found = probabilities(Incomplete.of(asked), moments, np.arange(1), column.scores_, column.share_)
    np.testing.assert_allclose(found, np.tile(column.share_, (4, 1)), atol=1e-12)


def test_normal_scores_are_the_means_of_slices():
    column = DiscreteColumn("grade", ordered=True).fit(pd.Series([1, 1, 2, 2, 2, 2, 3, 3]))
    normal = np.sort(np.random.default_rng(4).normal(size=400_000))
    slices = [normal[:100_000].mean(), normal[100_000:300_000].mean(), normal[300_000:].mean()]
    np.testing.assert_allclose(column.scores_[:, 0], slices, atol=0.01)
    assert column.share_ @ column.scores_[:, 0] == pytest.approx(0, abs=1e-12)


def test_what_is_missing_together_is_drawn_together():
    rng = np.random.default_rng(5)
    n = 5000
    load = rng.normal(size=n)
    kind = np.where(load + 0.5 * rng.normal(size=n) > 0.5, "hot", "cold")
    truth = pd.DataFrame({"heat": load, "kind": kind, "other": rng.normal(size=n)})
    holes = truth.copy()
    gone = rng.random(n) < 0.4
    holes.loc[gone, ["heat", "kind"]] = None
    one = BootstrapEMImputer(2, random_state=1).fit(holes).completed_[0]
    for table in (truth, one):
        table["hot"] = (table["kind"] == "hot").astype(float)
    expected = truth.loc[gone, "heat"].corr(truth.loc[gone, "hot"])
    assert one.loc[gone, "heat"].corr(one.loc[gone, "hot"]) == pytest.approx(expected, abs=0.05)


def test_ordered_categoricals_keep_their_order_and_dtype():
    dtype = pd.CategoricalDtype(["low", "mid", "high"], ordered=True)
    kind, values = groups(400, 6)
    table = pd.DataFrame({"level": pd.Categorical.from_codes(kind, dtype=dtype), "x": values[:, 0]})
    table.loc[::7, "level"] = None
    imputer = BootstrapEMImputer(2, transforms={"level": "ordinal"}).fit(table)
    one = imputer.completed_[0]
    assert one["level"].dtype == dtype
    assert not one["level"].isna().any()
    assert list(imputer.design_.columns_[0].levels_) == ["low", "mid", "high"]


@pytest.mark.parametrize("transform", ["identity", "log", "sqrt", "logistic"])
def test_transforms_lead_back(transform):
    values = np.array([0.0, 0.01, 0.3, 0.5, 0.99, 1.0, np.nan])
    column = NumericColumn("x", transform).fit(pd.Series(values))
    model = column.encode(pd.Series(values))[:, 0]
    assert np.isfinite(model[:-1]).all()
    assert np.isnan(model[-1])
    np.testing.assert_allclose(column.decode(model[1:5]), values[1:5], rtol=1e-12)
    assert (np.diff(model[:-1]) > 0).all()
