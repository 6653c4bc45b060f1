"""The gate: judge the challenger of a day, act on the verdict, log it."""

from __future__ import annotations

import logging
from dataclasses import asdict
from datetime import UTC, date, datetime

from pipelines.errors import ModelGateError
from pipelines.io.promotions import Outcome, Promotion, append_promotion, read_promotions
from pipelines.io.registry import CHALLENGER, CHAMPION, ModelVersion, Registry
from pipelines.settings import Settings
from pipelines.usecase import D, M, P, Record, UseCase

log = logging.getLogger(__name__)

_OUTCOMES = {
    "pass": Outcome.PROMOTED,
    "refused": Outcome.REFUSED,
    "not enough evidence": Outcome.NOT_ENOUGH_EVIDENCE,
}


def run(
    usecase: UseCase[P, D, M], as_of: date, *, settings: Settings | None = None, params: P | None = None
) -> Record:
    """Judge the challenger trained for ``as_of``; promote it if it passes.

    The verdict goes to the promotion log, to the tags of the model version and, as the record, to Airflow. A
    version that was decided on keeps its verdict: running the step again changes nothing. A refusal is a
    result, not a failure; the champion goes on serving. Raises ``ModelGateError`` if the challenger was not
    trained for ``as_of``.
    """
    here = usecase.run(as_of, settings, params)
    lake, registry = here.lake, Registry(here.settings, usecase.name)
    version = _challenger(registry, as_of)
    for earlier in read_promotions(lake, usecase.name):
        if earlier.model_version == version.label and earlier.who.startswith("gate:"):
            return _record(version, earlier.outcome, earlier.words, decided_before=True)
    verdict = usecase.judge(here, version)
    outcome = _OUTCOMES[verdict.outcome]
    champion = registry.aliased(CHAMPION)
    if outcome is Outcome.PROMOTED:
        registry.promote(version)
    registry.tag(version.version, {"gate": verdict.outcome, "gate_words": verdict.words})
    append_promotion(
        lake,
        Promotion(
            usecase=usecase.name,
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
    log.info("%s gate: %s", usecase.name, verdict.words)
    return _record(version, outcome, verdict.words, decided_before=False)


def _challenger(registry: Registry, as_of: date) -> ModelVersion:
    version = registry.aliased(CHALLENGER)
    trained_for = version.tags.get("as_of") if version else None
    if version is None or trained_for != str(as_of):
        raise ModelGateError(
            f"the challenger must have been trained for {as_of}, got {trained_for}: run `millrace train "
            f"{registry.usecase} --as-of {as_of}`"
        )
    return version


def _record(version: ModelVersion, outcome: Outcome, words: str, *, decided_before: bool) -> Record:
    return {
        "model_version": version.label,
        "outcome": outcome.value,
        "words": words,
        "decided_before": decided_before,
    }
