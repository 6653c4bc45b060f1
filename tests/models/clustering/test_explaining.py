"""Profiles, exemplars and atypical stores: the planted ones are found, and the words say what the numbers say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.stats import fisher_exact

from models.clustering.clusterer import StoreClustering
from models.clustering.exemplars import paragons, reasons, usual_values
from models.clustering.profile import NOTABLE, in_words, profile


@pytest.fixture(scope="module")
def model(stores, kinds):
    return StoreClustering(kinds, n_clusters=3).fit(stores)


@pytest.fixture(scope="module")
def table(stores, kinds, model):
    return profile(stores, model.labels_, kinds)


def test_test_values_of_means_are_deviates_of_random_draws(stores, kinds, model):
    table = profile(stores, model.labels_, kinds)
    row = table[(table["cluster"] == 1) & (table["variable"] == "sunday")].iloc[0]
    rng = np.random.default_rng(0)
    known = stores["sunday"].notna().to_numpy()
    values, inside = stores["sunday"].to_numpy()[known], model.labels_[known] == 1
    drawn = np.array([rng.permutation(values)[: inside.sum()].mean() for _ in range(4000)])
    expected = (values[inside].mean() - values.mean()) / drawn.std()
    assert row["v_test"] == pytest.approx(expected, rel=0.05)
    assert row["in_cluster"] == pytest.approx(values[inside].mean())


def test_test_values_of_categories_agree_with_fishers_test(stores, kinds):
    halves = np.arange(len(stores)) % 2  # groups that mean nothing
    table = profile(stores, halves, kinds)
    row = table[(table["cluster"] == 0) & (table["category"] == "b")].iloc[0]
    has = (stores["type"] == "b").to_numpy()
    _, expected = fisher_exact(pd.crosstab(halves, has).to_numpy())
    assert row["p_value"] == pytest.approx(expected, abs=0.15)  # mid-p is a little smaller
    assert abs(row["v_test"]) < NOTABLE + 1
    assert row["in_cluster"] == pytest.approx(has[halves == 0].mean())


def test_shares_of_binary_variables_are_of_known_answers(stores, kinds, model, table):
    rows = table[table["variable"] == "bakery"].set_index("cluster")
    assert (rows["category"] == "1").all()
    assert_allclose(rows["in_cluster"], stores["bakery"].groupby(model.labels_).mean())
    assert rows["overall"].to_numpy() == pytest.approx(stores["bakery"].mean())


def test_strongest_variables_come_first(stores, kinds, model, table):
    strength = table["v_test"].abs()
    assert strength.groupby(table["cluster"]).apply(lambda found: found.is_monotonic_decreasing).all()
    noise = np.random.default_rng(0).normal(size=len(stores))
    found = profile(stores.assign(noise=noise), model.labels_, {**kinds, "noise": "numeric"})
    strongest = found.groupby("variable")["v_test"].agg(lambda values: values.abs().max())
    assert strongest.idxmin() == "noise"


def test_groups_in_words(stores, kinds, model, table):
    words = in_words(table, names={"sunday": "open on Sundays"}, formats={"sunday": ".0%"}, top=6)
    group = int(model.labels_[stores["sunday"].to_numpy() > 0.7][0])
    share, overall = stores["sunday"][model.labels_ == group].mean(), stores["sunday"].mean()
    assert f"open on Sundays high ({share:.0%}, all {overall:.0%})" in words[group]
    assert sum("size high (level" in text for text in words.values()) == 1
    assert any("bakery" in text for text in words.values())
    same = profile(pd.DataFrame({"x": [1.0, 2.0] * 10}), [0, 0, 1, 1] * 5, {"x": "numeric"})
    assert in_words(same) == dict.fromkeys((0, 1), "like all others in every single variable")


def test_always_and_never():
    frame = pd.DataFrame({"type": ["a"] * 10 + ["b"] * 10, "wifi": [1.0] * 10 + [0.0] * 10})
    words = in_words(profile(frame, [0] * 10 + [1] * 10, {"type": "nominal", "wifi": "symmetric_binary"}))
    assert "always type a (100%, all 50%)" in words[0]
    assert "always wifi (100%, all 50%)" in words[0]
    assert "never wifi (0%, all 50%)" in words[1]


def test_constant_and_missing_columns_have_no_test_value(stores, kinds, model):
    frame = stores.assign(flat=1.0, none=np.nan)
    added = {**kinds, "flat": "numeric", "none": "numeric"}
    table = profile(frame, model.labels_, added)
    assert table.loc[table["variable"].isin(["flat", "none"]), "v_test"].isna().all()
    assert not any("flat" in text or "none" in text for text in in_words(table).values())


def test_paragons_are_nearest_to_their_centre(model):
    found = paragons(model, top=2)
    distance = np.sqrt(((model.coordinates_ - model.centres_[model.labels_]) ** 2).sum(axis=1))
    for cluster, rows in found.groupby("cluster"):
        inside = np.flatnonzero(model.labels_ == cluster)
        assert rows["row"].to_list() == inside[np.argsort(distance[inside])[:2]].tolist()
        assert rows["store"].to_list() == [model.index_[row] for row in rows["row"]]
    assert set(paragons(model)["rank"]) == {1, 2, 3, 4, 5}


def test_a_planted_odd_store_is_odd_for_the_planted_reason(stores, kinds):
    odd = stores.copy()
    odd.loc["S010", ["turnover", "sunday", "uplift"]] = [5000.0, 0.45, 2.2]
    model = StoreClustering(kinds, n_clusters=3).fit(odd)
    found = reasons(model, odd.loc[["S010", "S011"]], top=2)
    first = found.iloc[0]
    assert (first["store"], first["rank"], first["variable"], first["value"]) == ("S010", 1, "uplift", 2.2)
    inside = model.labels_ == first["cluster"]
    assert first["usual"] == pytest.approx(odd["uplift"][inside].median())
    assert found["excess"].min() > 0


def test_a_new_store_is_explained_in_the_words_of_its_columns(stores, model):
    new = stores.loc[["S000"]].astype({"size": object}).assign(type="kiosk", size="small", sunday=0.0)
    new["size"] = pd.Categorical(new["size"], ["small", "medium", "large"], ordered=True)
    target = int(model.labels_[stores["size"].to_numpy() == "large"][0])
    found = reasons(model, new, [target], top=6).set_index("variable")
    assert found.loc["type", "value"] == "another"
    assert (found.loc["size", "value"], found.loc["size", "usual"]) == ("small", "large")
    assert reasons(model, new.iloc[:0]).empty


def test_usual_values_are_medians_and_modes(stores, model):
    found = usual_values(model)
    for cluster in range(3):
        inside = stores[model.labels_ == cluster]
        assert found.loc[cluster, "turnover"] == pytest.approx(inside["turnover"].median())
        assert found.loc[cluster, "type"] == inside["type"].mode()[0]
        assert found.loc[cluster, "size"] == inside["size"].mode()[0]
        assert found.loc[cluster, "bakery"] == inside["bakery"].mode()[0]
