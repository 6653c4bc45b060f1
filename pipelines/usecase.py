"""The use cases and their steps: the one list that commands, DAGs and records share."""

from __future__ import annotations

import importlib
import logging
import time
from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import Any

from pipelines.errors import ConfigError
from pipelines.settings import Settings

log = logging.getLogger(__name__)

#: A step's record goes through XCom: ids, counts and short words only.
Record = dict[str, Any]


class Step(StrEnum):
    """Steps that every use case has, in the order in which they run."""

    PREPARE = "prepare"
    TRAIN = "train"
    GATE = "gate"
    SCORE = "score"
    MONITOR = "monitor"
    PUBLISH = "publish"
    REPORT = "report"


class UseCase(StrEnum):
    """Use cases; the module ``pipelines.<name>`` holds one module per step."""

    CHURN = "churn"
    DEMAND = "demand"
    CLUSTERING = "clustering"
    IMPUTATION = "imputation"
    REPURCHASE = "repurchase"


#: Use cases whose results leave the lake for a system of their users; the others' are read in the lake.
PUBLISHING = frozenset({UseCase.CHURN, UseCase.DEMAND, UseCase.REPURCHASE})

#: Use cases without raw tables of their own, and the one whose tables they read.
READERS_OF = {UseCase.CLUSTERING: UseCase.DEMAND}


def steps_of(
    usecase: UseCase, steps: Sequence[tuple[Step, Mapping[str, Any]]]
) -> list[tuple[Step, Mapping[str, Any]]]:
    """Those of the steps that a use case has."""
    return [(step, options) for step, options in steps if step is not Step.PUBLISH or usecase in PUBLISHING]


def run_step(
    usecase: str, step: str, as_of: str | date, *, settings: Settings | None = None, **options: Any
) -> Record:
    """Run one step and record its duration and outcome in ``ops/step_runs``.

    Parameters
    ----------
    usecase, step
        Names from :class:`UseCase` and :class:`Step`.
    as_of
        Day of the decision; text is read as ``YYYY-MM-DD``.
    options
        Passed on to the step.

    Returns
    -------
    dict
        The step's own record, small enough for XCom.

    Raises
    ------
    ConfigError
        The use case has no such step.
    """
    from pipelines.io.runs import StepRuns  # needs Arrow: too heavy for the command's start

    settings = settings or Settings.load()
    day = parse_as_of(as_of)
    if not steps_of(UseCase(usecase), [(Step(step), {})]):
        raise ConfigError(f"{usecase} has no step {step}: its results are read in the lake")
    module = importlib.import_module(f"pipelines.usecases.{UseCase(usecase)}.{Step(step)}")
    log.info("%s.%s for %s starts", usecase, step, day)
    started = time.monotonic()
    with StepRuns(settings).recording(usecase, step, day) as done:
        record: Record = module.run(day, settings=settings, **options)
        done(record)
    log.info("%s.%s for %s took %.1f s: %s", usecase, step, day, time.monotonic() - started, record)
    return record


def parse_as_of(value: str | date) -> date:
    """Read a day.

    Raises
    ------
    ConfigError
        The text is not ``YYYY-MM-DD``.
    """
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ConfigError(f"as_of must be a day as YYYY-MM-DD, got {value!r}") from None


#: Steps of the commands and DAGs that run several, with their options.
TRAINING: tuple[tuple[Step, Mapping[str, Any]], ...] = (
    (Step.PREPARE, {"training": True}),
    (Step.TRAIN, {}),
    (Step.GATE, {}),
)
SCORING: tuple[tuple[Step, Mapping[str, Any]], ...] = (
    (Step.PREPARE, {}),
    (Step.SCORE, {}),
    (Step.MONITOR, {}),
)
DELIVERY: tuple[tuple[Step, Mapping[str, Any]], ...] = ((Step.PUBLISH, {}), (Step.REPORT, {}))
