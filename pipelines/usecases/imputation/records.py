"""The tables of a training run: what the gate and the report read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa

from features.schemas import Table
from models.imputation.imputer import BootstrapEMImputer
from pipelines.io.lake import Lake
from pipelines.io.registry import ModelVersion
from pipelines.usecases.imputation.dataset import TIME, UNIT, Wide
from pipelines.usecases.imputation.diagnostics import Diagnostics
from pipelines.usecases.imputation.schemas import CHAINS, COLUMNS, DISPERSION, SENSITIVITY, VALIDATION


def store(
    lake: Lake,
    as_of: date,
    version: ModelVersion,
    model: BootstrapEMImputer,
    newer: Wide,
    judged: Mapping[str, pd.DataFrame],
    answers: Diagnostics,
) -> None:
    """Replace the partitions of a training day."""
    frames = {
        VALIDATION: _validation(newer, judged),
        CHAINS: _chains(model),
        COLUMNS: _columns(model, answers).assign(model_version=version.label),
        DISPERSION: answers.dispersion.paths,
        SENSITIVITY: _sensitivity(answers),
    }
    for table, frame in frames.items():
        lake.replace_partition(
            table,
            as_rows(table, frame.assign(as_of=as_of)),
            {"as_of": as_of},
            metadata={"model_version": version.label},
        )


def as_rows(table: Table, frame: pd.DataFrame) -> pa.Table:
    """Rows in the declared types and order; what is not finite is null where the declaration allows it."""
    columns = {}
    for field in table.arrow_schema:
        values = frame[field.name]
        if pa.types.is_floating(field.type):
            numbers = values.to_numpy(dtype=np.float64)
            columns[field.name] = pa.array(
                np.where(np.isfinite(numbers), numbers, np.nan), field.type, from_pandas=True
            )
        else:
            columns[field.name] = pa.array(values, field.type, from_pandas=True)
    order = [(name, "ascending") for name in table.key]
    return pa.table(columns, schema=table.arrow_schema).sort_by(order)


def _validation(newer: Wide, judged: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    station = newer.sensors.set_index("sensor_id")["station"]
    parts = []
    for candidate, cells in judged.items():
        row = cells["row"].to_numpy()
        parts.append(
            cells.assign(
                candidate=candidate,
                part_id=newer.parts["part_id"].to_numpy()[row],
                line=newer.parts["line"].to_numpy()[row],
                station=station.loc[cells["column"]].to_numpy(),
                sensor_id=cells["column"],
                predicted=cells["mean"],
            )
        )
    return pd.concat(parts, ignore_index=True)


def _chains(model: BootstrapEMImputer) -> pd.DataFrame:
    return model.report_.table()


def _columns(model: BootstrapEMImputer, answers: Diagnostics) -> pd.DataFrame:
    found = model.report_.preflight.table()
    found = found[~found["column"].isin([UNIT, TIME])]
    information = answers.information.reindex(found["column"])
    return found.assign(
        sensor_id=found["column"].astype(str),
        missing_information=information["fmi"].to_numpy(),
        m_needed=information["m"].to_numpy(),
    )


def _sensitivity(answers: Diagnostics) -> pd.DataFrame:
    parts = [
        found.table.assign(
            sensor_id=sensor,
            line=line,
            tipping_low=np.nan if found.tipping_low is None else found.tipping_low,
            tipping_high=np.nan if found.tipping_high is None else found.tipping_high,
            words=found.words,
        )
        for sensor, line, found in answers.sensitivities
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=SENSITIVITY.column_names)
