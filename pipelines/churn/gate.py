"""Churn, gate: whether the challenger may serve, and the record of the decision."""

from __future__ import annotations

import logging
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset

from models.evaluation.gate import Thresholds, Verdict, judge
from pipelines.churn.contracts import USECASE
from pipelines.churn.params import ChurnParams
from pipelines.churn.schemas import VALIDATION
from pipelines.errors import ModelGateError
from pipelines.io.lake import Lake
from pipelines.io.promotions import Outcome, Promotion, append_promotion, read_promotions
from pipelines.io.registry import CHALLENGER, CHAMPION, ModelVersion, Registry
from pipelines.settings import Settings

log = logging.getLogger(__name__)

BASELINES = ("logistic", "usage_trend")

_OUTCOMES = {
    "pass": Outcome.PROMOTED,
    "refused": Outcome.REFUSED,
    "not enough evidence": Outcome.NOT_ENOUGH_EVIDENCE,
}


def run(
    as_of: date, *, settings: Settings | None = None, params: ChurnParams | None = None
) -> dict[str, Any]:
    """Judge the challenger trained for ``as_of``; promote it if it passes.

    The verdict goes to the promotion log, to the tags of the model version and, as the record, to
    Airflow. A version that was decided on keeps its verdict: running the step again changes nothing.
    A refusal is a result, not a failure; the champion goes on serving.

    Raises
    ------
    ModelGateError
        The challenger was not trained for ``as_of``.
    """
    settings, params = settings or Settings.load(), params or ChurnParams.load_default()
    lake, registry = Lake.of(settings), Registry(settings, USECASE)
    version = _challenger(registry, as_of)
    for earlier in read_promotions(lake, USECASE):
        if earlier.model_version == version.label and earlier.who.startswith("gate:"):
            return _record(version, earlier.outcome, earlier.words, decided_before=True)
    verdict = _judge(lake, registry, version, as_of, params)
    outcome = _OUTCOMES[verdict.outcome]
    champion = registry.aliased(CHAMPION)
    if outcome is Outcome.PROMOTED:
        registry.promote(version)
    registry.client.set_model_version_tag(version.name, version.version, "gate", verdict.outcome)
    registry.client.set_model_version_tag(version.name, version.version, "gate_words", verdict.words)
    append_promotion(
        lake,
        Promotion(
            usecase=USECASE,
            as_of=as_of,
            model_version=version.label,
            outcome=outcome,
            words=verdict.words,
            decided_at=datetime.now(UTC).replace(tzinfo=None),  # a fact of the log, computes nothing
            who=f"gate:{version.run_id}",
            previous_version=champion.label if champion else None,
            checks=[asdict(check) for check in verdict.checks],
            metrics={check.name: check.value for check in verdict.checks},
        ),
    )
    log.info("churn gate: %s", verdict.words)
    return _record(version, outcome, verdict.words, decided_before=False)


def _challenger(registry: Registry, as_of: date) -> ModelVersion:
    version = registry.aliased(CHALLENGER)
    trained_for = version.tags.get("as_of") if version else None
    if version is None or trained_for != str(as_of):
        raise ModelGateError(
            f"the challenger must have been trained for {as_of}, got {trained_for}: run `millrace train "
            f"churn --as-of {as_of}`"
        )
    return version


def _judge(
    lake: Lake, registry: Registry, version: ModelVersion, as_of: date, params: ChurnParams
) -> Verdict:
    rows = lake.read(VALIDATION, where=pa_dataset.field("as_of") == as_of)
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


def _record(version: ModelVersion, outcome: Outcome, words: str, *, decided_before: bool) -> dict[str, Any]:
    return {
        "model_version": version.label,
        "outcome": outcome.value,
        "words": words,
        "decided_before": decided_before,
    }
