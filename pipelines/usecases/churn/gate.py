"""Churn, gate: whether the challenger may serve, and the record of the decision."""

from __future__ import annotations

from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset

from models.evaluation.gate import Thresholds, judge
from models.evaluation.verdict import Verdict
from pipelines.io.gating import decide_on_challenger
from pipelines.io.lake import Lake
from pipelines.io.registry import ModelVersion
from pipelines.settings import Settings
from pipelines.usecases.churn.contracts import USECASE
from pipelines.usecases.churn.params import ChurnParams
from pipelines.usecases.churn.schemas import VALIDATION

BASELINES = ("logistic", "usage_trend")


def run(
    as_of: date, *, settings: Settings | None = None, params: ChurnParams | None = None
) -> dict[str, Any]:
    """Judge the challenger trained for ``as_of``; see :func:`pipelines.io.gating.decide_on_challenger`."""
    settings, params = settings or Settings.load(), params or ChurnParams.load_default()
    rows = Lake.of(settings).read(VALIDATION, where=pa_dataset.field("as_of") == as_of)
    return decide_on_challenger(settings, USECASE, as_of, lambda version: _judge(rows, version, params))


def _judge(rows: pa.Table, version: ModelVersion, params: ChurnParams) -> Verdict:
    candidates = {
        name: rows.filter(pc.equal(rows["candidate"], name)).sort_by(
            [("snapshot", "ascending"), ("account_key", "ascending")]
        )
        for name in rows["candidate"].unique().to_pylist()
    }
    challenger = candidates["challenger"]
    champion = candidates.get("champion")
    gate = params.gate
    return judge(
        challenger["churned"].to_numpy(),
        challenger["score"].to_numpy(),
        challenger["account_key"].to_numpy(),
        scoring_seconds=float(version.tags["seconds_per_15000"]),
        scored_accounts=15_000,
        baselines={name: candidates[name]["score"].to_numpy() for name in BASELINES},
        champion=_scores(champion),
        thresholds=Thresholds(
            auc_pr=gate.min_auc_pr,
            recall_at_top20=gate.min_recall_at_top20,
            scoring_seconds=gate.max_seconds_per_15000,
            min_positives=gate.min_positives,
            level=gate.confidence,
        ),
        n_replicates=gate.bootstrap_replicates,
        seed=params.seed,
    )


def _scores(candidate: pa.Table | None) -> Any:
    return None if candidate is None else candidate["score"].to_numpy()
