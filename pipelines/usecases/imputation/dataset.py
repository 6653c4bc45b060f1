"""The wide table: cells of the lake put in their places, the same way for training and for the day's batch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset
from numpy.typing import NDArray

from pipelines.errors import DataContractError
from pipelines.io.hashing import content_hash
from pipelines.io.lake import Lake
from pipelines.monitoring.watched import Watched
from pipelines.usecases.imputation.contracts import USECASE

#: What is watched for drift. Whether a sensor is silent more often is a check of its own.
WATCHED = Watched(USECASE, subject="part_id", subjects="parts", counts_missing=False)

PARTS = "features/imputation_parts"
SENSORS = "features/imputation_sensors"
CELLS = "features/imputation_cells"

#: Columns of the model's frame that are no sensors: the unit of the panel (or the line) and the moment.
UNIT, TIME = "unit", "produced_at"


@dataclass(frozen=True)
class Limited:
    """Cells of which only a limit is known.

    Attributes
    ----------
    row, column : ndarray of shape (n,)
        Position in the wide table.
    limit : ndarray of shape (n,)
    below : ndarray of shape (n,), bool
        Whether the value lies below the limit; else above.
    """

    row: NDArray[np.int64]
    column: NDArray[np.int64]
    limit: NDArray[np.float64]
    below: NDArray[np.bool_]


@dataclass(frozen=True)
class Wide:
    """Parts with their measurements, ordered by time and part.

    Attributes
    ----------
    parts
        ``part_id``, ``line``, ``unit_id``, ``produced_at``, ``in_batch``, in the order of ``values``.
    sensors
        Rows of ``features/imputation_sensors`` in the order of the columns of ``values``.
    values
        One column per sensor: floats, words for nominal ones; NaN or None where nothing was measured.
    limited
        Cells beyond a limit; they are missing in ``values``.
    versions
        Lake version read of each table.
    fingerprint
        Hash of all cells.
    """

    parts: pd.DataFrame
    sensors: pd.DataFrame
    values: pd.DataFrame
    limited: Limited
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

    @property
    def watched(self) -> pd.DataFrame:
        """Measurements with the part."""
        return self.values.assign(part_id=self.parts["part_id"].to_numpy())

    def take(self, rows: NDArray[np.intp]) -> Wide:
        """Some of the parts, in the given order."""
        place = np.full(len(self.parts), -1, dtype=np.int64)
        place[rows] = np.arange(len(rows))
        kept = place[self.limited.row] >= 0
        limited = Limited(
            place[self.limited.row[kept]],
            self.limited.column[kept],
            self.limited.limit[kept],
            self.limited.below[kept],
        )
        return Wide(
            self.parts.iloc[rows].reset_index(drop=True),
            self.sensors,
            self.values.iloc[rows].reset_index(drop=True),
            limited,
            self.versions,
            self.fingerprint,
        )


def read_wide(lake: Lake, as_of: date, *, batch: bool = False) -> Wide:
    """Put the cells of a day into a wide table.

    Parameters
    ----------
    batch
        Only the parts that are completed on the day.

    Raises
    ------
    DataContractError
        The day was not prepared, or has no part in the batch.
    """
    field, versions = pa_dataset.field, {}
    tables: dict[str, pa.Table] = {}
    for name, key in (
        (PARTS, ["produced_at", "part_id"]),
        (SENSORS, ["sensor_id"]),
        (CELLS, ["part_id", "sensor_id"]),
    ):
        versions[name] = lake.version(name) if lake.exists(name) else -1
        where = field("as_of") == as_of
        if name == PARTS and batch:
            where = where & field("in_batch")
        if versions[name] >= 0:
            rows = lake.read(name, where=where, version=versions[name])
            tables[name] = rows.sort_by([(column, "ascending") for column in key])
    if len(tables) < 3 or tables[PARTS].num_rows == 0:
        what = "parts in the batch" if batch else "parts"
        raise DataContractError(
            f"{PARTS} has no {what} for {as_of}: run `millrace score imputation --as-of {as_of}`, which prepares "
            "them, or look at the newest produced_at of raw/imputation_parts"
        )
    return _wide(tables[PARTS], tables[SENSORS], tables[CELLS], versions)


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
