"""Groups with names: what is prepared belongs to the model, names stay, stores beyond the range count as at its edge."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import skops.io

from models.clustering.clusterer import StoreClustering
from models.clustering.groups import NamedGroups, letters
from pipelines.io.registry import TRUSTED_PACKAGES

KINDS = {"takings": "numeric", "range": "ordinal", "kind": "nominal", "sunday": "asymmetric_binary"}


@pytest.fixture(scope="module")
def stores() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    big = np.arange(40) < 25
    takings = np.where(big, rng.lognormal(9, 0.2, 40), rng.lognormal(6, 0.2, 40))
    takings[3] = np.nan
    return pd.DataFrame(
        {
            "takings": takings,
            "range": np.where(big, "full", "basic"),
            "kind": np.where(big, "hyper", "city"),
            "sunday": [bool(n % 2) for n in range(40)],
        },
        index=[f"S{n:02}" for n in range(40)],
    ).astype({"sunday": object})


@pytest.fixture(scope="module")
def groups(stores: pd.DataFrame) -> NamedGroups:
    clustering = StoreClustering(kinds=KINDS, n_clusters=2, n_axes=3)
    return NamedGroups(clustering, ["takings"], {"range": ["basic", "full"]}).fit(stores)


def test_the_largest_group_is_a(groups: NamedGroups, stores: pd.DataFrame) -> None:
    assert groups.labels_.tolist() == ["A"] * 25 + ["B"] * 15
    assert groups.predict(stores).tolist() == groups.labels_.tolist()


def test_fitted_stores_lie_where_they_were_fitted(groups: NamedGroups, stores: pd.DataFrame) -> None:
    np.testing.assert_allclose(groups.coordinates(stores), groups.clustering_.coordinates_, atol=1e-8)


def test_amounts_are_compared_by_their_ratio(groups: NamedGroups, stores: pd.DataFrame) -> None:
    prepared = groups.prepared(stores)["takings"]
    np.testing.assert_allclose(prepared, np.log1p(stores["takings"]))
    assert groups.raw_value("takings", prepared.iloc[0]) == pytest.approx(stores["takings"].iloc[0])
    assert groups.raw_value("takings", float("nan")) is None
    with pytest.raises(ValueError, match="takings is compared by its ratio and must not be negative, got -1"):
        groups.prepared(stores.assign(takings=-1.0))


def test_a_store_beyond_the_range_is_at_its_edge(groups: NamedGroups, stores: pd.DataFrame) -> None:
    largest = stores["takings"].idxmax()
    beyond = stores.loc[[largest]].assign(takings=1e12)
    pd.testing.assert_frame_equal(groups.assign(beyond), groups.assign(stores.loc[[largest]]))


def test_a_store_unlike_all_of_its_group_deviates(groups: NamedGroups, stores: pd.DataFrame) -> None:
    strange = stores.iloc[[0]].assign(takings=1.0, range="basic")
    both = pd.concat([stores, strange.set_axis(["strange"])])
    deviation = pd.Series(groups.deviation(groups.assign(both)), both.index)
    assert deviation["strange"] > 3.5
    assert abs(deviation.drop("strange").median()) < 1


def test_names_are_given_once(groups: NamedGroups) -> None:
    assert letters(3) == ["A", "B", "C"]
    assert letters(2, ["A", "C"]) == ["B", "D"]
    assert letters(28)[-2:] == ["AA", "AB"]
    with pytest.raises(ValueError, match="names must be 2 different ones"):
        groups.rename(["A", "A"])


def test_renamed_groups_predict_their_names(stores: pd.DataFrame) -> None:
    clustering = StoreClustering(kinds=KINDS, n_clusters=2, n_axes=3)
    model = NamedGroups(clustering, ["takings"], {"range": ["basic", "full"]}).fit(stores)
    first = model.names_.index("A")
    names = ["D", "D"]
    names[first], names[1 - first] = "D", "B"
    model.rename(names, ["A", "C"])
    assert model.predict(stores).tolist() == ["D"] * 25 + ["B"] * 15
    assert model.used_names_ == ["A", "B", "C", "D"]


def test_it_is_stored_without_code_of_others(groups: NamedGroups, stores: pd.DataFrame) -> None:
    data = skops.io.dumps(groups)
    types = skops.io.get_untrusted_types(data=data)
    assert [name for name in types if not name.startswith(TRUSTED_PACKAGES)] == []
    again = skops.io.loads(data, trusted=types)
    pd.testing.assert_frame_equal(again.assign(stores), groups.assign(stores))


def test_missing_columns_are_named(groups: NamedGroups, stores: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match=r"missing \['kind'\]"):
        groups.predict(stores.drop(columns="kind"))


def test_levels_are_told_by_their_word(groups: NamedGroups) -> None:
    assert groups.raw_value("range", 1.0) == "full"
    assert groups.raw_value("range", "basic") == "basic"


def test_the_mean_difference_of_a_variable_is_over_the_pairs_that_know_it(stores: pd.DataFrame) -> None:
    groups = NamedGroups(StoreClustering(kinds=KINDS), ["takings"], {"range": ["basic", "full"]})
    known = stores["range"].dropna()
    share = (known == "full").mean()
    pairs = 2 * share * (1 - share) * len(known) / (len(known) - 1)
    assert groups.mean_difference(stores, "range") == pytest.approx(pairs)
    assert groups.mean_difference(stores.assign(range=None), "range") == 0.0
