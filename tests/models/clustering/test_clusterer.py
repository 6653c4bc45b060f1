"""The estimator: scikit-learn's conventions, known groups, new rows, and what must not matter."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import skops.io
from numpy.testing import assert_allclose
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from models.clustering.choice import choose
from models.clustering.clusterer import StoreClustering
from models.clustering.kinds import Kind
from pipelines.io.registry import TRUSTED_PACKAGES


@parametrize_with_checks(
    [
        StoreClustering(n_clusters=2),
        StoreClustering(space="pca", criterion="quotient"),
        StoreClustering(linkage="complete", consolidate=False),
    ]
)
def test_conventions_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def model(stores, kinds):
    return StoreClustering(kinds).fit(stores)


@pytest.mark.parametrize("linkage", ["ward", "average", "complete"])
def test_known_groups_are_found(stores, kinds, truth, linkage):
    found = StoreClustering(kinds, n_clusters=3, linkage=linkage).fit(stores)
    assert adjusted_rand_score(truth, found.labels_) > 0.95


def test_their_number_is_found(stores, kinds, truth, model):
    assert model.n_clusters_ == 3
    curve = model.choice_.set_index("n_clusters")
    assert curve["chosen"].sum() == 1
    assert curve["within_inertia"].is_monotonic_decreasing
    assert_allclose(curve.loc[2:, "inertia_gain"], -np.diff(curve["within_inertia"]), atol=1e-12)
    # Heights of Ward's tree tell the same gains.
    heights = np.sort(model.linkage_matrix_[:, 2])[::-1]
    assert_allclose(curve.loc[2:, "inertia_gain"], heights[:9] ** 2 / (2 * len(stores)), rtol=1e-8)


@pytest.mark.parametrize("groups", [2, 4, 6])
def test_as_many_numeric_groups_as_there_are(groups):
    rng = np.random.default_rng(groups)
    centres = 6 * np.eye(groups)
    X = centres[rng.integers(0, groups, 120)] + rng.normal(size=(120, groups))
    for criterion in ("both", "silhouette"):
        assert StoreClustering(space="pca", criterion=criterion).fit(X).n_clusters_ == groups


def test_the_curve_decides():
    curve = pd.DataFrame(
        {
            "n_clusters": [1, 2, 3, 4],
            "quotient": [np.nan, 0.5, 0.9, 0.7],
            "drop": [np.nan, 1.5, 3.0, 9.0],
            "silhouette": [np.nan, 0.50, 0.46, 0.2],
        }
    )
    found = {name: choose(curve, name, 2) for name in ("quotient", "drop", "silhouette", "both")}
    assert found == {"quotient": 2, "drop": 4, "silhouette": 2, "both": 3}
    assert choose(curve, "quotient", 3) == 4
    with pytest.raises(
        ValueError, match="criterion must be one of both, drop, quotient, silhouette, got 'elbow'"
    ):
        choose(curve, "elbow", 2)
    with pytest.raises(ValueError, match="at least 5 groups, rows allow 4"):
        choose(curve, "drop", 5)


def test_consolidation_leaves_no_store_nearer_to_another_centre(stores, kinds, model):
    distance = ((model.coordinates_[:, None] - model.centres_) ** 2).sum(axis=2)
    assert np.array_equal(distance.argmin(axis=1), model.labels_)
    assert model.inertia_after_consolidation_ <= model.inertia_before_consolidation_
    plain = StoreClustering(kinds, n_clusters=3, consolidate=False).fit(stores)
    assert plain.inertia_after_consolidation_ == plain.inertia_before_consolidation_


def test_silhouette_is_that_of_the_dissimilarities(model):
    expected = silhouette_score(model.dissimilarity(), model.labels_, metric="precomputed")
    assert model.silhouette_ == pytest.approx(expected)


def test_fitted_rows_are_assigned_to_their_group(stores, model):
    found = model.assign(stores)
    assert np.array_equal(found["cluster"], model.labels_)
    assert (found["distance"] <= found["second_distance"]).all()
    assert_allclose(found["difference"], model.differences_)
    assert found["typicality"].between(1 / len(stores), 1).all()
    assert found.index.equals(stores.index)


def test_new_stores_are_assigned_without_fitting(kinds, truth, stores):
    model = StoreClustering(kinds, n_clusters=3).fit(stores.head(100))
    assert adjusted_rand_score(truth[100:], model.predict(stores.tail(50))) > 0.9


def test_a_store_unlike_any_other_is_told(stores, model):
    odd = stores.head(1).assign(turnover=30_000.0, sunday=0.5, uplift=3.0, type="kiosk")
    usual, strange = model.assign(stores).median(), model.assign(odd).iloc[0]
    assert strange["typicality"] == 0
    assert strange["difference"] > 2 * usual["difference"]


def test_a_store_of_which_nothing_is_known_gets_no_group(stores, kinds, model):
    nothing = stores.head(1).mask(np.ones((1, stores.shape[1]), dtype=bool))
    found = model.assign(nothing).iloc[0]
    assert found["cluster"] == -1
    assert found[["distance", "typicality"]].isna().all()
    with pytest.raises(ValueError, match=r"every row must have a known value; offending: \['S000'\] of 1"):
        StoreClustering(kinds).fit(pd.concat([nothing, stores.tail(20)]))


def test_pairs_that_share_nothing_are_filled_and_named():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(12, 2)), columns=["a", "b"], index=[f"S{i}" for i in range(12)])
    frame.loc["S3", "a"] = np.nan
    frame.loc[["S4", "S5"], "b"] = np.nan
    model = StoreClustering(n_clusters=2).fit(frame)
    assert model.incomparable_pairs_ == 2
    assert model.incomparable_rows_ == ["S3", "S4", "S5"]
    assert model.dissimilarity()[3, 4] == pytest.approx(model.mean_dissimilarity_)
    assert set(model.predict(frame)) <= {0, 1}


def test_row_order_units_and_names_do_not_matter(stores, kinds, model):
    order = np.random.default_rng(1).permutation(len(stores))
    shuffled = StoreClustering(kinds).fit(stores.iloc[order])
    assert np.array_equal(shuffled.labels_, model.labels_[order])
    scaled = StoreClustering(kinds).fit(stores.assign(turnover=stores["turnover"] * 100 + 7))
    assert np.array_equal(scaled.labels_, model.labels_)
    assert_allclose(scaled.coordinates_, model.coordinates_, atol=1e-9)


def test_weights_decide_what_groups_are_about(stores, kinds):
    by_type = StoreClustering(kinds, weights={name: float(name == "type") for name in kinds}, n_clusters=3)
    known = stores.dropna(subset=["type"])
    table = pd.crosstab(by_type.fit(known).labels_, known["type"])
    assert ((table > 0).sum(axis=1) == 1).all()


def test_axes_are_kept_as_asked(stores, kinds, model):
    assert model.explained_.sum() >= 0.9 > model.explained_[:-1].sum()
    assert (np.diff(model.explained_) <= 0).all()
    assert StoreClustering(kinds, n_axes=2).fit(stores).coordinates_.shape == (len(stores), 2)
    fewer = StoreClustering(kinds, min_explained=0.5).fit(stores)
    assert fewer.explained_.sum() >= 0.5 > fewer.explained_[:-1].sum()


def test_fits_are_the_same_to_the_byte_and_survive_storage(stores, model):
    kinds = {name: Kind(kind) for name, kind in model.kinds.items()}
    stored = skops.io.dumps(StoreClustering(kinds).fit(stores))
    types = skops.io.get_untrusted_types(data=stored)
    assert all(name.startswith(TRUSTED_PACKAGES) for name in types)
    loaded = skops.io.loads(stored, trusted=types)
    pd.testing.assert_frame_equal(loaded.assign(stores), model.assign(stores), check_exact=True)
    pd.testing.assert_frame_equal(loaded.choice_, model.choice_, check_exact=True)
    assert loaded.index_ == model.index_


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"space": "euclid"}, "space must be one of gower, pca, got 'euclid'"),
        ({"linkage": "single"}, "linkage must be one of ward, average, complete, got 'single'"),
        ({"n_clusters": 500}, "n_clusters must be between 1 and the 150 rows, got 500"),
        ({"min_clusters": 1}, "clusters must be 2 <= min <= max, got 1 and 10"),
        ({"n_axes": 0}, "n_axes must be at least 1, got 0"),
        ({"min_explained": 0.0}, r"min_explained must be in \(0, 1\], got 0.0"),
        (
            {"space": "pca"},
            r"needs numeric columns .* others: \['type', 'bakery'\], with missing values: \['tu",
        ),
    ],
)
def test_errors_say_what_must_hold(stores, kinds, change, message):
    with pytest.raises(ValueError, match=message):
        StoreClustering(kinds, **change).fit(stores)


def test_equal_rows_form_no_groups():
    with pytest.raises(ValueError, match="rows must differ to form groups, all 5 are the same"):
        StoreClustering().fit(np.ones((5, 2)))
