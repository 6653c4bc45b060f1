"""The wide table: cells of the lake put in their places, and what an imputer is told of them.

Training and the day's batch go through the same functions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset
from numpy.typing import NDArray

from models.imputation.imputer import BootstrapEMImputer
from models.imputation.limits import Limited, hold_limits, limit_priors
from pipelines.errors import DataContractError
from pipelines.io.hashing import content_hash
from pipelines.io.lake import Lake, on_day
from pipelines.monitoring.subjects import Subjects

#: What is watched for drift. Whether a sensor is silent more often is a check of its own.
SUBJECTS = Subjects("part_id", "parts", counts_missing=False)

PARTS = "features/imputation_parts"
SENSORS = "features/imputation_sensors"
CELLS = "features/imputation_cells"

#: Columns of the model's frame that are no sensors: the unit of the panel (or the line) and the moment.
UNIT, TIME = "unit", "produced_at"


@dataclass(frozen=True)
class Wide:
    """Parts with their measurements, ordered by time and part."""

    #: ``part_id``, ``line``, ``unit_id``, ``produced_at``, ``in_batch``, in the order of ``values``.
    parts: pd.DataFrame
    #: Rows of ``features/imputation_sensors`` in the order of the columns of ``values``.
    sensors: pd.DataFrame
    #: One column per sensor: floats, words for nominal ones; NaN or None where nothing was measured.
    values: pd.DataFrame
    #: Cells beyond a limit; they are missing in ``values``.
    limited: Limited
    #: Lake version read of each table, and a hash of all cells.
    versions: dict[str, int]
    fingerprint: str

    @property
    def numeric(self) -> list[str]:
        """Sensors whose values are numbers."""
        return list(self.sensors.loc[self.sensors["kind"] != "nominal", "sensor_id"])

    @property
    def frame(self) -> pd.DataFrame:
        """What the model takes: the sensors, and each part's unit and moment."""
        units = self.parts["unit_id"].where(self.parts["unit_id"].notna(), self.parts["line"])
        return self.values.assign(**{UNIT: units.to_numpy(), TIME: self.parts["produced_at"].to_numpy()})

    def take(self, rows: NDArray[np.intp]) -> Wide:
        """Some of the parts, in the given order."""
        return replace(
            self,
            parts=self.parts.iloc[rows].reset_index(drop=True),
            values=self.values.iloc[rows].reset_index(drop=True),
            limited=self.limited.take(rows, of=len(self.parts)),
        )


def day_seed(seed: int, as_of: date) -> int:
    """Seed of a day's draws: another one each day, the same one whenever the day is repeated."""
    return int(hashlib.sha256(f"{seed} {as_of}".encode()).hexdigest()[:8], 16)


def read_wide(lake: Lake, as_of: date, *, batch: bool = False) -> Wide:
    """Put the cells of a day into a wide table; with ``batch`` only the parts that are completed on the day.

    Raises ``DataContractError`` if the day was not prepared, or has no part in the batch.
    """
    names = (PARTS, SENSORS, CELLS)
    versions = {name: lake.version(name) for name in names if lake.exists(name)}

    def rows(name: str, key: list[str], where: pa_dataset.Expression) -> pa.Table:
        read = lake.read(name, where=where, version=versions[name])
        return read.sort_by([(column, "ascending") for column in key])

    day = on_day(as_of)
    inside = day & pa_dataset.field("in_batch") if batch else day
    parts = rows(PARTS, ["produced_at", "part_id"], inside) if len(versions) == len(names) else None
    if parts is None or not parts.num_rows:
        what = "parts in the batch" if batch else "parts"
        raise DataContractError(
            f"{PARTS} has no {what} for {as_of}: run `millrace score imputation --as-of {as_of}`, which prepares "
            "them, or look at the newest produced_at of raw/imputation_parts"
        )
    cells = rows(CELLS, ["part_id", "sensor_id"], day)
    return _wide(parts, rows(SENSORS, ["sensor_id"], day), cells, versions)


def _wide(parts: pa.Table, sensors: pa.Table, cells: pa.Table, versions: dict[str, int]) -> Wide:
    row = pc.index_in(cells["part_id"], value_set=parts["part_id"].combine_chunks())
    inside = pc.is_valid(row)
    cells, row = cells.filter(inside), row.filter(inside).to_numpy().astype(np.int64)
    column = pc.index_in(cells["sensor_id"], value_set=sensors["sensor_id"].combine_chunks()).to_numpy()
    column = column.astype(np.int64)
    status = cells["status"].to_numpy(zero_copy_only=False).astype(str)
    value = cells["value"].to_numpy().astype(np.float64)
    measured = status == "measured"
    numbers = np.full((parts.num_rows, sensors.num_rows), np.nan)
    numbers[row[measured], column[measured]] = value[measured]
    values: dict[str, NDArray[np.float64] | NDArray[np.object_]] = {}
    described = sensors.to_pandas()
    label = cells["label"].to_numpy(zero_copy_only=False)
    for position, (name, kind) in enumerate(zip(described["sensor_id"], described["kind"], strict=True)):
        if kind != "nominal":
            values[name] = numbers[:, position]
            continue
        words = np.full(parts.num_rows, None, dtype=object)
        own = measured & (column == position)
        words[row[own]] = label[own]
        values[name] = words
    beyond = np.isin(status, ("below_limit", "above_limit"))
    limited = Limited(row[beyond], column[beyond], value[beyond], status[beyond] == "below_limit")
    return Wide(
        parts.select(["part_id", "line", "unit_id", "produced_at", "in_batch"]).to_pandas(),
        described,
        pd.DataFrame(values),
        limited,
        versions,
        content_hash(cells, sort_by=("part_id", "sensor_id")),
    )


def usable_frame(model: BootstrapEMImputer, wide: Wide) -> pd.DataFrame:
    """Frame with the columns of a fitted model.

    A sensor that the model learned and the day does not describe any more is there, empty; one that it never saw
    is not.
    """
    columns = [str(name) for name in model.feature_names_in_]
    frame = wide.frame
    gone = {name: np.nan for name in columns if name not in frame.columns}
    return frame.assign(**gone)[columns]


def complete(model: BootstrapEMImputer, wide: Wide, m: int, *, seed: int) -> Iterator[pd.DataFrame]:
    """Yield m completed data sets of a wide table, one after the other; no draw is beyond a limit."""
    limits = wide.values, wide.sensors, wide.limited
    priors = limit_priors(*limits) or None
    for table in model.iter_complete(usable_frame(model, wide), m, seed=seed, priors=priors):
        yield hold_limits(*limits, table)
