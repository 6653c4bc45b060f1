"""Report: the lines compared, with what is not known carried through to the answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.imputation.pooling import Pooled, pool
from pipelines.errors import DataContractError
from pipelines.io.lake import Lake
from pipelines.reporting.site import Missing
from pipelines.usecases.imputation.dataset import Wide, read_wide
from pipelines.usecases.imputation.read import iter_completed

_ROWS = 12
_FEWEST_PARTS = 5

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """A line's mean of a sensor against that of the other lines.

    Attributes
    ----------
    estimate, low, high
        Difference in the sensor's unit, with its pooled 95 % interval.
    in_sd
        The same in standard deviations of the sensor.
    observed_only
        Difference of the measured cells alone.
    missing
        Share of missing cells of the line.
    """

    sensor: str
    line: str
    unit: str
    estimate: float
    low: float
    high: float
    in_sd: float
    observed_only: float
    missing: float

    @property
    def digits(self) -> int:
        """Decimals that show three digits of the interval's width."""
        width = self.high - self.low
        return max(0, 2 - math.floor(math.log10(width))) if width > 0 else 3

    @property
    def certain(self) -> bool:
        """Whether the interval excludes zero."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Lines:
    """Largest differences first.

    Attributes
    ----------
    rows
        At most twelve.
    parts, compared, certain
        Parts of the day; pairs of line and sensor compared, and those that differ beyond noise.
    """

    rows: Sequence[Difference]
    parts: int
    compared: int
    certain: int


def lines(lake: Lake, as_of: date) -> Lines | Missing:
    """Compare the lines on the completed data sets of the day, pooled by Rubin's rules."""
    try:
        wide = read_wide(lake, as_of, batch=True)
        tables = [
            table.reindex(index=wide.parts["part_id"], columns=wide.numeric)
            for table in iter_completed(lake, as_of)
        ]
    except DataContractError:
        return Missing(
            f"There are no completed data sets of {as_of}.", f"millrace score imputation --as-of {as_of}"
        )
    line = wide.parts["line"].to_numpy()
    sizes = {name: int((line == name).sum()) for name in np.unique(line)}
    names = [name for name, size in sizes.items() if _FEWEST_PARTS <= size <= len(line) - _FEWEST_PARTS]
    if not names:
        return Missing(f"No two lines made at least {_FEWEST_PARTS} parts each in the batch of {as_of}.")
    sensors = [name for name in wide.numeric if all(table[name].notna().all() for table in tables)]
    values = [table[sensors].to_numpy(dtype=np.float64) for table in tables]
    found: list[Difference] = []
    for name in names:
        found += _differences(wide, sensors, values, line == name, str(name))
    found.sort(key=lambda d: (not d.certain, -abs(d.in_sd), d.sensor, d.line))
    return Lines(found[:_ROWS], len(line), len(found), sum(d.certain for d in found))


def _differences(
    wide: Wide, sensors: Sequence[str], values: Sequence[Floats], own: NDArray[np.bool_], line: str
) -> list[Difference]:
    means = np.array([table[own].mean(axis=0) - table[~own].mean(axis=0) for table in values])
    variances = np.array([
        table[own].var(axis=0, ddof=1) / own.sum() + table[~own].var(axis=0, ddof=1) / (~own).sum()
        for table in values
    ])  # fmt: skip
    pooled: Pooled = pool(means, variances, complete_df=float(len(own) - 2))
    spread = np.mean([table.std(axis=0) for table in values], axis=0)
    units = wide.sensors.set_index("sensor_id")["unit"]
    observed = wide.values[list(sensors)]
    alone = observed[own].mean() - observed[~own].mean()
    missing = observed[own].isna().mean()
    return [
        Difference(
            sensor, line, "" if pd.isna(units[sensor]) else str(units[sensor]), float(pooled.estimate[i]),
            float(pooled.low[i]), float(pooled.high[i]), float(pooled.estimate[i] / spread[i]) if spread[i] else 0.0,
            float(alone[sensor]), float(missing[sensor]),
        )
        for i, sensor in enumerate(sensors)
    ]  # fmt: skip
