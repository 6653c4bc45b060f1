"""The wide table: cells of the lake put in their places, and what an imputer is told of them.

Training and the day's batch go through the same functions.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset
from numpy.typing import NDArray

from models.imputation.imputer import BootstrapEMImputer
from models.imputation.panel import Panel
from models.imputation.priors import CellPrior
from models.imputation.served import ServedImputer
from models.imputation.transforms import NumericColumn, Transform
from pipelines.errors import DataContractError
from pipelines.io.hashing import content_hash
from pipelines.io.lake import Lake, on_day
from pipelines.monitoring.subjects import Subjects
from pipelines.usecases.imputation.params import ImputationParams, ModelParams

#: What is watched for drift. Whether a sensor is silent more often is a check of its own.
SUBJECTS = Subjects("part_id", "parts", counts_missing=False)

PARTS = "features/imputation_parts"
SENSORS = "features/imputation_sensors"
CELLS = "features/imputation_cells"

#: Threads of the chains; the result does not depend on them.
_THREADS = 2
#: A value beyond a limit lies within so many standard deviations of the sensor beyond it, nearly always.
_BEYOND_SD = 1.5
#: Share of values at a bound from which on they are a heap and not the tail.
_PILE_UP = 0.01

#: Columns of the model's frame that are no sensors: the unit of the panel (or the line) and the moment.
UNIT, TIME = "unit", "produced_at"


@dataclass(frozen=True)
class Limited:
    """Cells that lie beyond a limit, which is all that is known of them.

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


def day_seed(seed: int, as_of: date) -> int:
    """Seed of a day's draws: another one each day, the same one whenever the day is repeated."""
    return int(hashlib.sha256(f"{seed} {as_of}".encode()).hexdigest()[:8], 16)


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
    versions: dict[str, int] = {}
    tables: dict[str, pa.Table] = {}
    for name, key in (
        (PARTS, ["produced_at", "part_id"]),
        (SENSORS, ["sensor_id"]),
        (CELLS, ["part_id", "sensor_id"]),
    ):
        versions[name] = lake.version(name) if lake.exists(name) else -1
        where = on_day(as_of)
        if name == PARTS and batch:
            where = where & pa_dataset.field("in_batch")
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


# ------------------------------------------------------------------- what an imputer is told


def make_imputer(wide: Wide, params: ImputationParams) -> tuple[ServedImputer, list[str]]:
    """Imputer for a wide table, not fitted, and the columns that it takes of the frame."""
    model = params.model
    units = wide.frame[UNIT].nunique()
    panel = _panel(model, units)
    columns = [*wide.values.columns]
    if panel is not None:
        columns += [name for name in (panel.unit, panel.time) if name is not None]
    sensors = wide.sensors
    transforms: dict[str | int, Transform] = {
        name: scale if kind == "numeric" else kind
        for name, kind, scale in zip(sensors["sensor_id"], sensors["kind"], sensors["scale"], strict=True)
    }
    bounds = _bounds(wide)
    imputer = ServedImputer(
        m=model.m,
        ridge=model.ridge,
        transforms=transforms,
        bounds=bounds or None,
        panel=panel,
        max_categories=model.max_categories,
        min_observed=model.min_observed,
        max_iter=model.max_iter,
        max_seconds=model.max_seconds,
        n_jobs=_THREADS,
        random_state=params.seed,
    )
    return imputer, columns


def limit_priors(wide: Wide) -> list[CellPrior]:
    """What is known of cells beyond a limit: a range on the sensor's scale, next to the limit.

    A soft range, as the model has normal priors: :func:`hold_limits` sees that no draw crosses the limit.
    """
    limited, names = wide.limited, list(wide.values.columns)
    priors: list[CellPrior] = []
    for position in np.unique(limited.column).tolist():
        name = names[position]
        described = wide.sensors.iloc[position]
        known = wide.values[name].dropna()
        if described["kind"] != "numeric" or len(known) < 2:
            continue
        scale = NumericColumn(name, described["scale"]).fit(known)
        spread = float(scale.to_model(known.to_numpy(dtype=np.float64)).std())
        if not spread > 0:
            continue
        own = limited.column == position
        limits = scale.to_model(limited.limit[own])
        for row, limit, below in zip(
            limited.row[own].tolist(), limits.tolist(), limited.below[own].tolist(), strict=True
        ):
            far = limit - _BEYOND_SD * spread if below else limit + _BEYOND_SD * spread
            priors.append(CellPrior.from_range(row, name, min(far, limit), max(far, limit)))
    return priors


def hold_limits(wide: Wide, completed: pd.DataFrame) -> pd.DataFrame:
    """Put draws that crossed a limit of their cell, or what their sensor can measure, onto it."""
    limited, names = wide.limited, list(wide.values.columns)
    cells = {position: limited.column == position for position in np.unique(limited.column).tolist()}
    columns: dict[str, NDArray[np.float64]] = {}
    for position, (name, kind, low, high) in enumerate(
        zip(names, *(wide.sensors[column] for column in ("kind", "low", "high")), strict=True)
    ):
        if kind == "nominal" or name not in completed.columns:
            continue
        gaps = wide.values[name].isna().to_numpy()
        if not gaps.any() or (np.isnan(low) and np.isnan(high) and position not in cells):
            continue
        values = completed[name].to_numpy(dtype=np.float64, copy=True)
        # What was measured stays as it was, even where it contradicts the sensor's description.
        least, most = (-np.inf if np.isnan(low) else low), (np.inf if np.isnan(high) else high)
        values[gaps] = np.clip(values[gaps], least, most)
        if position in cells:
            own = cells[position]
            row, limit = limited.row[own], limited.limit[own]
            values[row] = np.where(
                limited.below[own], np.minimum(values[row], limit), np.maximum(values[row], limit)
            )
        columns[name] = values
    return completed.assign(**columns)


def usable_frame(model: BootstrapEMImputer, wide: Wide) -> pd.DataFrame:
    """Frame with the columns of a fitted model.

    A sensor that the model learned and the day does not describe any more is there, empty; one that it never saw
    is not.
    """
    columns = [str(name) for name in model.feature_names_in_]
    frame = wide.frame
    gone = {name: np.nan for name in columns if name not in frame.columns}
    return frame.assign(**gone)[columns]


def _panel(model: ModelParams, units: int) -> Panel | None:
    intercepts = model.unit_intercepts and 1 < units <= model.max_units
    timed = bool(model.time_degree or model.lags or model.leads)
    if not intercepts and not timed:
        return None
    return Panel(
        time=TIME if timed else None,
        unit=UNIT if intercepts or model.lags or model.leads else None,
        degree=model.time_degree,
        intercepts=intercepts,
        lags=model.lags,
        leads=model.leads,
    )


def _bounds(wide: Wide) -> dict[str | int, tuple[float | None, float | None]]:
    """Bounds within which the model draws.

    Where values pile up at a bound (a varnish that is not used, a saturated sensor), drawing strictly within it
    would never give the most frequent value: such a bound is left to :func:`hold_limits`, which puts what is drawn
    beyond it onto it. The ends of the scales `log` and `logistic` are bounds already.
    """
    sensors, found = wide.sensors, {}
    for name, kind, scale, low, high in zip(
        *(sensors[column] for column in ("sensor_id", "kind", "scale", "low", "high")), strict=True
    ):
        if kind != "numeric":
            continue
        values = wide.values[name].to_numpy(dtype=np.float64)
        known = values[~np.isnan(values)]
        ends = (0.0, np.inf) if scale == "log" else (0.0, 1.0) if scale == "logistic" else (-np.inf, np.inf)
        least = _bound(low, ends[0], known <= low)
        most = _bound(high, ends[1], known >= high)
        if least is not None or most is not None:
            found[name] = (least, most)
    return found


def _bound(value: float, end: float, at_it: NDArray[np.bool_]) -> float | None:
    if np.isnan(value) or value == end or (len(at_it) and at_it.mean() > _PILE_UP):
        return None
    return float(value)
