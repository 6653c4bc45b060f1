"""What a training run leaves behind: one table that tracks all series, the competition, the judgement, the card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.schemas import Table
from models.evaluation.forecast_gate import Errors, ForecastThresholds, judge_forecasts
from models.evaluation.verdict import Verdict
from models.forecasting.accuracy import error_table, judged_days, naive_scale
from models.forecasting.competition import Champion
from models.forecasting.forecaster import DemandForecaster, cells_of
from models.forecasting.levels import Past, level_sums, measured_coverage
from pipelines.io.frames import by_candidate
from pipelines.io.lake import on_day
from pipelines.io.registry import ModelVersion
from pipelines.reporting import card
from pipelines.usecase import Run
from pipelines.usecases.demand.dataset import Dataset
from pipelines.usecases.demand.params import DemandParams, Origins
from pipelines.usecases.demand.schemas import (
    AGGREGATE_LEVELS,
    BACKTEST,
    COVERAGE,
    HORIZONS,
    INTERVAL_LEVELS,
    MISSION_MODELS,
    SARIMA_ORDERS,
    SEGMENTS,
    SERIES,
    VALIDATION,
    horizons_within,
)

BASELINES = ("seasonal_naive",)


@dataclass(frozen=True)
class Results:
    """Outcome of a backtest."""

    #: What serves from now on if the gate lets it.
    forecaster: DemandForecaster
    #: By cell, and by level above the series.
    champions: Mapping[str, Champion]
    level_champions: Mapping[str, Champion]
    #: The competition, see :func:`models.forecasting.competition.compete`, and SARIMA orders by cluster.
    table: pd.DataFrame
    searched: pd.DataFrame
    #: Forecasts from the origins that champions were chosen by.
    selection: Sequence[Past]
    #: Forecasts from the origins kept for judging, by candidate.
    judging: Mapping[str, Sequence[Past]]


def tables_of(data: Dataset, results: Results) -> tuple[dict[Table, pd.DataFrame], dict[str, float]]:
    """Tables of a training run, and the errors that go to MLflow."""
    challenger, horizons = results.judging["challenger"], horizons_within(data.horizon_days)
    coverage = measured_coverage(results.forecaster.intervals, challenger, data.profile, horizons)
    segment = results.table["cell"].str.partition("/")[0]
    tables = {
        BACKTEST: results.table.assign(
            is_mission_model=results.table["model"] == segment.map(MISSION_MODELS)
        ),
        SERIES: _series(data, results),
        VALIDATION: _validation(data.profile, results.judging),
        COVERAGE: coverage,
        SARIMA_ORDERS: results.searched.rename(columns={"order": "sarima_order"}),
    }
    return tables, _summary(data.profile, challenger, coverage)


def _stacked(past: Sequence[Past], name: str) -> NDArray[Any]:
    """Matrices of several nights, one below the other."""
    return np.concatenate([getattr(one, name) for one in past])


def _series(data: Dataset, results: Results) -> pd.DataFrame:
    """Model and errors of every series, over the origins of both the selection and the judgement."""
    profile, forecaster = data.profile, results.forecaster
    past = [*results.selection, *results.judging["challenger"]]
    n, cells, words = len(profile), cells_of(profile), forecaster.words or {}
    no_model = profile["fallback"].notna()
    own_models = [" + ".join(forecaster.models_of(cell)) for cell in cells]
    reasons = [words.get(cell, "no backtest of this cell yet") for cell in cells]
    errors = error_table(
        _stacked(past, "actual"),
        _stacked(past, "units"),
        censored=_stacked(past, "censored"),
        groups=np.tile(np.arange(n), len(past)),
        series=np.tile(np.arange(n), len(past)),
        scale=np.tile(naive_scale(data.panel.y), len(past)),
        horizons=horizons_within(data.horizon_days),
    )
    by_horizon = {
        h: errors[errors["horizon"] == h].set_index("group").reindex(range(n)) for h in (0, *HORIZONS)
    }
    return profile[["store_id", "sku_id", "segment", "pattern", "mean_quantity"]].assign(
        cell=cells,
        model=np.where(no_model, profile["fallback"], np.array(own_models, dtype=object)),
        reason=np.where(no_model, "no model can be fitted to it", reasons),
        sarima_order=pd.Series(forecaster.orders_of(profile)).replace("", None),
        **{
            f"{metric}_j{horizon}": by_horizon[horizon][metric]
            for horizon in HORIZONS
            for metric in ("mape", "wape", "rmsse")
        },
        bias=by_horizon[0]["bias"],
        points=by_horizon[0]["points"],
    )


def _validation(profile: pd.DataFrame, judging: Mapping[str, Sequence[Past]]) -> pd.DataFrame:
    """Sums of errors by candidate, cell and product."""
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
        frame = profile[["sku_id"]].assign(candidate=candidate, cell=cells_of(profile), **sums)
        parts.append(frame.groupby(["candidate", "cell", "sku_id"], as_index=False).sum())
    return pd.concat(parts, ignore_index=True).astype({"points": "int64"})


def _summary(profile: pd.DataFrame, past: Sequence[Past], coverage: pd.DataFrame) -> dict[str, float]:
    """Errors on the judged origins by segment, and measured coverage by level."""
    actual, units, censored = (_stacked(past, name) for name in ("actual", "units", "censored"))
    segments: NDArray[Any] = np.tile(profile["segment"].to_numpy(str), len(past))
    horizons = horizons_within(actual.shape[1])
    found: dict[str, float] = {}
    for groups in (segments, None):
        table = error_table(actual, units, censored=censored, groups=groups, horizons=horizons)
        for row in table.to_dict("records"):
            suffix = "" if row["horizon"] == 0 else f"_j{row['horizon']}"
            for metric in ("mape", "wape", "bias"):
                found[f"{row['group']}.{metric}{suffix}"] = float(row[metric])
    for level in AGGREGATE_LEVELS:
        sold = np.concatenate([level_sums(profile, np.nan_to_num(one.actual), level) for one in past])
        summed = np.concatenate([level_sums(profile, one.units, level) for one in past])
        overall = error_table(sold, summed, horizons=()).iloc[0]
        found |= {f"{level}.{metric}": float(overall[metric]) for metric in ("mape", "wape", "bias")}
    for row in coverage[coverage["horizon"] == 0].to_dict("records"):
        found[f"{row['level']}.coverage_{row['nominal']}"] = float(row["coverage"])
    return found


# ------------------------------------------------------------------------------------------ judgement


def judge(run: Run[DemandParams], version: ModelVersion) -> Verdict:
    """Hold the errors of the judged origins against the thresholds, the baseline and the champion."""
    where, params = on_day(run.as_of), run.params
    errors, coverage = run.lake.read(VALIDATION, where=where), run.lake.read(COVERAGE, where=where)
    of_series = pc.and_(pc.equal(coverage["level"], "sku_store"), pc.equal(coverage["nominal"], 80))
    overall = coverage.filter(pc.and_(of_series, pc.equal(coverage["horizon"], 0)))
    gate = params.gate
    judged = {name: _errors(part) for name, part in by_candidate(errors, ("cell", "sku_id")).items()}
    return judge_forecasts(
        judged["challenger"],
        coverage_80=overall["coverage"][0].as_py() if overall.num_rows else float("nan"),
        baselines={name: judged[name] for name in BASELINES},
        champion=judged.get("champion"),
        thresholds=ForecastThresholds(
            max_bias=gate.max_bias,
            coverage=(gate.min_coverage_80, gate.max_coverage_80),
            min_products=gate.min_products,
            level=gate.confidence,
        ),
        n_replicates=gate.bootstrap_replicates,
        seed=params.seed,
    )


def _errors(rows: pa.Table) -> Errors:
    absolute, error, quantity = (
        rows[name].to_numpy().astype(np.float64) for name in ("absolute_error", "error", "quantity")
    )
    product, cell = (np.array(rows[name].to_pylist()) for name in ("sku_id", "cell"))
    return Errors(product, cell, absolute, error, quantity)


# ----------------------------------------------------------------------------------------- model card


def model_card(
    *,
    as_of: date,
    params: DemandParams,
    origins: Origins,
    data: Dataset,
    results: Results,
    summary: Mapping[str, float],
) -> str:
    """Write the card as Markdown."""
    overall = results.table[results.table["horizon"] == 0].sort_values(["cell", "deviance", "model"])
    return card.model_card(
        "demand",
        as_of=as_of,
        params=params,
        origins=origins,
        data=data,
        results=results,
        summary=summary,
        segments=SEGMENTS,
        levels=INTERVAL_LEVELS,
        counts=data.profile["segment"].value_counts(),
        fallbacks=data.profile["fallback"].value_counts(),
        ranked=overall.to_dict("records"),
    )
