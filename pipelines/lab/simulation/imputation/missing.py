"""Why cells are missing: each cell has at most one reason, the first that applies in this order."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from pipelines.lab.simulation.days import DAY_US, Floats, Ints
from pipelines.lab.simulation.imputation.factory import Sensors

#: Part of a week, at most, for which a station is down when it is; how often that is, by week and station.
_DOWN_SHARE, _DOWN_RATE = 0.08, 0.35
#: Most readings that are lost at random, by sensor.
_LOST = 0.05
#: Standard score below which particles cannot be counted.
_LIMIT = -1.4


class Reason(IntEnum):
    """Why a cell has no value; NONE if it has one."""

    NONE = 0
    DROP_OUT = 1
    SAMPLING = 2
    LIMIT = 3
    OWN_VALUE = 4
    RANDOM = 5


def sampled_station(stations: int) -> int:
    """Station that measures only some of the parts: the third, or the last of fewer."""
    return min(2, stations - 1)


def lost_rates(rng: np.random.Generator, sensors: Sensors) -> Floats:
    """Rate at which each sensor's readings are lost; the first sensor of the factory loses none."""
    rates: Floats = rng.uniform(0.005, _LOST, len(sensors))
    rates[0] = 0.0
    return rates


def down_times(
    rng: np.random.Generator, lines: int, stations: int, start: int, end: int
) -> tuple[Ints, Ints, Ints, Ints]:
    """Line, station, first and last moment (microseconds) of each time that a station is down."""
    weeks = max(1, (end - start + 6) // 7)
    week, line, station = np.nonzero(rng.random((weeks, lines, stations)) < _DOWN_RATE)
    # The first station never stops: what the others are sampled by is always there.
    kept = station > 0
    week, line, station = week[kept], line[kept], station[kept]
    begin = start * DAY_US + (7 * DAY_US * (week + rng.random(len(week)))).astype(np.int64)
    length = (7 * DAY_US * _DOWN_SHARE * rng.random(len(week))).astype(np.int64)
    return line, station, begin, begin + length


def reasons(
    rng: np.random.Generator,
    sensors: Sensors,
    line: Ints,
    moment: Ints,
    z: Floats,
    values: Floats,
    down: tuple[Ints, Ints, Ints, Ints],
    lost: Floats,
) -> NDArray[np.int8]:
    """Reason of each cell, shape (parts, sensors)."""
    found = np.zeros(z.shape, dtype=np.int8)

    def mark(cells: NDArray[np.bool_], reason: Reason) -> None:
        found[cells & (found == Reason.NONE)] = reason

    for of_line, station, begin, stop in zip(*down, strict=True):
        parts = (line == of_line) & (moment >= begin) & (moment < stop)
        mark(parts[:, None] & (sensors.station == station), Reason.DROP_OUT)
    stations = int(sensors.station.max()) + 1
    if stations > 1:
        # The further the first reading is above its mean, the more often the costly station measures; the
        # lines have rules of their own.
        chance = 1 / (1 + np.exp(0.6 + 1.2 * z[:, 0] + 0.4 * line))
        skipped = rng.random(len(line)) < chance
        mark(skipped[:, None] & (sensors.station == sampled_station(stations)), Reason.SAMPLING)
    mark(values < limits(sensors), Reason.LIMIT)
    last = np.flatnonzero(sensors.of("pressure"))[-1]
    fails = rng.random(len(line)) < 0.35 / (1 + np.exp(-2.0 * (z[:, last] - 0.8)))
    own = np.zeros(z.shape, dtype=bool)
    own[:, last] = fails
    mark(own, Reason.OWN_VALUE)
    mark(rng.random(z.shape) < lost, Reason.RANDOM)
    return found


def limits(sensors: Sensors) -> Floats:
    """Detection limit of each sensor of particles, as its values are told; no other sensor has one (NaN)."""
    on_scale = sensors.centre.mean(axis=0) + sensors.spread * _LIMIT
    return np.where(sensors.of("particles"), np.round(np.exp(np.minimum(on_scale, 50.0)), 4), np.nan)
