"""The steps, which drive any use case: prepare, train, gate, score, publish, monitor, report.

Light: the command line and every DAG file import it. A step imports what it needs when it runs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from importlib import import_module
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
    """What a caller may ask of a step; each option belongs to one step."""

    #: ``prepare``: also build the past days that models learn from.
    training: bool = False
    #: ``prepare``: do nothing if the days are built already.
    only_if_missing: bool = False
    #: ``prepare``: versions of raw tables to read instead of the newest; the same pins give the same bytes.
    pins: Mapping[str, int] | None = None
    #: ``score``: the model to use, ``champion`` or ``challenger``.
    alias: str = "champion"
    #: ``publish``: see :class:`pipelines.sinks.report.Asked`.
    dry_run: bool = False
    force: bool = False
    retry_dead: bool = False


#: Options by the step that takes them, as arguments of the same names.
_TAKES: Mapping[Step, frozenset[str]] = {
    Step.PREPARE: frozenset({"training", "only_if_missing", "pins"}),
    Step.SCORE: frozenset({"alias"}),
    Step.PUBLISH: frozenset({"dry_run", "force", "retry_dead"}),
}

#: Steps of the commands and DAGs that run several, with their options.
Chain = Sequence[tuple[Step, Options]]
TRAINING: Chain = ((Step.PREPARE, Options(training=True)), (Step.TRAIN, Options()), (Step.GATE, Options()))
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
    """Run one step, record its duration and outcome in ``ops/step_runs``, and return its record for XCom.

    ``as_of`` is the day of the decision; text is read as ``YYYY-MM-DD``. Raises ``ConfigError`` if there is no
    such use case, or the step does not take an option.
    """
    from pipelines.discovery import find
    from pipelines.io.runs import recording

    settings, day, chosen = settings or Settings.load(), parse_as_of(as_of), Step(step)
    declared = find(usecase)
    takes = _TAKES.get(chosen, frozenset())
    asked = [name for name, value in vars(options).items() if value != vars(Options())[name]]
    if foreign := [name for name in asked if name not in takes]:
        raise ConfigError(f"step {chosen} takes {sorted(takes) or 'no options'}, got {foreign}")
    log.info("%s.%s for %s starts", usecase, step, day)
    started = time.monotonic()
    with recording(settings, usecase, step, day) as done:
        # Imported when it runs: each step needs other heavy libraries.
        module = import_module(f"pipelines.steps.{chosen}")
        taken = {name: getattr(options, name) for name in takes}
        record: Record = module.run(declared, day, settings=settings, **taken)
        done(record)
    log.info("%s.%s for %s took %.1f s: %s", usecase, step, day, time.monotonic() - started, record)
    return record


def parse_as_of(value: str | date) -> date:
    """Read a day; raises ``ConfigError`` if the text is not ``YYYY-MM-DD``."""
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ConfigError(f"as_of must be a day as YYYY-MM-DD, got {value!r}") from None
