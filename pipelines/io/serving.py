"""Which version serves: promotion by hand and rollback, both written to the promotion log."""

from __future__ import annotations

import getpass
from datetime import datetime
from typing import Any

from pipelines.errors import ConfigError
from pipelines.io.lake import Lake
from pipelines.io.promotions import Outcome, Promotion, append_promotion, read_promotions
from pipelines.io.registry import CHAMPION, ModelVersion, Registry
from pipelines.settings import Settings


def promote(settings: Settings, usecase: str, number: str, *, why: str, at: datetime) -> dict[str, Any]:
    """Let a version serve because a person says so; raises ``ConfigError`` if the registry has no such version."""
    registry = Registry(settings, usecase)
    return _serve(settings, registry, registry.version(number), Outcome.PROMOTED, why, at)


def rollback(settings: Settings, usecase: str, *, why: str, at: datetime) -> dict[str, Any]:
    """Let the version that served before the champion serve again.

    A second rollback goes one version further back; it does not undo the first. Raises ``ConfigError`` if no
    earlier champion is on record.
    """
    registry = Registry(settings, usecase)
    history: list[str] = []  # versions that served, oldest first, rolled-back ones removed
    for promotion in read_promotions(Lake.of(settings), usecase):
        if promotion.outcome is Outcome.PROMOTED:
            history.append(promotion.model_version)
        elif promotion.outcome is Outcome.ROLLED_BACK:
            history = history[: history.index(promotion.model_version) + 1]
    if len(history) < 2:
        raise ConfigError(f"{usecase} has no earlier champion to go back to; served so far: {history}")
    version = registry.version(history[-2].rpartition("/")[2])
    return _serve(settings, registry, version, Outcome.ROLLED_BACK, why, at)


def _serve(
    settings: Settings, registry: Registry, version: ModelVersion, outcome: Outcome, why: str, at: datetime
) -> dict[str, Any]:
    previous = registry.aliased(CHAMPION)
    registry.promote(version)
    promotion = Promotion(
        usecase=registry.usecase,
        as_of=at.date(),
        model_version=version.label,
        outcome=outcome,
        words=why,
        decided_at=at,
        who=getpass.getuser(),
        previous_version=previous.label if previous else None,
    )
    append_promotion(Lake.of(settings), promotion)
    return {"champion": version.label, "before": promotion.previous_version, "why": why}
