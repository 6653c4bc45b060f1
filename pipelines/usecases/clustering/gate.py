"""Clustering, gate: whether the challenger's groups may serve, and the record of the decision."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.dataset as pa_dataset

from models.clustering.stability import DOUBTFUL
from models.evaluation.group_gate import GroupThresholds, judge_groups
from models.evaluation.verdict import Verdict
from pipelines.io.gating import decide_on_challenger
from pipelines.io.lake import Lake
from pipelines.settings import Settings
from pipelines.usecases.clustering.contracts import USECASE
from pipelines.usecases.clustering.params import ClusteringParams
from pipelines.usecases.clustering.schemas import STABILITY, VALIDATION


def run(
    as_of: date, *, settings: Settings | None = None, params: ClusteringParams | None = None
) -> dict[str, Any]:
    """Judge the challenger trained for ``as_of``; see :func:`pipelines.io.gating.decide_on_challenger`."""
    settings, params = settings or Settings.load(), params or ClusteringParams.load_default()
    lake, day = Lake.of(settings), pa_dataset.field("as_of") == as_of
    rows: pd.DataFrame = lake.read(VALIDATION, where=day).to_pandas()
    stability: pd.DataFrame = lake.read(STABILITY, where=day).to_pandas()
    return decide_on_challenger(settings, USECASE, as_of, lambda version: _judge(rows, stability, params))


def _judge(rows: pd.DataFrame, stability: pd.DataFrame, params: ClusteringParams) -> Verdict:
    by_candidate = {
        str(name): part.sort_values("store_id") for name, part in rows.groupby("candidate", sort=True)
    }
    challenger = by_candidate.pop("challenger")
    champion = by_candidate.pop("champion", None)
    of_group = stability.set_index("cluster")["jaccard"]
    gate = params.gate
    return judge_groups(
        challenger["silhouette"].to_numpy(np.float64),
        challenger["group"].map(of_group).to_numpy(np.float64),
        baselines={name: part["silhouette"].to_numpy(np.float64) for name, part in by_candidate.items()},
        champion=None if champion is None else champion["silhouette"].to_numpy(np.float64),
        thresholds=GroupThresholds(
            min_stores=gate.min_stores,
            min_silhouette=gate.min_silhouette,
            min_stability=gate.min_stability,
            doubtful=DOUBTFUL,
            max_unstable_share=gate.max_unstable_share,
            level=gate.confidence,
        ),
        n_replicates=gate.bootstrap_replicates,
        seed=params.seed,
    )
