"""Equality with R on the 60 stores of ``golden/stores.csv``.

The values are what ``Rscript stores.R > stores.json`` writes in ``golden/``: R 4.2.2 with cluster 2.1.4
(``daisy``, ``agnes``, ``silhouette``), FactoMineR 2.7 (``PCA``, ``HCPC``, ``catdes``), fpc 2.2.10
(``clusterboot``) and jsonlite 1.8.4. ``stores.R`` holds the exact calls.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.spatial.distance import squareform

from models.clustering import tree
from models.clustering.choice import curve_of_cuts
from models.clustering.clusterer import StoreClustering
from models.clustering.coordinates import PrincipalCoordinates
from models.clustering.exemplars import paragons
from models.clustering.gower import gower_distances
from models.clustering.profile import profile
from models.clustering.stability import bootstrap_jaccard

FOLDER = Path(__file__).parent / "golden"
KINDS = {
    "turnover": "numeric",
    "sunday": "numeric",
    "uplift": "numeric",
    "basket": "numeric",
    "distance": "numeric",
    "flat": "numeric",
    "type": "nominal",
    "size": "ordinal",
    "bakery": "asymmetric_binary",
    "city": "symmetric_binary",
}
WEIGHTS = dict(zip(KINDS, (2, 1, 1, 1, 0.5, 1, 3, 1, 1, 0), strict=True))
NUMERIC = ["turnover", "sunday", "basket"]


@pytest.fixture(scope="module")
def stores() -> pd.DataFrame:
    frame = pd.read_csv(FOLDER / "stores.csv", index_col="store")
    frame["size"] = pd.Categorical(frame["size"], ["small", "medium", "large"], ordered=True)
    return frame


@pytest.fixture(scope="module")
def golden():
    return json.loads((FOLDER / "stores.json").read_text())


@pytest.fixture(scope="module")
def distances(stores):
    return gower_distances(stores, KINDS)


@pytest.fixture(scope="module")
def ward(stores):
    """The four groups that Ward's tree on six principal coordinates gives."""
    return StoreClustering(KINDS, n_clusters=4, n_axes=6, consolidate=False).fit(stores)


@pytest.fixture(scope="module")
def hcpc(stores):
    return StoreClustering(space="pca", n_axes=3, criterion="quotient", min_clusters=3).fit(stores[NUMERIC])


def same_partition(left, right) -> bool:
    pairs = set(zip(np.asarray(left).tolist(), np.asarray(right).tolist(), strict=True))
    return len(pairs) == len(set(left)) == len(set(right))


@pytest.mark.parametrize(("weights", "key"), [(None, "daisy"), (WEIGHTS, "daisy_weighted")])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-11), ("float32", 1e-7)])
def test_distances_are_those_of_daisy(stores, golden, weights, key, dtype, tolerance):
    found = gower_distances(stores, KINDS, weights=weights, dtype=dtype)
    assert found.dtype == dtype
    # daisy lists the lower triangle by column, which is the upper one by row.
    assert_allclose(squareform(found, checks=False), golden[key], rtol=0, atol=tolerance)


@pytest.mark.parametrize("linkage", ["average", "complete"])
def test_trees_on_distances_are_those_of_agnes(distances, golden, linkage):
    expected = golden[f"agnes_{linkage}"]
    grown = tree.grow(np.empty((len(distances), 0)), distances, linkage)
    assert_allclose(np.sort(grown[:, 2]), expected["height"], atol=1e-11)
    assert same_partition(tree.cut(grown, 4), expected["four"])


def test_silhouettes_are_those_of_cluster(stores, distances, golden):
    grown = tree.grow(np.empty((60, 0)), distances, "average")
    coordinates = PrincipalCoordinates().fit(distances).coordinates_
    curve = curve_of_cuts(grown, coordinates, distances, 6)
    assert_allclose(curve["silhouette"][1:], golden["silhouette"], atol=1e-11)


def test_coordinates_and_wards_tree_are_those_of_cmdscale_and_agnes(ward, golden):
    expected = golden["cmdscale"]
    points = np.array(expected["points"])
    assert_allclose(np.abs(ward.coordinates_), np.abs(points), atol=1e-9)
    assert_allclose(ward.axes_.eigenvalues_ * 60, expected["eig"][:6], atol=1e-10)
    real = [value for value in expected["eig"] if value > 1e-9]
    assert ward.axes_.total_inertia_ * 60 == pytest.approx(sum(real), abs=1e-9)
    assert ward.axes_.negative_share_ * sum(real) == pytest.approx(
        -sum(value for value in expected["eig"] if value < 0), abs=1e-9
    )
    assert_allclose(np.sort(ward.linkage_matrix_[:, 2]), golden["ward"]["height"], atol=1e-9)
    assert_allclose(np.sort(ward.linkage_matrix_[:, 2]), golden["ward"]["hclust"], atol=1e-9)
    assert same_partition(ward.labels_, golden["ward"]["four"])


def test_inertia_and_number_of_clusters_are_those_of_hcpc(hcpc, golden):
    expected = golden["hcpc"]
    assert_allclose(np.abs(hcpc.coordinates_), np.abs(np.array(expected["coord"])), atol=1e-9)
    assert_allclose(hcpc.axes_.eigenvalues_, expected["eig"], atol=1e-9)
    curve = hcpc.choice_.set_index("n_clusters")
    assert_allclose(curve.loc[2:10, "inertia_gain"], expected["gain"], atol=1e-9)
    assert_allclose(curve["within_inertia"], expected["within"], atol=1e-9)
    assert_allclose(curve.loc[3:10, "quotient"], expected["quotient"], atol=1e-9)
    assert hcpc.n_clusters_ == expected["chosen"] == curve.index[curve["chosen"]].item()


def test_consolidated_groups_and_inertia_are_those_of_hcpc(stores, hcpc, golden):
    expected, total = golden["hcpc"], hcpc.axes_.total_inertia_
    plain = StoreClustering(space="pca", n_axes=3, n_clusters=4, consolidate=False).fit(stores[NUMERIC])
    assert same_partition(plain.labels_, expected["plain"])
    assert same_partition(hcpc.labels_, expected["consolidated"])
    assert not same_partition(plain.labels_, hcpc.labels_)  # or consolidation would not be tested
    assert (1 - hcpc.inertia_before_consolidation_) * total == pytest.approx(expected["between_before"])
    assert (1 - hcpc.inertia_after_consolidation_) * total == pytest.approx(expected["between_after"])


def test_exemplars_are_those_of_hcpc(hcpc, golden):
    clusters = np.array(golden["hcpc"]["consolidated"])
    mine = {int(clusters[hcpc.labels_ == label][0]): label for label in range(4)}
    found = paragons(hcpc, top=3)
    for cluster, names in golden["hcpc"]["paragons"].items():
        assert found.loc[found["cluster"] == mine[int(cluster)], "store"].to_list() == names


def test_profiles_are_those_of_catdes(stores, golden):
    expected = golden["catdes"]
    labels = np.array(golden["ward"]["four"])
    X = stores[[*NUMERIC, "type", "city"]].astype({"city": int})
    # catdes shows both answers of a binary variable; as a nominal one it has both here, too.
    kinds = {**dict.fromkeys(NUMERIC, "numeric"), "type": "nominal", "city": "nominal"}
    table = profile(X, labels, kinds).fillna({"category": ""}).set_index(["cluster", "variable", "category"])
    checked = 0
    for cluster in "1234":
        quanti, category = expected["quanti"][cluster], expected["category"][cluster]
        for name, (v_test, mean, overall, sd, overall_sd, p_value) in zip(
            quanti["names"], quanti["values"], strict=True
        ):
            row = table.loc[(int(cluster), name, "")]
            found = row[["v_test", "in_cluster", "overall", "sd_in_cluster", "sd_overall", "p_value"]]
            assert_allclose(
                found.to_numpy(float), [v_test, mean, overall, sd, overall_sd, p_value], rtol=1e-8, atol=1e-12
            )
            checked += 1
        for name, (of_category, inside, overall, p_value, v_test) in zip(
            category["names"], category["values"], strict=True
        ):
            variable, level = name.split("=")
            row = table.loc[(int(cluster), variable, {"NA": "missing"}.get(level, level.split("_")[-1]))]
            found = row[["share_of_category", "in_cluster", "overall", "p_value", "v_test"]].to_numpy(float)
            expected_row = [of_category / 100, inside / 100, overall / 100, p_value, v_test]
            assert_allclose(found, expected_row, rtol=1e-8, atol=1e-12)
            checked += 1
    assert checked == 4 * (len(NUMERIC) + 5 + 2)  # numbers, types with "missing", answers


def test_stability_is_that_of_clusterboot_within_monte_carlo_error(ward, golden):
    expected = golden["clusterboot"]
    partition = np.array(expected["partition"])
    assert same_partition(ward.labels_, partition)
    draws = 200
    found = bootstrap_jaccard(ward, draws, random_state=3)
    for label in range(4):
        at = int(partition[ward.labels_ == label][0]) - 1
        # A Jaccard index lies in [0, 1]: its standard deviation is at most sqrt(m (1 - m)).
        mean = expected["mean"][at]
        error = np.sqrt(mean * (1 - mean) * (1 / draws + 1 / 2000))
        assert found.loc[label, "jaccard"] == pytest.approx(mean, abs=3 * error)
        assert found.loc[label, "recovered"] == pytest.approx(expected["recover"][at] / 2000, abs=0.09)
        assert found.loc[label, "dissolved"] == pytest.approx(expected["brd"][at] / 2000, abs=0.09)
