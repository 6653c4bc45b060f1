"""Imputation, gate: whether the challenger may serve, and the record of the decision."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset

from models.evaluation.imputation_gate import Hidden, ImputationThresholds, ModelFacts, judge_imputation
from models.evaluation.verdict import Verdict
from pipelines.io.gating import decide_on_challenger
from pipelines.io.lake import Lake
from pipelines.settings import Settings
from pipelines.usecases.imputation.contracts import USECASE
from pipelines.usecases.imputation.params import ImputationParams
from pipelines.usecases.imputation.schemas import CHAINS, COLUMNS, VALIDATION

BASELINES = ("mean",)


def run(
    as_of: date, *, settings: Settings | None = None, params: ImputationParams | None = None
) -> dict[str, Any]:
    """Judge the challenger trained for ``as_of``; see :func:`pipelines.io.gating.decide_on_challenger`."""
    settings, params = settings or Settings.load(), params or ImputationParams.load_default()
    lake, day = Lake.of(settings), pa_dataset.field("as_of") == as_of
    cells, chains, columns = (lake.read(table, where=day) for table in (VALIDATION, CHAINS, COLUMNS))
    return decide_on_challenger(
        settings, USECASE, as_of, lambda version: _judge(cells, chains, columns, params)
    )


def _judge(cells: pa.Table, chains: pa.Table, columns: pa.Table, params: ImputationParams) -> Verdict:
    candidates = set(cells["candidate"].to_pylist())
    gate = params.gate
    actions = columns["action"].to_pylist()
    facts = ModelFacts(
        chains=chains.num_rows,
        converged=int(pc.sum(chains["converged"]).as_py() or 0),
        columns=columns.num_rows,
        left_out=sum(action == "left_out" for action in actions),
        unexplained=tuple(_unexplained(chains, columns)),
    )
    return judge_imputation(
        _hidden(cells, "challenger"),
        facts,
        baselines={name: _hidden(cells, name) for name in BASELINES},
        champion=_hidden(cells, "champion") if "champion" in candidates else None,
        thresholds=ImputationThresholds(
            min_cells=gate.min_cells,
            coverage=(gate.min_coverage_90, gate.max_coverage_90),
            max_left_out=gate.max_left_out_share,
            level=gate.confidence,
        ),
        n_replicates=gate.bootstrap_replicates,
        seed=params.seed,
    )


def _unexplained(chains: pa.Table, columns: pa.Table) -> list[str]:
    """Sensors that EM found all but collinear and of which the preflight says nothing."""
    told = {row["sensor_id"] for row in columns.to_pylist() if row["problem"]}
    known = set(columns["sensor_id"].to_pylist())
    flat = {name for text in chains["flat_columns"].to_pylist() for name in text.split(", ") if name}
    return sorted((flat & known) - told)


def _hidden(cells: pa.Table, candidate: str) -> Hidden:
    own = cells.filter(pc.equal(cells["candidate"], candidate)).sort_by(
        [("part_id", "ascending"), ("sensor_id", "ascending")]
    )
    return Hidden(
        np.array(own["part_id"].to_pylist()),
        own["error"].to_numpy().astype(np.float64),
        own["covered"].to_numpy().astype(np.bool_),
    )
