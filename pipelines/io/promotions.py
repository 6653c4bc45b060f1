"""The append-only promotion log: what the gate decided about which model, when, why and on which evidence.

It answers "which version served on that day, and who decided so?", and a rollback reads it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from features.schemas import Column, DType, Table
from pipelines.errors import DataContractError, ModelGateError
from pipelines.io.lake import Commit, Lake, having, on_day, until_day


class Outcome(StrEnum):
    """What became of a model version."""

    #: The version carries the alias ``champion`` from now on.
    PROMOTED = "promoted"
    #: A check failed, or the version is not better than the champion: the champion stays.
    REFUSED = "refused"
    #: Too few labels to tell: the champion stays.
    NOT_ENOUGH_EVIDENCE = "not_enough_evidence"
    #: A person made this earlier version the champion again.
    ROLLED_BACK = "rolled_back"


PROMOTIONS = Table(
    name="ops/promotions",
    description="Promotion log, append only. One row per decision about a model version.",
    columns=(
        Column("usecase", DType.STRING, "Name of the use case."),
        Column("as_of", DType.DATE, "Training day of the challenger; day of the decision for a rollback."),
        Column("model_version", DType.STRING, "Version in the MLflow registry, as `<use case>/<number>`."),
        Column("outcome", DType.STRING, "What was decided.", allowed=tuple(Outcome)),
        Column(
            "previous_version",
            DType.STRING,
            "Champion before the decision; null if there was none.",
            nullable=True,
        ),
        Column("words", DType.STRING, "The verdict in sentences."),
        Column(
            "checks_json",
            DType.STRING,
            "List of checks, each with at least name, value, threshold, passed; low, high, words if known.",
        ),
        Column("metrics_json", DType.STRING, "Metrics the verdict rests on, by name."),
        Column("decided_at", DType.TIMESTAMP, "When it was decided (UTC).", unit="UTC"),
        Column("who", DType.STRING, "Gate run (`gate:<run id>`) or person."),
    ),
    key=("usecase", "model_version", "decided_at"),
)


@dataclass(frozen=True)
class Promotion:
    """One decision, as a row of :data:`PROMOTIONS`."""

    usecase: str
    as_of: date
    model_version: str
    outcome: Outcome
    words: str
    #: UTC, without a zone attached.
    decided_at: datetime
    who: str
    previous_version: str | None = None
    #: JSON-able mappings with the keys ``name``, ``value``, ``threshold``, ``passed`` and, where known,
    #: ``low`` and ``high`` (bootstrap interval) and ``words``.
    checks: Sequence[Mapping[str, Any]] = ()
    #: JSON-able values by name.
    metrics: Mapping[str, Any] = field(default_factory=dict)


def append_promotion(lake: Lake, promotion: Promotion) -> Commit:
    """Add a decision to the log."""
    row = vars(promotion) | {
        "outcome": promotion.outcome.value,
        "checks_json": json.dumps([dict(check) for check in promotion.checks], sort_keys=True),
        "metrics_json": json.dumps(dict(promotion.metrics), sort_keys=True),
    }
    return lake.append(PROMOTIONS, [row])


def read_promotions(lake: Lake, usecase: str, *, until: date | None = None) -> list[Promotion]:
    """Decisions about a use case, oldest first, up to and including the ``as_of`` ``until``; none without a log."""
    where = having(usecase=usecase)
    if until is not None:
        where &= until_day(until)
    rows = lake.read(PROMOTIONS, where=where, missing_ok=True).sort_by("decided_at").to_pylist()
    for row in rows:
        row["outcome"] = Outcome(row["outcome"])
        row["checks"], row["metrics"] = (
            json.loads(row.pop("checks_json")),
            json.loads(row.pop("metrics_json")),
        )
    return [Promotion(**row) for row in rows]


def require_served(lake: Lake, table: Table, usecase: str, as_of: date, *, force: bool) -> None:
    """Refuse predictions that were made to inspect a model, not to act on them; ``table`` has ``model_version``.

    Raises ``DataContractError`` if the day has no predictions, and, unless forced, ``ModelGateError`` if they
    come from a version that was never champion.
    """
    found: set[str] = set()
    if lake.exists(table.name):
        # By batches: the column of a large table is millions of times the same word.
        batches = lake.dataset(table.name).to_batches(columns=["model_version"], filter=on_day(as_of))
        found = {version for batch in batches for version in batch.column(0).unique().to_pylist()}
    if not found:
        raise DataContractError(
            f"{table.name} has no rows for {as_of}: run `millrace score {usecase} --as-of {as_of}` first"
        )
    served = (Outcome.PROMOTED, Outcome.ROLLED_BACK)
    strangers = found - {
        each.model_version for each in read_promotions(lake, usecase) if each.outcome in served
    }
    if strangers and not force:
        raise ModelGateError(
            f"{table.name} of {as_of} comes from {', '.join(sorted(strangers))}, which never was champion: score again "
            "with the champion, or use --force to publish it anyway"
        )
