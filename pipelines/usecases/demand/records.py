"""What a training run leaves in the lake: one table that tracks all series, the competition, the judgement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from models.forecasting.accuracy import error_table, judged_days, naive_scale
from models.forecasting.competition import Champion
from models.forecasting.forecaster import DemandForecaster, cells_of
from pipelines.io.lake import Lake
from pipelines.io.registry import ModelVersion
from pipelines.usecases.demand.backtest import MISSION_MODELS
from pipelines.usecases.demand.dataset import Dataset
from pipelines.usecases.demand.intervals import coverage_by_level
from pipelines.usecases.demand.nodes import level_sums
from pipelines.usecases.demand.orders import orders_of_series
from pipelines.usecases.demand.past import HORIZONS, Past, stacked
from pipelines.usecases.demand.schemas import BACKTEST, COVERAGE, ORDERS, SERIES, VALIDATION


@dataclass(frozen=True)
class Results:
    """Outcome of a backtest.

    Attributes
    ----------
    forecaster
        What serves from now on if the gate lets it.
    champions, level_champions
        By cell, and by level above the series.
    table
        The competition, see :func:`models.forecasting.competition.compete`.
    searched
        SARIMA orders by cluster.
    selection
        Forecasts from the origins that champions were chosen by.
    judging
        Forecasts from the origins kept for judging, by candidate.
    """

    forecaster: DemandForecaster
    champions: Mapping[str, Champion]
    level_champions: Mapping[str, Champion]
    table: pd.DataFrame
    searched: pd.DataFrame
    selection: Sequence[Past]
    judging: Mapping[str, Sequence[Past]]


def publish_results(
    lake: Lake, as_of: date, data: Dataset, results: Results, version: ModelVersion
) -> dict[str, float]:
    """Commit the tables of a training run; gives the errors that go to MLflow."""
    day, metadata = {"as_of": as_of}, {"model_version": version.label}
    challenger = results.judging["challenger"]
    coverage = coverage_by_level(results.forecaster.intervals, challenger, data.profile)
    frames = {
        BACKTEST: _competition(results.table),
        SERIES: _series(data, results, version.label),
        VALIDATION: _validation(data.profile, results.judging),
        COVERAGE: coverage,
        ORDERS: results.searched.rename(columns={"order": "sarima_order"}),
    }
    for table, frame in frames.items():
        rows = frame.assign(as_of=as_of)[table.column_names]
        lake.replace_partition(
            table,
            pa.Table.from_pandas(rows, schema=table.arrow_schema, preserve_index=False),
            day,
            metadata=metadata,
        )
    return _summary(data.profile, challenger, coverage)


def _competition(table: pd.DataFrame) -> pd.DataFrame:
    segment = table["cell"].str.partition("/")[0]
    return table.assign(is_mission_model=table["model"] == segment.map(MISSION_MODELS))


def _series(data: Dataset, results: Results, version: str) -> pd.DataFrame:
    """Model and errors of every series, over the origins of both the selection and the judgement."""
    profile, panel = data.profile, data.panel
    past = [*results.selection, *results.judging["challenger"]]
    n = len(profile)
    cells = cells_of(profile)
    forecaster = results.forecaster
    models = [forecaster.models_of(cell) for cell in cells]
    fallback = profile["fallback"].to_numpy(object)
    named = profile["fallback"].notna().to_numpy()
    words = forecaster.words or {}
    frame = profile[["store_id", "sku_id", "segment", "pattern", "mean_quantity"]].assign(
        cell=cells,
        model=[str(fallback[i]) if named[i] else " + ".join(models[i]) for i in range(n)],
        reason=[
            "no model can be fitted to it"
            if named[i]
            else words.get(cells[i], "no backtest of this cell yet")
            for i in range(n)
        ],
        sarima_order=pd.Series(orders_of_series(profile, forecaster.orders or {})).replace("", None),
        model_version=version,
    )
    errors = error_table(
        stacked(past, "actual"),
        stacked(past, "units"),
        censored=stacked(past, "censored"),
        groups=np.tile(np.arange(n), len(past)),
        series=np.tile(np.arange(n), len(past)),
        scale=np.tile(naive_scale(panel.y), len(past)),
        horizons=[h for h in HORIZONS if h <= past[0].actual.shape[1]],
    )
    for horizon in HORIZONS:
        own = errors[errors["horizon"] == horizon].set_index("group").reindex(range(n))
        for metric in ("mape", "wape", "rmsse"):
            frame[f"{metric}_j{horizon}"] = own[metric].to_numpy()
    overall = errors[errors["horizon"] == 0].set_index("group").reindex(range(n))
    return frame.assign(bias=overall["bias"].to_numpy(), points=overall["points"].to_numpy())


def _validation(profile: pd.DataFrame, judging: Mapping[str, Sequence[Past]]) -> pd.DataFrame:
    """Sums of errors by candidate, segment and product."""
    parts = []
    for candidate, past in judging.items():
        sums = {name: np.zeros(len(profile)) for name in ("absolute_error", "error", "quantity", "points")}
        for one in past:
            judged = judged_days(one.actual, one.censored)
            error = np.where(judged, one.units - np.nan_to_num(one.actual), 0.0)
            sums["absolute_error"] += np.abs(error).sum(axis=1)
            sums["error"] += error.sum(axis=1)
            sums["quantity"] += np.where(judged, np.nan_to_num(one.actual), 0.0).sum(axis=1)
            sums["points"] += judged.sum(axis=1)
        frame = profile[["segment", "sku_id"]].assign(candidate=candidate, **sums)
        parts.append(frame.groupby(["candidate", "segment", "sku_id"], as_index=False).sum())
    return pd.concat(parts, ignore_index=True).astype({"points": "int64"})


def _summary(profile: pd.DataFrame, past: Sequence[Past], coverage: pd.DataFrame) -> dict[str, float]:
    """Errors on the judged origins by segment, and measured coverage by level."""
    groups: NDArray[Any] = np.tile(profile["segment"].to_numpy(str), len(past))
    actual = stacked(past, "actual")
    units = stacked(past, "units")
    censored = stacked(past, "censored")
    horizons = [h for h in HORIZONS if h <= actual.shape[1]]
    found: dict[str, float] = {}
    for names in (groups, np.full(len(groups), "all")):
        table = error_table(actual, units, censored=censored, groups=names, horizons=horizons)
        for row in table.to_dict("records"):
            suffix = "" if row["horizon"] == 0 else f"_j{row['horizon']}"
            for metric in ("mape", "wape", "bias"):
                found[f"{row['group']}.{metric}{suffix}"] = float(row[metric])
    for level in ("national", "region", "store", "sku"):
        sold = np.concatenate([level_sums(profile, np.nan_to_num(one.actual), level) for one in past])
        summed = np.concatenate([level_sums(profile, one.units, level) for one in past])
        overall = error_table(sold, summed, horizons=()).iloc[0]
        found |= {f"{level}.{metric}": float(overall[metric]) for metric in ("mape", "wape", "bias")}
    for row in coverage[coverage["horizon"] == 0].to_dict("records"):
        found[f"{row['level']}.coverage_{row['nominal']}"] = float(row["coverage"])
    return found
