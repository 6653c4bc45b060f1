"""The factory: lines, stations and sensors, and the latent factors that their readings are traces of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.signal import lfilter

from pipelines.lab.simulation.days import Floats, Ints

#: Latent factors of a line.
FACTORS = 4
#: How much of a factor's deviation the next part keeps.
PERSISTENCE = 0.9

#: Sensors of a station: quantity, unit, kind, scale, bounds, centre and spread on the scale.
_SENSORS: tuple[tuple[str, str | None, str, str, float | None, float | None, float, float], ...] = (
    ("temperature", "deg C", "numeric", "identity", None, None, 180.0, 4.0),
    ("pressure", "bar", "numeric", "identity", 0.0, None, 6.0, 0.4),
    ("particles", "1/cm2", "numeric", "log", 0.0, None, 1.2, 0.7),
    ("fill_share", "share", "numeric", "logistic", 0.0, 1.0, 1.5, 0.6),
    ("grade", None, "ordinal", "identity", 1.0, 5.0, 3.0, 0.8),
    ("tool", None, "nominal", "identity", None, None, 0.0, 1.0),
)
_STATIONS = ("deposit", "etch", "polish", "rinse", "test", "bake", "print", "cut", "bond", "coat")
TOOLS = ("A", "B", "C")

#: Quantity, unit, kind, scale, lowest and highest value.
Row = tuple[str, str | None, str, str, float | None, float | None]


@dataclass(frozen=True)
class Sensors:
    """All sensors, station by station.

    Attributes
    ----------
    ids, stations
        Identifier and name of the station, by sensor.
    station
        Number of the station, by sensor.
    rows
        Quantity, unit, kind, scale, low and high, by sensor.
    centre, spread
        On the sensor's scale, shape (lines, sensors) and (sensors,).
    loadings
        Shape (lines, sensors, factors): lines are alike but not the same.
    noise
        Share of a sensor's variance that is its own.
    """

    ids: list[str]
    stations: list[str]
    station: Ints
    rows: list[Row]
    centre: Floats
    spread: Floats
    loadings: Floats
    noise: Floats

    def __len__(self) -> int:
        """Count the sensors."""
        return len(self.ids)

    def of(self, quantity: str) -> NDArray[np.bool_]:
        """Which sensors measure a quantity."""
        return np.array([row[0] == quantity for row in self.rows])


def station_names(stations: int) -> list[str]:
    """Names of the stations; numbered when there are more than names."""
    return [
        _STATIONS[i] if i < len(_STATIONS) else f"{_STATIONS[i % len(_STATIONS)]}_{i // len(_STATIONS) + 1}"
        for i in range(stations)
    ]


def draw_sensors(rng: np.random.Generator, lines: int, stations: int) -> Sensors:
    """Draw what the sensors read and how the factors show in them."""
    names = station_names(stations)
    rows: list[Row] = [spec[:6] for _ in names for spec in _SENSORS]
    n = len(rows)
    loadings = rng.normal(size=(n, FACTORS))
    loadings = loadings + 0.25 * rng.normal(size=(lines, n, FACTORS))
    noise = rng.uniform(0.15, 0.5, n)
    length = np.sqrt((loadings**2).sum(axis=2, keepdims=True))
    loadings = loadings / length * np.sqrt(1 - noise)[:, None]
    spread = np.tile([spec[7] for spec in _SENSORS], stations)
    centre = np.tile([spec[6] for spec in _SENSORS], stations) + spread * 0.3 * rng.normal(size=(lines, n))
    return Sensors(
        ids=[f"{name}.{spec[0]}" for name in names for spec in _SENSORS],
        stations=[name for name in names for _ in _SENSORS],
        station=np.repeat(np.arange(stations), len(_SENSORS)),
        rows=rows,
        centre=centre,
        spread=spread,
        loadings=loadings,
        noise=noise,
    )


@dataclass
class Drift:
    """The factors of each line, from block to block."""

    state: Floats

    @classmethod
    def start(cls, rng: np.random.Generator, lines: int) -> Drift:
        """Factors before the first part, from their stationary law."""
        return cls(rng.normal(size=(lines, FACTORS)))

    def step(self, rng: np.random.Generator, line: Ints) -> Floats:
        """Factors of the next parts, shape (parts, factors): each unit variance, half drift and half the part's own."""
        drift = np.empty((len(line), FACTORS))
        shocks = rng.normal(size=drift.shape) * np.sqrt(1 - PERSISTENCE**2)
        for number in range(len(self.state)):
            own = line == number
            if own.any():
                drift[own], _ = lfilter(
                    [1.0], [1.0, -PERSISTENCE], shocks[own], axis=0, zi=PERSISTENCE * self.state[number][None]
                )
                self.state[number] = drift[own][-1]
        factors: Floats = np.sqrt(0.5) * (drift + rng.normal(size=drift.shape))
        return factors


def scores(rng: np.random.Generator, sensors: Sensors, line: Ints, factors: Floats) -> Floats:
    """Standardised readings, shape (parts, sensors): what the factors explain, and noise."""
    z = np.empty((len(line), len(sensors)))
    for number in range(len(sensors.loadings)):
        own = line == number
        z[own] = factors[own] @ sensors.loadings[number].T
    return z + rng.normal(size=z.shape) * np.sqrt(sensors.noise)


def readings(sensors: Sensors, line: Ints, z: Floats) -> tuple[Floats, NDArray[np.object_]]:
    """Values as the sensors tell them, and the words of the nominal ones (None elsewhere)."""
    x = sensors.centre[line] + sensors.spread * z
    values, labels = np.full(z.shape, np.nan), np.full(z.shape, None, dtype=object)
    for column, (_, _, kind, scale, low, high) in enumerate(sensors.rows):
        own = x[:, column]
        if kind == "nominal":
            words = np.array(TOOLS, dtype=object)
            labels[:, column] = words[np.digitize(own, [-0.4, 0.6])]
        elif kind == "ordinal":
            values[:, column] = np.clip(np.rint(own), low, high)
        elif scale == "log":
            values[:, column] = np.round(np.exp(own), 4)
        elif scale == "logistic":
            values[:, column] = np.clip(np.round(1 / (1 + np.exp(-own)), 5), 1e-5, 1 - 1e-5)
        else:
            values[:, column] = np.round(np.maximum(own, low) if low is not None else own, 4)
    return values, labels


def sensors_table(sensors: Sensors, known_us: int) -> pa.Table:
    """Rows of the raw table ``sensors``."""
    quantity, unit, kind, scale, low, high = (list(part) for part in zip(*sensors.rows, strict=True))
    return pa.table(
        {
            "sensor_id": sensors.ids,
            "station": sensors.stations,
            "quantity": [text.replace("_", " ") for text in quantity],
            "unit": pa.array(unit, pa.string()),
            "kind": kind,
            "scale": scale,
            "low": pa.array(low, pa.float64()),
            "high": pa.array(high, pa.float64()),
            "known_at": pa.array(np.full(len(sensors), known_us), pa.int64()).cast(pa.timestamp("us")),
        }
    )
