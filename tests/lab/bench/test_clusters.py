"""Rossmann's stores: profiles as the files say, groups as R finds them, and the bench.

R's values are what ``golden/rossmann.R`` of the tests of ``models/clustering`` writes from the profiles (R 4.2.2,
cluster 2.1.4, FactoMineR 2.7); its header holds the commands.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import silhouette_score

from models.clustering import tree
from models.clustering.clusterer import StoreClustering
from models.clustering.gower import gower_distances
from pipelines.lab.bench import clusters
from pipelines.lab.bench.rossmann_stores import KINDS, read_profiles

GOLDEN = Path(__file__).parents[2] / "models" / "clustering" / "golden" / "rossmann.json"

#: The numeric variables without missing values.
COMPLETE = [name for name, kind in KINDS.items() if kind == "numeric" and name != "log_distance"]


def write(folder: Path, days: str, stores: str) -> Path:
    (folder / "train.csv").write_text(
        "Store,DayOfWeek,Date,Sales,Customers,Open,Promo,StateHoliday,SchoolHoliday\n" + days
    )
    (folder / "store.csv").write_text("Store,StoreType,Assortment,CompetitionDistance,Promo2\n" + stores)
    return folder


def test_profiles_are_shares_and_ratios_of_days_with_sales(tmp_path):
    days = (
        "1,1,2015-06-01,100,10,1,0,0,0\n"
        "1,2,2015-06-02,150,10,1,1,0,1\n"
        "1,6,2015-12-05,250,20,1,0,0,0\n"
        "1,7,2015-12-06,0,0,0,0,a,0\n"
        "2,7,2015-12-06,50,5,1,0,a,0\n"
    )
    found = read_profiles(write(tmp_path, days, "2,b,c,,1\n1,a,a,1000,0\n"))
    assert found.index.to_list() == [1, 2]
    assert list(found) == list(KINDS)
    one, two = found.loc[1], found.loc[2]
    assert (one["open_share"], one["sunday_share"], one["holiday_share"]) == (0.75, 0.0, 0.0)
    assert (two["open_share"], two["sunday_share"], two["holiday_share"]) == (1.0, 1.0, 1.0)
    assert np.exp(one["log_sales"]) == pytest.approx(500 / 3)
    assert one["basket"] == 500 / 40
    assert one["promo_uplift"] == one["school_uplift"] == 1.5
    assert one["saturday_ratio"] == 2.0
    assert one["december_ratio"] == 2.0
    assert one["summer_ratio"] == 0.5
    assert two[["promo_uplift", "saturday_ratio", "december_ratio", "log_distance"]].isna().all()
    assert (two["store_type"], two["assortment"], two["promo2"]) == ("b", 3.0, 1.0)


@pytest.fixture(scope="module")
def golden():
    return json.loads(GOLDEN.read_text())


@pytest.fixture(scope="module")
def profiles(data_dir) -> pd.DataFrame:
    return read_profiles(data_dir / "rossmann")


@pytest.fixture(scope="module")
def distances(profiles):
    return gower_distances(profiles, KINDS)


@pytest.mark.real_data
def test_distances_are_those_of_daisy(distances, golden):
    pairs = distances[np.triu_indices(len(distances), 1)]
    assert pairs.sum() == pytest.approx(golden["distance_sum"], rel=1e-10)
    assert_allclose(np.quantile(pairs, np.arange(11) / 10), golden["distance_quantiles"], atol=1e-7)


@pytest.mark.real_data
def test_tree_and_silhouettes_are_those_of_r(profiles, distances, golden):
    model = StoreClustering(KINDS, n_axes=8, n_clusters=9, consolidate=False).fit(profiles)
    assert_allclose(model.axes_.eigenvalues_ * len(profiles), golden["eig"], rtol=1e-9)
    heights = np.sort(model.linkage_matrix_[:, 2])[::-1]
    assert_allclose(heights[:10], golden["ward_heights"], rtol=1e-8)
    assert sorted(np.bincount(model.labels_)) == golden["ward_sizes"]
    found = [
        silhouette_score(distances, tree.cut(model.linkage_matrix_, k), metric="precomputed")
        for k in range(2, 11)
    ]
    assert_allclose(found, golden["silhouette"], atol=1e-9)
    assert_allclose(model.choice_["silhouette"][1:], found[:8], atol=1e-12)


@pytest.mark.real_data
def test_inertia_and_groups_of_the_numbers_are_those_of_hcpc(profiles, golden):
    model = StoreClustering(
        space="pca", n_axes=5, criterion="quotient", min_clusters=3, consolidate=False
    ).fit(profiles[COMPLETE])
    expected = golden["hcpc"]
    assert_allclose(model.axes_.eigenvalues_, expected["eig"], rtol=1e-9)
    assert_allclose(model.choice_["inertia_gain"][1:], expected["gain"], rtol=1e-8)
    assert model.n_clusters_ == expected["chosen"]
    assert sorted(np.bincount(model.labels_)) == expected["sizes"]


@pytest.mark.real_data
def test_the_bench_reports_groups_that_beat_the_notebooks(data_dir):
    lines: list[str] = []
    result = clusters.run(data_dir / "rossmann", say=lines.append, draws=10)
    metrics, peer = result.metrics, result.peers["kmeans_one_hot"]
    assert metrics["stores"] == sum(metrics["sizes"]) == 1115
    assert 2 <= metrics["n_clusters"] == len(metrics["sizes"]) <= 10
    assert metrics["silhouette"] > 0.3 > peer["silhouette"]
    assert metrics["stability"] > 0.9 > peer["stability"]
    assert metrics["stable_clusters"] == metrics["n_clusters"]
    # The few stores that open on Sundays are a group, and are told by it.
    sunday = [line for line in lines if "sunday_share high" in line]
    assert len(sunday) == 1
    assert min(metrics["sizes"]) < 30
    json.loads(result.to_json())
