"""The steps, which drive any use case: prepare, train, gate, score, publish, monitor, report.

Light: the command line and every DAG file import it. A step imports what it needs when it runs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING

from pipelines.errors import ConfigError
from pipelines.settings import Settings

if TYPE_CHECKING:
    from pipelines.usecase import Record

log = logging.getLogger(__name__)


class Step(StrEnum):
    """The steps of every use case, in the order in which they run."""

    PREPARE = "prepare"
    TRAIN = "train"
    GATE = "gate"
    SCORE = "score"
    MONITOR = "monitor"
    PUBLISH = "publish"
    REPORT = "report"


@dataclass(frozen=True)
class Options:
    """What a caller may ask of a step; each option belongs to one step.

    Attributes
    ----------
    training
        ``prepare``: also build the past days that models learn from.
    only_if_missing
        ``prepare``: do nothing if the days are built already.
    pins
        ``prepare``: versions of raw tables to read instead of the newest; the same pins give the same bytes.
    alias
        ``score``: the model to use, ``champion`` or ``challenger``.
    dry_run, force, retry_dead
        ``publish``: see :class:`pipelines.sinks.options.Asked`.
    """

    training: bool = False
    only_if_missing: bool = False
    pins: Mapping[str, int] | None = None
    alias: str = "champion"
    dry_run: bool = False
    force: bool = False
    retry_dead: bool = False


#: Options by the step that takes them.
_TAKES: Mapping[Step, frozenset[str]] = {
    Step.PREPARE: frozenset({"training", "only_if_missing", "pins"}),
    Step.SCORE: frozenset({"alias"}),
    Step.PUBLISH: frozenset({"dry_run", "force", "retry_dead"}),
}

#: Steps of the commands and DAGs that run several, with their options.
Chain = Sequence[tuple[Step, Options]]
TRAINING: Chain = (
    (Step.PREPARE, Options(training=True)),
    (Step.TRAIN, Options()),
    (Step.GATE, Options()),
)
SCORING: Chain = ((Step.PREPARE, Options()), (Step.SCORE, Options()), (Step.MONITOR, Options()))
DELIVERY: Chain = ((Step.PUBLISH, Options()), (Step.REPORT, Options()))


def run_step(
    usecase: str,
    step: str,
    as_of: str | date,
    *,
    settings: Settings | None = None,
    options: Options = Options(),
) -> Record:
    """Run one step and record its duration and outcome in ``ops/step_runs``.

    Parameters
    ----------
    usecase, step
        Names; see :func:`pipelines.discovery.names` and :class:`Step`.
    as_of
        Day of the decision; text is read as ``YYYY-MM-DD``.

    Returns
    -------
    dict
        The step's own record, small enough for XCom.

    Raises
    ------
    ConfigError
        There is no such use case, or the step does not take an option.
    """
    from pipelines.discovery import find
    from pipelines.io.runs import StepRuns

    settings, day, chosen = settings or Settings.load(), parse_as_of(as_of), Step(step)
    declared = find(usecase)
    _refuse_foreign(chosen, options)
    log.info("%s.%s for %s starts", usecase, step, day)
    started = time.monotonic()
    with StepRuns(settings).recording(usecase, step, day) as done:
        record: Record
        match chosen:
            case Step.PREPARE:
                from pipelines.steps import prepare

                record = prepare.run(
                    declared,
                    day,
                    settings=settings,
                    training=options.training,
                    only_if_missing=options.only_if_missing,
                    pins=options.pins,
                )
            case Step.TRAIN:
                from pipelines.steps import train

                record = train.run(declared, day, settings=settings)
            case Step.GATE:
                from pipelines.steps import gate

                record = gate.run(declared, day, settings=settings)
            case Step.SCORE:
                from pipelines.steps import score

                record = score.run(declared, day, settings=settings, alias=options.alias)
            case Step.MONITOR:
                from pipelines.steps import monitor

                record = monitor.run(declared, day, settings=settings)
            case Step.PUBLISH:
                from pipelines.steps import publish

                record = publish.run(
                    declared,
                    day,
                    settings=settings,
                    dry_run=options.dry_run,
                    force=options.force,
                    retry_dead=options.retry_dead,
                )
            case Step.REPORT:
                from pipelines.steps import report

                record = report.run(declared, day, settings=settings)
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


def _refuse_foreign(step: Step, options: Options) -> None:
    usual, takes = Options(), _TAKES.get(step, frozenset())
    given = [
        field.name for field in fields(Options) if getattr(options, field.name) != getattr(usual, field.name)
    ]
    foreign = [name for name in given if name not in takes]
    if foreign:
        raise ConfigError(f"step {step} takes {sorted(takes) or 'no options'}, got {foreign}")
