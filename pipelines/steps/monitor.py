"""Monitoring: findings of the day, and the alarms that they raise."""

from __future__ import annotations

import logging
from datetime import date

from pipelines.monitoring.schemas import State
from pipelines.monitoring.stored import store_findings
from pipelines.settings import Settings
from pipelines.usecase import D, M, P, Record, UseCase

log = logging.getLogger(__name__)


def run(
    usecase: UseCase[P, D, M], as_of: date, *, settings: Settings | None = None, params: P | None = None
) -> Record:
    """Check the results of ``as_of`` and write ``ops/monitoring``.

    A repeated run replaces the day's rows. What cannot be judged is a finding of its own, never silence.

    Returns ``as_of``, ``model_version``, ``alarms`` (see :meth:`pipelines.monitoring.alarms.Alarm.as_dict`), the number of
    findings per state, and what the use case reports; small enough for XCom.
    """
    here = usecase.run(as_of, settings, params)
    checked = usecase.check(here)
    alarms = usecase.word_alarms(as_of, checked.findings)
    store_findings(
        here.lake, usecase.name, as_of, checked.findings, model_version=checked.model_version, alarms=alarms
    )
    for alarm in alarms:
        log.warning("%s alarm, %s. %s", alarm.severity, alarm.title, alarm.first_step)
    return {
        "as_of": as_of.isoformat(),
        "model_version": checked.model_version,
        "alarms": [alarm.as_dict() for alarm in alarms],
        "findings": {state.value: sum(f.state is state for f in checked.findings) for state in State},
        **checked.record,
    }
