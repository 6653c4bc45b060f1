"""From raw measurements to completed data sets: nothing measured changes, nothing of the future is seen."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from models.imputation.pooling import means, pool_over
from pipelines.errors import ConfigError, DataContractError
from pipelines.io.hashing import content_hash
from pipelines.io.lake import Lake, on_day
from pipelines.settings import Settings
from pipelines.steps import prepare, publish, score, train
from pipelines.usecases.imputation import USECASE, scoring
from pipelines.usecases.imputation.dataset import day_seed, read_wide
from pipelines.usecases.imputation.schemas import COMPLETED, OUT_OF_SCOPE
from pipelines.usecases.imputation.scoring import iter_completed, read_completed
from tests.usecases.imputation.conftest import AS_OF, PARAMS, Factory

DAY = on_day(AS_OF)


def truth(factory: Factory) -> pd.DataFrame:
    """True values of all cells, wide, and the reasons why they are missing."""
    return pd.read_parquet(factory.delivery / "truth" / "values.parquet")


def test_the_model_passed_the_gate(factory: Factory) -> None:
    trained, gate = factory.records["train"], factory.records["gate"]
    assert gate["outcome"] == "promoted", gate["words"]
    assert trained["chains_converged"] == PARAMS.model.m
    assert trained["dispersed_starts_agree"]
    assert trained["error_sd"] < 0.9 * trained["error_sd_of_means"]


def test_training_again_reuses_the_version(factory: Factory) -> None:
    again = train.run(USECASE, AS_OF, settings=factory.settings, params=PARAMS)
    assert again["reused"]
    assert again["model_version"] == factory.records["train"]["model_version"]


def test_features_do_not_know_what_came_later(factory: Factory, tmp_path: Path) -> None:
    """A lake without any row known on or after the day gives the same cells as one that goes on for a week."""
    settings = Settings(var=tmp_path)
    cut = pa.scalar(pd.Timestamp(AS_OF), pa.timestamp("us"))
    dropped = 0
    for table in USECASE.raw_tables:
        rows = factory.lake.read(table)
        kept = rows.filter(pc.less(rows["known_at"], cut))
        dropped += rows.num_rows - kept.num_rows
        Lake.of(settings).overwrite(table, kept)
    assert dropped > 500
    record = prepare.run(USECASE, AS_OF, settings=settings, params=PARAMS, training=True)
    theirs = factory.records["prepare"]
    assert record["features_hash"] == theirs["features_hash"]
    assert [record[name] for name in ("parts", "in_batch", "sensors", "cells")] == [
        theirs[name] for name in ("parts", "in_batch", "sensors", "cells")
    ]


def test_without_parts_in_the_window_nothing_is_published(factory: Factory, tmp_path: Path) -> None:
    settings = Settings(var=tmp_path)
    for table in USECASE.raw_tables:
        Lake.of(settings).overwrite(table, factory.lake.read(table))
    with pytest.raises(DataContractError, match="no part was made in the 7 days before 2025-06-01"):
        prepare.run(USECASE, date(2025, 6, 1), settings=settings, params=PARAMS)
    assert not Lake.of(settings).exists("features/imputation_parts")


def test_features_are_the_newest_versions_known(factory: Factory) -> None:
    """Recomputed in plain pandas from the raw tables."""
    raw = factory.lake.read("raw/imputation_measurements").to_pandas()
    parts = factory.lake.read("raw/imputation_parts").to_pandas()
    first = pd.Timestamp(AS_OF) - pd.Timedelta(days=PARAMS.window.train_days)
    parts = parts[(parts["known_at"] < pd.Timestamp(AS_OF)) & (parts["produced_at"] >= first)]
    raw = raw[(raw["known_at"] < pd.Timestamp(AS_OF)) & raw["part_id"].isin(parts["part_id"])]
    newest = raw.sort_values("known_at").groupby(["part_id", "sensor_id"]).last()
    wide = read_wide(factory.lake, AS_OF)
    measured = newest[(newest["status"] == "measured") & newest["value"].notna()]["value"].unstack()
    ours = wide.values[wide.numeric].set_axis(wide.parts["part_id"], axis=0)
    pd.testing.assert_frame_equal(
        ours.sort_index(),
        measured.reindex(index=ours.index, columns=ours.columns).sort_index(),
        check_names=False,
    )
    assert len(wide.limited.row) == (newest["status"] == "below_limit").sum()


def test_measured_cells_are_never_changed_and_no_gap_is_left(factory: Factory) -> None:
    raw = factory.lake.read("raw/imputation_measurements").to_pandas()
    raw = raw[(raw["known_at"] < pd.Timestamp(AS_OF)) & (raw["status"] == "measured")]
    newest = raw.sort_values("known_at").groupby(["part_id", "sensor_id"], as_index=False).last()
    done = factory.lake.read(COMPLETED, where=DAY).to_pandas()
    record = factory.records["score"]
    assert sorted(done["draw"].unique()) == list(range(1, PARAMS.model.m + 1))
    assert len(done) == PARAMS.model.m * record["parts"] * 18
    assert set(done["seed"]) == {record["seed"]}
    assert set(done["model_version"]) == {record["model_version"]}
    joined = done.merge(
        newest, on=["part_id", "sensor_id"], how="left", suffixes=("", "_raw"), indicator=True
    )
    known = joined["_merge"] == "both"
    assert (joined["imputed"] == ~known).all()
    same = (joined["value"] == joined["value_raw"]) | (joined["label"] == joined["label_raw"])
    assert same[known].all()
    assert factory.lake.read(OUT_OF_SCOPE, where=DAY).num_rows == 0


def test_draws_stay_beyond_the_limit_that_was_told(factory: Factory) -> None:
    wide = read_wide(factory.lake, AS_OF, batch=True)
    assert len(wide.limited.row) > 5
    names, parts = list(wide.values.columns), wide.parts["part_id"].to_numpy()
    for table in iter_completed(factory.lake, AS_OF):
        drawn = np.array([
            table.loc[parts[row], names[column]]
            for row, column in zip(wide.limited.row, wide.limited.column, strict=True)
        ])  # fmt: skip
        assert (drawn <= wide.limited.limit).all()
        assert (drawn > 0).all()


def test_drawn_cells_are_near_the_truth(factory: Factory) -> None:
    """Against the values that the simulator kept aside, of cells missing at random."""
    wide = read_wide(factory.lake, AS_OF, batch=True)
    known = truth(factory)
    known = known[known["missing_because"].isin(["random", "drop_out", "sampling"]) & known["value"].notna()]
    cells = known[
        known["part_id"].isin(wide.parts["part_id"])
        & known["sensor_id"].str.endswith(("temperature", "pressure"))
    ]
    tables = list(iter_completed(factory.lake, AS_OF))
    drawn = np.array([
        [table.loc[part, sensor] for table in tables]
        for part, sensor in zip(cells["part_id"], cells["sensor_id"], strict=True)
    ])  # fmt: skip
    spread = wide.values.std(numeric_only=True)[cells["sensor_id"]].to_numpy()
    center = wide.values.mean(numeric_only=True)[cells["sensor_id"]].to_numpy()
    error = (drawn.mean(axis=1) - cells["value"].to_numpy()) / spread
    of_means = (center - cells["value"].to_numpy()) / spread
    assert len(cells) > 25
    assert np.square(error).mean() < 0.8 * np.square(of_means).mean()
    assert drawn.std(axis=1).min() > 0, "every cell carries what is not known"


def test_the_same_day_gives_the_same_bytes_and_another_day_other_draws(factory: Factory) -> None:
    before = content_hash(factory.lake.read(COMPLETED, where=DAY), sort_by=COMPLETED.key)
    score.run(USECASE, AS_OF, settings=factory.settings, params=PARAMS)
    assert content_hash(factory.lake.read(COMPLETED, where=DAY), sort_by=COMPLETED.key) == before
    assert day_seed(0, AS_OF) != day_seed(0, date(2025, 12, 30))


def test_other_use_cases_read_wide_tables(factory: Factory) -> None:
    tables = read_completed(factory.lake, AS_OF, m=3)
    assert len(tables) == 3
    assert tables[0].shape == (factory.records["score"]["parts"], 18)
    assert not tables[0].isna().to_numpy().any()
    pooled = pool_over(iter(tables), means)
    assert (pooled.fmi >= 0).all()
    assert pooled.fmi.max() > 0
    with pytest.raises(DataContractError, match="must hold 9 completed data sets"):
        read_completed(factory.lake, AS_OF, m=9)
    with pytest.raises(DataContractError, match=r"millrace score imputation --as-of 2024-01-01"):
        read_completed(factory.lake, date(2024, 1, 1))


def test_the_documented_sql_gives_the_same_tables(factory: Factory) -> None:
    completed = factory.lake.dataset(COMPLETED.name)
    with duckdb.connect() as con:
        con.register("completed", completed)
        found = con.sql(
            f"""
            pivot (
                select draw, part_id, sensor_id, value from completed
                where as_of = date '{AS_OF}' and value is not null
            ) on sensor_id using any_value(value) group by draw, part_id
            """
        ).df()
    ours = read_completed(factory.lake, AS_OF)[1].select_dtypes("number")
    theirs = found[found["draw"] == 2].set_index("part_id")[list(ours.columns)].sort_index()
    pd.testing.assert_frame_equal(ours, theirs)


def test_there_is_nothing_to_publish(factory: Factory) -> None:
    with pytest.raises(ConfigError, match="its results are read in the lake"):
        publish.run(USECASE, AS_OF, settings=factory.settings)


def test_a_changed_cell_would_not_be_committed(factory: Factory, tmp_path: Path) -> None:
    wide = read_wide(factory.lake, AS_OF, batch=True)
    audit = scoring._observed_audit(wide, PARAMS.model.m, 0, tmp_path)
    rows = factory.lake.read(COMPLETED, where=DAY)
    with duckdb.connect() as con:
        assert audit(con.from_arrow(rows)) == []
        changed = pc.if_else(rows["imputed"], rows["value"], pc.multiply(rows["value"], 1.0000001))
        altered = rows.set_column(rows.schema.get_field_index("value"), "value", changed)
        (problem,) = audit(con.from_arrow(altered))
        assert "observed cells differ from what was measured" in problem
        (short,) = audit(con.from_arrow(rows.slice(1)))
        assert "must have" in short
