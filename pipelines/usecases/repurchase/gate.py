"""Repurchase, gate: whether the challenger may serve, and the record of the decision."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset

from models.evaluation.verdict import Verdict
from models.repurchase.gate import Judged, NextOrderThresholds, judge_next_orders
from pipelines.io.gating import decide_on_challenger
from pipelines.io.lake import Lake
from pipelines.settings import Settings
from pipelines.usecases.repurchase.contracts import USECASE
from pipelines.usecases.repurchase.params import RepurchaseParams
from pipelines.usecases.repurchase.schemas import BASKET_VALIDATION, CURVES, TIMING_VALIDATION


def run(
    as_of: date, *, settings: Settings | None = None, params: RepurchaseParams | None = None
) -> dict[str, Any]:
    """Judge the challenger trained for ``as_of``; see :func:`pipelines.io.gating.decide_on_challenger`."""
    settings, params = settings or Settings.load(), params or RepurchaseParams.load_default()
    lake, day = Lake.of(settings), pa_dataset.field("as_of") == as_of
    dates, lists, curves = (
        lake.read(table, where=day) for table in (TIMING_VALIDATION, BASKET_VALIDATION, CURVES)
    )
    return decide_on_challenger(
        settings, USECASE, as_of, lambda version: _judge(dates, lists, curves, params)
    )


def _judge(dates: pa.Table, lists: pa.Table, curves: pa.Table, params: RepurchaseParams) -> Verdict:
    challenger = dates.filter(pc.equal(dates["candidate"], "challenger"))
    back = dates.filter(pc.is_valid(dates["days_to_next"]))
    own = back.filter(pc.equal(back["candidate"], "challenger"))
    days = own["days_to_next"].to_numpy()
    inside = (own["low_days"].to_numpy() <= days) & (days <= own["high_days"].to_numpy())
    gate = params.gate
    returned = pc.is_valid(challenger["days_to_next"]).to_numpy()
    return judge_next_orders(
        Judged(_customers(own), {name: _errors(part) for name, part in _by_candidate(back).items()}),
        Judged(
            _customers(lists.filter(pc.equal(lists["candidate"], "challenger"))),
            {name: part["f1"].to_numpy() for name, part in _by_candidate(lists).items()},
        )
        if lists.num_rows
        else None,
        coverage=float(inside.mean()) if len(inside) else float("nan"),
        return_bias=float(challenger["return_probability"].to_numpy().mean() - returned.mean()),
        product_bias=_product_bias(curves),
        thresholds=NextOrderThresholds(
            min_returns=gate.min_returns,
            min_lists=gate.min_lists,
            coverage=(gate.min_coverage, gate.max_coverage),
            max_return_bias=gate.max_return_bias,
            max_product_bias=gate.max_product_bias,
            level=gate.confidence,
        ),
        n_replicates=gate.bootstrap_replicates,
        seed=params.seed,
    )


def _by_candidate(rows: pa.Table) -> dict[str, pa.Table]:
    """Rows of each candidate, all in the same order."""
    return {
        name: rows.filter(pc.equal(rows["candidate"], name)).sort_by(
            [("snapshot", "ascending"), ("customer_key", "ascending")]
        )
        for name in sorted(rows["candidate"].unique().to_pylist())
    }


def _customers(rows: pa.Table) -> Any:
    ordered = rows.sort_by([("snapshot", "ascending"), ("customer_key", "ascending")])
    return ordered["customer_key"].to_numpy()


def _errors(rows: pa.Table) -> Any:
    return np.abs(rows["expected_days"].to_numpy() - rows["days_to_next"].to_numpy())


def _product_bias(curves: pa.Table) -> float:
    """Mean probability of the products before calibration less the share bought, as a share of it."""
    chosen = pc.and_(
        pc.equal(curves["kind"], "product_out_of_time"), pc.equal(curves["candidate"], "challenger")
    )
    own = curves.filter(chosen)
    rows, predicted, observed = (own[name].to_numpy() for name in ("rows", "predicted", "observed"))
    bought = float(rows @ observed) if len(rows) else 0.0
    return float(rows @ predicted) / bought - 1 if bought else 0.0
