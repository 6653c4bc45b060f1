"""Alarms of the daily checks, and the silence of a usual day."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from pipelines.io.registry import CHAMPION, Registry
from pipelines.monitoring.schemas import Severity, State
from pipelines.steps import monitor
from pipelines.usecases.imputation import USECASE, judging
from pipelines.usecases.imputation.dataset import Wide, read_wide
from tests.usecases.imputation.conftest import AS_OF, PARAMS, Factory


@pytest.fixture(scope="module")
def wide(factory: Factory) -> Wide:
    return read_wide(factory.lake, AS_OF, batch=True)


def with_values(wide: Wide, **columns: object) -> Wide:
    values = wide.values.assign(**{name.replace("__", "."): value for name, value in columns.items()})
    return Wide(wide.parts, wide.sensors, values, wide.limited, wide.versions, wide.fingerprint)


def test_a_usual_day_raises_no_alarm(factory: Factory) -> None:
    record = factory.records["monitor"]
    assert record["alarms"] == []
    assert record["findings"]["ok"] >= 19, (
        "completed, coverage and each of 18 sensors, as far as they are judged"
    )


def test_a_silent_sensor_is_named(factory: Factory, wide: Wide) -> None:
    version = Registry(factory.settings, USECASE.name).serving(CHAMPION)
    silent = with_values(wide, etch__pressure=np.nan)
    found = judging._missing(factory.lake, version, silent, PARAMS.monitoring)
    (alarm,) = [finding for finding in found if finding.state is State.ALARM]
    assert alarm.subject == "etch.pressure"
    assert alarm.segment == ("station", "etch")
    assert "100 % of the cells are missing" in alarm.message


def test_intervals_that_lie_are_critical(factory: Factory, wide: Wide) -> None:
    registry = Registry(factory.settings, USECASE.name)
    model = registry.load(registry.serving(CHAMPION))
    usual = judging._coverage(model, wide, AS_OF, PARAMS)
    assert usual.state is State.OK, usual.message
    drifted = {
        name.replace(".", "__"): wide.values[name] + 4 * wide.values[name].std()
        for name in wide.numeric
        if name.endswith(("temperature", "particles"))
    }
    moved = judging._coverage(model, with_values(wide, **drifted), AS_OF, PARAMS)
    assert (moved.state, moved.severity) == (State.ALARM, Severity.CRITICAL)
    (alarm,) = USECASE.word_alarms(AS_OF, [usual, moved])
    assert alarm.name == "coverage_90"


def test_a_day_without_data_sets_is_critical(factory: Factory) -> None:
    record = monitor.run(USECASE, date(2024, 1, 1), settings=factory.settings, params=PARAMS)
    assert [alarm["name"] for alarm in record["alarms"]] == ["completed"]
