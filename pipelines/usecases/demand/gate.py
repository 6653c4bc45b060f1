"""Demand, gate: whether the champions of the newest backtest may serve, and the record of the decision."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset

from models.evaluation.forecast_gate import Errors, ForecastThresholds, judge_forecasts
from models.evaluation.verdict import Verdict
from pipelines.io.gating import decide_on_challenger
from pipelines.io.lake import Lake
from pipelines.settings import Settings
from pipelines.usecases.demand.contracts import USECASE
from pipelines.usecases.demand.params import DemandParams
from pipelines.usecases.demand.schemas import COVERAGE, VALIDATION

BASELINES = ("seasonal_naive",)


def run(
    as_of: date, *, settings: Settings | None = None, params: DemandParams | None = None
) -> dict[str, Any]:
    """Judge the challenger trained for ``as_of``; see :func:`pipelines.io.gating.decide_on_challenger`."""
    settings, params = settings or Settings.load(), params or DemandParams.load_default()
    lake, day = Lake.of(settings), pa_dataset.field("as_of") == as_of
    errors, coverage = lake.read(VALIDATION, where=day), lake.read(COVERAGE, where=day)
    return decide_on_challenger(settings, USECASE, as_of, lambda version: _judge(errors, coverage, params))


def _judge(errors: pa.Table, coverage: pa.Table, params: DemandParams) -> Verdict:
    of_series = pc.and_(pc.equal(coverage["level"], "sku_store"), pc.equal(coverage["nominal"], 80))
    overall = coverage.filter(pc.and_(of_series, pc.equal(coverage["horizon"], 0)))
    gate = params.gate
    candidates = set(errors["candidate"].to_pylist())
    return judge_forecasts(
        _errors(errors, "challenger"),
        coverage_80=overall["coverage"][0].as_py() if overall.num_rows else float("nan"),
        baselines={name: _errors(errors, name) for name in BASELINES},
        champion=_errors(errors, "champion") if "champion" in candidates else None,
        thresholds=ForecastThresholds(
            max_bias=gate.max_bias,
            coverage=(gate.min_coverage_80, gate.max_coverage_80),
            min_products=gate.min_products,
            level=gate.confidence,
        ),
        n_replicates=gate.bootstrap_replicates,
        seed=params.seed,
    )


def _errors(rows: pa.Table, candidate: str) -> Errors:
    own = rows.filter(pc.equal(rows["candidate"], candidate)).sort_by(
        [("segment", "ascending"), ("sku_id", "ascending")]
    )
    sums = {name: own[name].to_numpy().astype(np.float64) for name in ("absolute_error", "error", "quantity")}
    return Errors(
        np.array(own["sku_id"].to_pylist()), sums["absolute_error"], sums["error"], sums["quantity"]
    )
