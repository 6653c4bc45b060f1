"""Explain one part: which cells were not measured, why as far as it is known, and what was drawn for them."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pyarrow.dataset as pa_dataset

from pipelines.errors import ConfigError
from pipelines.io.lake import Lake
from pipelines.settings import Settings
from pipelines.usecases.imputation.dataset import CELLS, SENSORS
from pipelines.usecases.imputation.schemas import COMPLETED

_REASONS = {
    "below_limit": "lies below the limit of the instrument",
    "above_limit": "lies above the limit of the instrument",
    "failed": "the sensor reported a failure",
}
_NOT_MEASURED = "not measured"


def run(as_of: date, part: str, *, settings: Settings | None = None) -> dict[str, Any]:
    """Tell what was drawn for a part of a day.

    Returns
    -------
    dict
        ``part``, ``as_of``, ``model_version``, ``data_sets``, the number of ``measured`` cells, and for each drawn cell its
        sensor, unit, reason and the drawn values with their mean (numbers) or shares (words).

    Raises
    ------
    ConfigError
        The part was not completed on that day.
    """
    lake = Lake.of(settings or Settings.load())
    field = pa_dataset.field
    where = (field("as_of") == as_of) & (field("part_id") == part)
    rows = lake.read(COMPLETED, where=where, missing_ok=True).sort_by(
        [("sensor_id", "ascending"), ("draw", "ascending")]
    )
    if not rows.num_rows:
        raise ConfigError(
            f"part must have been completed on {as_of}, got {part!r}: look for it in {COMPLETED.name}, or run "
            f"`millrace score imputation --as-of {as_of}`"
        )
    sensors = {row["sensor_id"]: row for row in lake.read(SENSORS, where=field("as_of") == as_of).to_pylist()}
    cells = {row["sensor_id"]: row for row in lake.read(CELLS, where=where).to_pylist()}
    table = rows.to_pylist()
    drawn: dict[str, list[dict[str, Any]]] = {}
    for row in table:
        if row["imputed"]:
            drawn.setdefault(row["sensor_id"], []).append(row)
    return {
        "part": part,
        "as_of": as_of.isoformat(),
        "model_version": table[0]["model_version"],
        "seed": table[0]["seed"],
        "data_sets": max(row["draw"] for row in table),
        "measured": sum(not row["imputed"] for row in table if row["draw"] == 1),
        "drawn": [_cell(name, own, cells.get(name), sensors.get(name, {})) for name, own in drawn.items()],
    }


def _cell(
    name: str, rows: list[dict[str, Any]], known: dict[str, Any] | None, sensor: dict[str, Any]
) -> dict[str, Any]:
    reason = _NOT_MEASURED if known is None else _REASONS.get(known["status"], _NOT_MEASURED)
    if known is not None and known["value"] is not None:
        reason += f" ({known['value']:g})"
    told: dict[str, Any] = {"sensor": name, "unit": sensor.get("unit"), "why": reason}
    if rows[0]["label"] is not None:
        words, counts = np.unique([row["label"] for row in rows], return_counts=True)
        return {
            **told,
            "shares": {str(w): round(float(c) / len(rows), 2) for w, c in zip(words, counts, strict=True)},
        }
    values = np.array([row["value"] for row in rows], dtype=np.float64)
    return {**told, "mean": round(float(values.mean()), 6), "drawn": [round(float(v), 6) for v in values]}
