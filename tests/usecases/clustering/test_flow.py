"""From features to groups that serve: names that stay, moves that are explained, a page and an explanation."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipelines.errors import ConfigError, DataContractError, NotKeptError
from pipelines.io.lake import Lake, on_day
from pipelines.io.registry import CHAMPION, Registry
from pipelines.steps import report, score, train
from pipelines.usecases.clustering import USECASE, scoring
from pipelines.usecases.clustering.dataset import Stores, choose_variables, new_groups, read_stores
from pipelines.usecases.clustering.schemas import (
    CHOICES,
    CLUSTERS,
    MIGRATIONS,
    PROFILES,
    STABILITY,
    TREES,
    VALIDATION,
)
from tests.usecases.clustering.conftest import AS_OF, EARLIER, PARAMS


def test_every_store_in_scope_has_a_group(grouped: Any) -> None:
    features, rows = grouped.features(), grouped.frame(CLUSTERS)
    assert set(rows["store_id"]) == set(features.loc[features["in_scope"], "store_id"])
    assert rows["cluster"].nunique() >= 2
    assert (rows["second_cluster"] != rows["cluster"]).all()
    assert (rows["distance"] <= rows["second_distance"]).all()
    marked = rows["is_typical"] | rows["is_atypical"]
    assert (rows["why"].notna() == marked).all()


def test_running_again_changes_nothing(grouped: Any) -> None:
    first = grouped.records["train", AS_OF]
    again = train.run(USECASE, AS_OF, settings=grouped.settings, params=PARAMS)
    assert again == {"model_version": first["model_version"], "reused": True, "run_id": first["run_id"]}
    before = grouped.records["score", AS_OF]
    after = score.run(USECASE, AS_OF, settings=grouped.settings, params=PARAMS)
    assert after["content_hash"] == before["content_hash"]
    assert after["moves"] == before["moves"]


def test_groups_that_continue_keep_their_names(grouped: Any) -> None:
    assert grouped.records["gate", EARLIER]["outcome"] == "promoted"
    assert grouped.records["train", EARLIER]["continued"] == []
    record = grouped.records["train", AS_OF]
    old, new = set(grouped.records["train", EARLIER]["clusters"]), set(record["clusters"])
    assert set(record["continued"]) == old & new
    assert set(record["gone"]) == old - new
    assert record["continued"], "most stores of a month ago are the stores of today"


def test_moves_are_the_difference_between_the_days(grouped: Any) -> None:
    before = grouped.frame(CLUSTERS, EARLIER).set_index("store_id")["cluster"]
    now = grouped.frame(CLUSTERS).set_index("store_id")["cluster"]
    moves = grouped.frame(MIGRATIONS).set_index("store_id")
    both = before.index.intersection(now.index)
    assert set(moves.index[moves["move"] == "moved"]) == set(both[before[both] != now[both]])
    assert set(moves.index[moves["move"] == "new"]) == set(now.index.difference(before.index))
    assert set(moves.index[moves["move"] == "left"]) == set(before.index.difference(now.index))
    for row in moves.itertuples():
        assert row.words
        assert row.cause != "store" or json.loads(row.variables_json) or "small changes" in row.words
    assert len(grouped.frame(MIGRATIONS, EARLIER)) == 0, "there is nothing before the first day"


def test_profiles_are_the_means_of_the_groups(grouped: Any) -> None:
    features = grouped.features().set_index("store_id")
    clusters = grouped.frame(CLUSTERS).set_index("store_id")["cluster"]
    profiles = grouped.frame(PROFILES).set_index(["cluster", "variable", "category"])
    for name in ("revenue_per_day", "basket_eur", "weekend_share"):
        means = features[name].reindex(clusters.index).groupby(clusters).mean()
        for cluster, mean in means.items():
            assert profiles.loc[(cluster, name, ""), "inside"] == pytest.approx(mean)
    share = features["store_type"].reindex(clusters.index).eq("city").groupby(clusters).mean()
    for cluster, value in share.items():
        assert profiles.loc[(cluster, "store_type", "city"), "inside"] == pytest.approx(value)


def test_a_training_leaves_what_the_page_and_the_gate_need(grouped: Any) -> None:
    stores = len(grouped.frame(CLUSTERS))
    choices, stability = grouped.frame(CHOICES), grouped.frame(STABILITY)
    assert choices["chosen"].sum() == 1
    assert len(grouped.frame(TREES)) == stores - 1
    assert stability["stores"].sum() == stores
    assert int(choices.loc[choices["chosen"], "n_clusters"].iloc[0]) == len(stability)
    candidates = grouped.frame(VALIDATION).groupby("candidate").size()
    assert set(candidates) == {stores}
    assert {"challenger", "champion"} < set(candidates.index)
    assert set(candidates.index) - {"challenger", "champion"} == {"store_type"}


def test_monitoring_says_what_it_looked_at(grouped: Any) -> None:
    record = grouped.records["monitor", AS_OF]
    groups = grouped.frame(CLUSTERS)["cluster"].nunique()
    assert sum(record["findings"].values()) >= 4 + groups
    assert all(alarm["first_step"] for alarm in record["alarms"])
    first = grouped.records["monitor", EARLIER]
    assert first["findings"]["not_enough_data"] == 2, (
        "no moves before the second day, too few stores for drift"
    )


def test_a_store_is_explained(grouped: Any) -> None:
    store = grouped.frame(CLUSTERS)["store_id"].iloc[0]
    run = USECASE.run(AS_OF, grouped.settings, PARAMS)
    record = USECASE.explain.run(run, [store])
    assert set(record["history"]) == {str(EARLIER), str(AS_OF)}
    text = USECASE.explain.text(record)
    assert f"Store {store} on {AS_OF}: group {record['cluster']}" in text
    assert "Takings a day" in text
    outside = grouped.features()
    for gone in outside.loc[~outside["in_scope"], "store_id"]:
        with pytest.raises(DataContractError, match="is not grouped on"):
            USECASE.explain.run(run, [gone])
    with pytest.raises(DataContractError, match="there is no store 'S-none'"):
        USECASE.explain.run(run, ["S-none"])


def test_the_page_has_every_part(grouped: Any, read_page: Any) -> None:
    record = report.run(USECASE, AS_OF, settings=grouped.settings, params=PARAMS)
    assert record["missing"] == []
    page = read_page(grouped.settings.report_dir / "clustering.html")
    text = page.text
    rows = grouped.frame(CLUSTERS)
    for cluster in sorted(set(rows["cluster"])):
        assert f"Group {cluster}" in str(page.embedded("figure-data")), cluster
    assert "What sets them apart" in text
    figures = page.embedded("figure-data")
    assert len(figures) >= 5
    index = (grouped.settings.report_dir / "index.html").read_text()
    assert "Store groups" in index
    assert "read in the lake" in index


def test_a_day_without_groups_has_a_page_that_says_so(grouped: Any, read_page: Any) -> None:
    day = EARLIER - timedelta(days=1)
    record = report.run(USECASE, day, settings=grouped.settings, params=PARAMS)
    assert {"groups", "heat_map", "stores"} <= set(record["missing"])
    text = read_page(grouped.settings.report_dir / "clustering.html").text
    assert f"millrace score clustering --as-of {day}" in text


# -------------------------------------------------------------------------------------- the variables


def stores_of(grouped: Any, day: date = AS_OF) -> Stores:
    return read_stores(USECASE.run(day, grouped.settings, PARAMS))


def test_variables_that_tell_nothing_are_left_out_and_said(grouped: Any) -> None:
    stores = stores_of(grouped)
    inside = stores.inside.assign(surface_m2=np.nan, age_years=7.0)
    chosen = choose_variables(replace(stores, inside=inside), PARAMS)
    assert chosen.left_out["surface_m2"] == "not known of any store"
    assert chosen.left_out["age_years"] == "the same for all stores: 7"
    assert chosen.levels["assortment"] == ["compact", "standard", "full"]
    assert chosen.kinds["assortment"] == "ordinal"
    assert (
        chosen.kinds["takes_coupons" if "takes_coupons" in chosen.kinds else "opens_sunday"]
        == "asymmetric_binary"
    )


def test_a_theme_weighs_the_same_however_many_variables_tell_of_it(grouped: Any) -> None:
    """Weight times mean difference, summed over a theme, is the weight of the theme."""
    from models.clustering.gower import gower_distances

    stores = stores_of(grouped)
    params = USECASE.load_params(grouped.settings, {"distance.balance_floor": 1e-6})
    chosen = choose_variables(stores, params)
    columns = new_groups(chosen, params, stores=len(stores.inside)).prepared(stores.X)
    pairs = np.triu_indices(len(columns), 1)
    sums: dict[str, float] = {}
    for name, kind in chosen.kinds.items():
        mean = float(np.nanmean(gower_distances(columns[[name]], {name: kind})[pairs]))
        theme = stores.contract.themes[name]
        sums[theme] = sums.get(theme, 0.0) + chosen.weights[name] * mean
    assert sums == pytest.approx({theme: params.distance.theme_weights[theme] for theme in sums}, rel=1e-3)


def test_a_theme_without_weight_is_refused(grouped: Any) -> None:
    stores = stores_of(grouped)
    weights = {name: 1.0 for name in PARAMS.distance.theme_weights if name != "trade"}
    params = USECASE.load_params(grouped.settings, {"distance.theme_weights": weights})
    with pytest.raises(ConfigError, match=r"missing \['trade'\]"):
        choose_variables(stores, params)


def test_a_day_that_was_not_prepared_is_named(grouped: Any) -> None:
    with pytest.raises(DataContractError, match="has no rows for 2020-01-01: run `millrace train clustering"):
        stores_of(grouped, date(2020, 1, 1))


# --------------------------------------------------------------------------------- features of the day before


def moves_without(grouped: Any, fault: Exception, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Moves of today if reading the features of the day before fails."""

    def read(run: Any, day: date | None = None) -> Stores:
        if day is not None:
            raise fault
        return read_stores(run)

    monkeypatch.setattr(scoring, "read_stores", read)
    run = USECASE.run(AS_OF, grouped.settings, PARAMS)
    registry = Registry(grouped.settings, USECASE.name)
    version = registry.serving(CHAMPION)
    outputs = scoring.predict(run, registry.load(version), version)
    return next(output.rows for output in outputs if output.table is MIGRATIONS)


def test_moves_are_told_without_features_that_are_not_kept(grouped: Any, monkeypatch: Any) -> None:
    moves = moves_without(grouped, NotKeptError("version 3 is no longer kept"), monkeypatch)
    assert set(moves["store_id"]) == set(grouped.frame(MIGRATIONS)["store_id"])
    moved = moves[moves["move"] == "moved"]
    assert (moved["words"] == "The features of the last run are not kept").all()
    assert (moved["variables_json"] == "[]").all()


def test_any_other_fault_of_the_day_before_stops_the_scoring(grouped: Any, monkeypatch: Any) -> None:
    with pytest.raises(DataContractError, match="must have stores in scope"):
        moves_without(grouped, DataContractError("it must have stores in scope"), monkeypatch)


def test_a_day_without_rows_is_not_kept_and_one_without_stores_in_scope_is_a_fault(
    grouped: Any, monkeypatch: Any
) -> None:
    run = USECASE.run(AS_OF, grouped.settings, PARAMS)
    assert scoring._kept(run, date(2020, 1, 1)) is None
    rows = grouped.lake.read(run.mart(USECASE.grain).table, where=on_day(EARLIER))
    closed = rows.set_column(
        rows.schema.get_field_index("in_scope"), "in_scope", pa.array([False] * rows.num_rows)
    )
    monkeypatch.setattr(Lake, "read", lambda *args, **kwargs: closed)
    with pytest.raises(DataContractError, match="must have stores in scope"):
        scoring._kept(run, EARLIER)
