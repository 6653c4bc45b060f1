"""A small simulated chain through training and two nights: complete, coherent, repeatable, without hindsight."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from features.schemas import Table
from pipelines.errors import DataContractError, ModelGateError
from pipelines.io.hashing import content_hash
from pipelines.io.lake import Lake, on_day
from pipelines.lab.simulation.demand import generate
from pipelines.settings import Settings
from pipelines.sources.ingest import ingest
from pipelines.steps import gate, prepare, score, train
from pipelines.usecases.demand import USECASE
from pipelines.usecases.demand.dataset import read_dataset
from pipelines.usecases.demand.layouts import STOCK_LAYOUTS
from pipelines.usecases.demand.params import Origins
from pipelines.usecases.demand.schemas import (
    AGGREGATES,
    BACKTEST,
    CERTIFICATES,
    COVERAGE,
    CROSSED,
    CROSSED_CERTIFICATES,
    FORECASTS,
    ORDERS,
    SARIMA_ORDERS,
    SERIES,
    TABLES,
    VALIDATION,
    WEEKLY,
)

TRAINED = date(2025, 6, 1)
NEXT = date(2025, 6, 2)
PARAMS = USECASE.load_params(
    Settings(),
    {
        "features.history_days": 430,
        "backtest.training_weeks": 8,
        "backtest.selection_origins": 2,
        "backtest.judging_origins": 2,
        "backtest.local_series": 5,
        "boosting.max_rows": 15_000,
        "boosting.rounds": 40,
        "gate.min_products": 5,
        "gate.max_bias": 0.5,
        "gate.min_coverage_80": 0.4,
        "gate.max_coverage_80": 1.0,
        "workers": 1,
    },
)


@dataclass(frozen=True)
class Chain:
    """The chain after training and two nights, and what the steps returned."""

    settings: Settings
    files: Path
    records: dict[str, dict[str, Any]]

    @property
    def lake(self) -> Lake:
        return Lake.of(self.settings)

    def read(self, table: Table, day: date) -> pl.DataFrame:
        found = pl.from_arrow(self.lake.read(table, where=on_day(day)))
        assert isinstance(found, pl.DataFrame)
        return found

    def profile(self, day: date) -> pl.DataFrame:
        found = pl.from_arrow(self.lake.read("features/demand_profile", where=on_day(day)))
        assert isinstance(found, pl.DataFrame)
        return found


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    var = tmp_path_factory.mktemp("chain")
    made = Chain(Settings(var=var), var / "data" / "demand", {})
    generate(3, 40, 30_000, 3, made.files, start=date(2024, 1, 1), end=NEXT)
    arrived = datetime.combine(NEXT, time(3))
    ingest("demand", made.files, settings=made.settings, ingested_at=arrived, quality_checks=False)
    given = {"settings": made.settings, "params": PARAMS}
    made.records["prepare"] = prepare.run(USECASE, TRAINED, training=True, **given)
    made.records["train"] = train.run(USECASE, TRAINED, **given)
    made.records["gate"] = gate.run(USECASE, TRAINED, **given)
    made.records["score"] = score.run(USECASE, TRAINED, alias="challenger", **given)
    made.records["prepare next"] = prepare.run(USECASE, NEXT, **given)
    made.records["score next"] = score.run(USECASE, NEXT, alias="challenger", **given)
    yield made
    shutil.rmtree(var)


def test_every_active_series_has_all_days_and_says_why(chain: Chain) -> None:
    forecasts, profile = chain.read(FORECASTS, NEXT), chain.profile(NEXT)
    keys = ["store_id", "sku_id"]
    assert set(forecasts.select(keys).unique().rows()) == set(profile.select(keys).rows())
    counts = forecasts.group_by(keys).agg(
        pl.col("horizon").sort(), pl.col("ds").min(), pl.col("reason").first()
    )
    assert counts["horizon"].to_list() == [list(range(1, 15))] * profile.height
    assert set(counts["ds"]) == {NEXT + timedelta(days=1)}, "J+1 is tomorrow"
    assert (forecasts["reason"].str.len_chars() > 0).all()
    named = profile.filter(pl.col("fallback").is_not_null()).join(forecasts, on=keys)
    assert named["model"].str.starts_with("fallback").all()


def test_levels_are_sums_of_their_series_in_both_views(chain: Chain) -> None:
    forecasts, aggregates = chain.read(FORECASTS, NEXT), chain.read(AGGREGATES, NEXT)
    series = forecasts.join(
        chain.profile(NEXT).select("store_id", "sku_id", "region"), on=["store_id", "sku_id"]
    )
    node = {
        "national": pl.lit("all"),
        "region": pl.col("region"),
        "store": pl.col("store_id"),
        "sku": pl.col("sku_id"),
    }
    for level, column in node.items():
        sums = series.group_by(node=column, ds=pl.col("ds")).agg(pl.col("operational", "strategic").sum())
        found = aggregates.filter(pl.col("level") == level).join(sums, on=["node", "ds"], suffix="_sum")
        assert found.height == sums.height, level
        for view in ("operational", "strategic"):
            np.testing.assert_allclose(found[view], found[f"{view}_sum"], rtol=1e-9, atol=1e-9)


def test_categories_and_products_by_region_agree_with_forecasts_and_totals(chain: Chain) -> None:
    crossed, names = chain.read(CROSSED, NEXT), ["region", "category", "sku_id"]
    described = chain.profile(NEXT).select("store_id", "sku_id", "region", "category")
    parts = chain.read(FORECASTS, NEXT).join(described, on=["store_id", "sku_id"])
    for (level,), rows in crossed.group_by("level"):
        named = [name for name in names if not (rows[name] == "all").all()]
        sums = parts.group_by([*named, "ds"]).agg(pl.col("operational").sum())
        found = rows.join(sums, on=[*named, "ds"], suffix="_sum")
        assert found.height == rows.height == sums.height, level
        np.testing.assert_allclose(found["operational"], found["operational_sum"], rtol=1e-9, atol=1e-9)
    totals = chain.read(AGGREGATES, NEXT)
    for level, node in (("national", pl.lit("all")), ("region", pl.col("region"))):
        own = crossed.filter(pl.col("level") == level).with_columns(node=node)
        both = own.join(totals, on=["level", "node", "ds"], suffix="_total")
        assert both.height == own.height > 0
        np.testing.assert_allclose(both["reconciled"], both["operational_total"], rtol=1e-9, atol=1e-9)
    certificates = chain.read(CROSSED_CERTIFICATES, NEXT).sort("forecast")
    assert certificates["forecast"].to_list() == ["operational", "reconciled"]
    assert certificates["method"].to_list() == ["bottom_up", "wls_struct"]
    assert certificates["ok"].all()


def test_weeks_are_sums_of_their_days(chain: Chain) -> None:
    weekly, forecasts = chain.read(WEEKLY, NEXT), chain.read(FORECASTS, NEXT)
    days = forecasts.group_by(
        node=pl.col("store_id") + "/" + pl.col("sku_id"), week=(pl.col("horizon") + 6) // 7
    ).agg(pl.col("operational").sum(), pl.col("ds").min(), pl.col("ds").max().alias("last"))
    found = weekly.filter(pl.col("level") == "sku_store").join(days, on=["node", "week"], suffix="_sum")
    assert found.height == days.height == 2 * chain.records["score next"]["series"]
    np.testing.assert_allclose(found["operational"], found["operational_sum"], rtol=1e-9, atol=1e-9)
    assert (found["starts_on"] == found["ds"]).all()
    assert (found["ends_on"] == found["last"]).all()


def test_intervals_hold_the_forecast_and_widen_with_their_coverage(chain: Chain) -> None:
    for table in (FORECASTS, AGGREGATES):
        rows = chain.read(table, NEXT)
        order = ["lower_95", "lower_80", "operational", "upper_80", "upper_95"]
        for small, large in itertools.pairwise(order):
            assert (rows[small] <= rows[large] + 1e-9).all(), (table.name, small, large)
    measured = chain.read(COVERAGE, TRAINED).filter(pl.col("horizon") == 0)
    assert set(measured["level"]) == {"national", "region", "store", "sku_store", "sku"}
    series = measured.filter(pl.col("level") == "sku_store").sort("nominal")
    assert 0.6 < series["coverage"][0] < 0.95
    assert series["coverage"][0] < series["coverage"][1]


def test_certificates_are_clean_and_stored(chain: Chain) -> None:
    found = chain.read(CERTIFICATES, NEXT)
    assert set(found["forecast"]) == {"operational", "strategic"}
    assert found["ok"].all()
    assert found["relative_incoherence"].max() < 1e-9
    assert found["negatives"].sum() == 0


def test_the_mission_s_model_is_always_in_the_table_and_one_champion_serves_each_cell(chain: Chain) -> None:
    table = chain.read(BACKTEST, TRAINED).filter(
        (pl.col("horizon") == 0) & ~pl.col("cell").str.starts_with("level:")
    )
    reference = {"stable": "sarima", "seasonal": "prophet", "new": "similar_xgboost", "promo": "xgboost"}
    for (cell,), rows in table.group_by("cell"):
        segment = str(cell).partition("/")[0]
        mission = rows.filter(pl.col("is_mission_model"))
        assert mission["model"].to_list() == [reference[segment]], cell
        assert rows["is_champion"].sum() == 1, cell
        assert {"seasonal_naive", "lightgbm", "xgboost", "average"} <= set(rows["model"])
        assert rows["points"].n_unique() == 1, "all models were judged on the same days"
    levels = chain.read(BACKTEST, TRAINED).filter(pl.col("cell").str.starts_with("level:"))
    assert set(levels["cell"]) == {"level:national", "level:region", "level:store"}


def test_one_table_tracks_all_series(chain: Chain) -> None:
    series = chain.read(SERIES, TRAINED)
    assert series.height == chain.records["train"]["series"] == chain.profile(TRAINED).height
    judged = series.filter(pl.col("points") > 0)
    assert judged.height > 0.8 * series.height
    assert judged["wape_j7"].drop_nulls().len() > 0
    stable = series.filter((pl.col("segment") == "stable") & pl.col("cell").is_not_null())
    orders = chain.read(SARIMA_ORDERS, TRAINED)
    assert orders.height > 0
    assert set(stable["sarima_order"].drop_nulls()) <= set(orders["sarima_order"])


def test_the_judged_days_are_later_than_all_that_was_chosen_by(chain: Chain) -> None:
    origins = Origins.of(TRAINED, PARAMS)
    horizon = timedelta(days=PARAMS.horizon_days)
    assert max(origins.training) + horizon < min(origins.selection), (
        "no target of the competition was learned"
    )
    assert max(origins.selection) + horizon < min(origins.judging), "no judged target chose anything"
    assert max(origins.judging) + horizon < TRAINED, "all judged days are over"
    rows = chain.read(VALIDATION, TRAINED)
    assert set(rows["candidate"]) == {"challenger", "seasonal_naive"}
    per_candidate = rows.group_by("candidate").agg(pl.col("points").sum(), pl.col("quantity").sum())
    assert per_candidate["points"].n_unique() == per_candidate["quantity"].n_unique() == 1


def test_training_and_gate_again_change_nothing(chain: Chain) -> None:
    given = {"settings": chain.settings, "params": PARAMS}
    again = train.run(USECASE, TRAINED, **given)
    assert again["reused"]
    assert again["model_version"] == chain.records["train"]["model_version"]
    decided = gate.run(USECASE, TRAINED, **given)
    assert decided["decided_before"]
    assert decided["words"] == chain.records["gate"]["words"]
    assert chain.records["gate"]["outcome"] in ("promoted", "refused")
    assert "WAPE" in decided["words"]


def test_a_day_forecast_again_gives_the_same_bytes(chain: Chain) -> None:
    given = {"settings": chain.settings, "params": PARAMS, "alias": "challenger"}
    assert score.run(USECASE, TRAINED, **given)["content_hash"] == chain.records["score"]["content_hash"]


def test_what_happens_later_changes_no_forecast_of_the_day(chain: Chain, tmp_path: Path) -> None:
    """A chain that never saw the rows known on the day or later forecasts the same."""
    blind = Settings(var=tmp_path / "blind", mlflow_tracking_uri=chain.settings.tracking_uri)
    source = chain.lake
    target = Lake.of(blind)
    for table in USECASE.raw_tables:
        rows = source.read(table)
        known = next(n for n in ("known_at", "announced_at", "issued_at") if n in rows.column_names)
        before = pl.from_arrow(rows).filter(pl.col(known) < datetime.combine(TRAINED, time()))
        if table.name == "raw/demand_sales":
            assert before.height < rows.num_rows, "there must be something to hide"
        target.overwrite(table, before.to_arrow().cast(table.arrow_schema))
    prepare.run(USECASE, TRAINED, settings=blind, params=PARAMS)
    record = score.run(USECASE, TRAINED, settings=blind, params=PARAMS, alias="challenger")
    assert record["content_hash"] == chain.records["score"]["content_hash"]


def test_a_past_origin_sees_what_was_known_then(chain: Chain) -> None:
    data = read_dataset(USECASE.run(TRAINED, chain.settings, PARAMS))
    day = Origins.of(TRAINED, PARAMS).judging[0]
    cut = int((np.datetime64(day) - data.panel.days[0]) / np.timedelta64(1, "D"))
    assert data.panel.reported_on is not None
    data.panel.reported_on[0, cut - 2] = np.datetime64(day) + 3  # a store whose report came late
    origin = data.open(day)
    assert origin.panel.as_of == np.datetime64(day)
    assert (origin.panel.n_history, origin.panel.horizon) == (cut, 15)
    late = data.panel.reported_on[:, :cut] > np.datetime64(day)
    assert late[0, cut - 2]
    assert np.isnan(origin.panel.y[late[origin.panel.store]]).all()
    on_time = ~late[origin.panel.store]
    np.testing.assert_array_equal(origin.panel.y[on_time], data.panel.y[:, :cut][on_time])


def test_days_and_models_that_are_missing_are_named(chain: Chain) -> None:
    given = {"settings": chain.settings, "params": PARAMS}
    with pytest.raises(DataContractError, match=r"features/demand_profile has no rows for 2025-05-05"):
        score.run(USECASE, date(2025, 5, 5), alias="challenger", **given)
    data = read_dataset(USECASE.run(TRAINED, chain.settings, PARAMS))
    with pytest.raises(DataContractError, match=r"features/demand_ahead has no rows for 2025-05-09"):
        data.open(date(2025, 5, 9))
    with pytest.raises(ModelGateError, match="no model of demand carries the alias 'nobody'"):
        score.run(USECASE, NEXT, alias="nobody", **given)


def test_a_total_that_jumps_is_not_committed(chain: Chain, tmp_path: Path) -> None:
    versions = {table.name: chain.lake.version(table.name) for table in (FORECASTS, AGGREGATES, CERTIFICATES)}
    strict = PARAMS.model_copy(update={"max_total_change": 1e-6})
    with pytest.raises(DataContractError, match=r"The total of \d+ units differs from the last day's"):
        score.run(USECASE, NEXT, settings=chain.settings, params=strict, alias="challenger")
    assert {name: chain.lake.version(name) for name in versions} == versions


def test_every_table_of_the_steps_is_written(chain: Chain) -> None:
    assert {table.name for table in TABLES} <= set(chain.lake.tables())
    hashes = {content_hash(chain.lake.read(table), sort_by=table.key) for table in TABLES}
    assert len(hashes) == len(TABLES)


def _copied(chain: Chain, tmp_path: Path, day: date, planted: bool) -> Settings:
    """The chain's raw tables as they were known before a day; with rows of the stock known later, if wanted."""
    blind = Settings(var=tmp_path / f"planted-{planted}", mlflow_tracking_uri=chain.settings.tracking_uri)
    stock = {USECASE.raw(layout.table.name).name for layout in STOCK_LAYOUTS}
    tables = [*USECASE.raw_tables, *(USECASE.raw(layout.table.name) for layout in STOCK_LAYOUTS)]
    for table in tables:
        rows = pl.from_arrow(chain.lake.read(table))
        assert isinstance(rows, pl.DataFrame)
        known = next(n for n in ("known_at", "announced_at", "issued_at") if n in rows.columns)
        kept = rows.filter(pl.col(known) < datetime.combine(day, time()))
        if planted and table.name in stock:
            units = "on_hand" if "on_hand" in rows.columns else "units"
            later = kept.with_columns(
                pl.lit(datetime.combine(day, time(1))).alias("known_at"), pl.col(units) * 3 + 7
            )
            others = {
                "stock": ("lot", "late"),
                "deliveries": ("order_id", "late"),
                "write_offs": ("cause", "other"),
            }
            if name := others.get(table.name.removeprefix("raw/demand_")):
                later = later.with_columns(pl.lit(name[1]).alias(name[0])).unique(table.key, keep="first")
            kept = pl.concat([kept, later])
        Lake.of(blind).overwrite(table, kept.to_arrow().cast(table.arrow_schema))
    return blind


def test_every_counted_product_of_the_day_has_an_order_with_its_reason(chain: Chain) -> None:
    orders = chain.read(ORDERS, NEXT)
    assert chain.records["score"]["orders"]["words"] == "no category orders on a Sunday"
    assert chain.read(ORDERS, TRAINED).is_empty()
    assert chain.records["score next"]["orders"]["products"] == orders.height > 0
    assert orders["packs"].sum() == chain.records["score next"]["orders"]["packs"] > 0
    assert (orders["units"] == orders["packs"] * orders["pack_units"]).all()
    assert (orders["arrives_on"] > NEXT).all()
    assert (orders["covers_until"] >= orders["arrives_on"]).all()
    assert (
        orders["reason"].str.contains(r"expected until \w{3} \d+ \w{3}; \d+ % service; [\d.]+ on hand").all()
    )
    ordered = orders.filter(pl.col("packs") > 0)
    assert (ordered["target"] + ordered["pack_units"] > ordered["on_hand"]).all()
    forecasts = chain.read(FORECASTS, NEXT)
    assert set(orders.select("store_id", "sku_id").rows()) <= set(
        forecasts.select("store_id", "sku_id").rows()
    )


def test_stock_that_is_known_later_changes_no_order(chain: Chain, tmp_path: Path) -> None:
    found = []
    for planted in (False, True):
        blind = _copied(chain, tmp_path, NEXT, planted)
        prepare.run(USECASE, NEXT, settings=blind, params=PARAMS)
        score.run(USECASE, NEXT, settings=blind, params=PARAMS, alias="challenger")
        found.append(content_hash(Lake.of(blind).read(ORDERS), sort_by=ORDERS.key))
    assert found[0] == found[1]
    assert found[0] == content_hash(chain.lake.read(ORDERS, where=on_day(NEXT)), sort_by=ORDERS.key)
