"""Imputation, scoring: the day's parts in m completed data sets, every observed cell as it was measured."""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pa_parquet
from numpy.typing import NDArray

from features.sql import literal
from models.imputation.imputer import BootstrapEMImputer
from pipelines.io.audit import Audit
from pipelines.io.lake import Lake
from pipelines.io.quality import quality_audit
from pipelines.io.registry import CHAMPION, ModelVersion, Registry
from pipelines.settings import Settings
from pipelines.usecases.imputation.contracts import USECASE
from pipelines.usecases.imputation.dataset import TIME, UNIT, Wide, read_wide
from pipelines.usecases.imputation.fitting import hold_limits, limit_priors, usable_frame
from pipelines.usecases.imputation.params import ImputationParams
from pipelines.usecases.imputation.records import as_rows
from pipelines.usecases.imputation.schemas import COMPLETED, OUT_OF_SCOPE

log = logging.getLogger(__name__)


def run(
    as_of: date,
    *,
    settings: Settings | None = None,
    params: ImputationParams | None = None,
    alias: str = CHAMPION,
) -> dict[str, Any]:
    """Complete the parts of ``as_of`` by the model that carries ``alias``.

    All data sets of the day are one commit; a failed audit leaves the table as it was. The audit compares every
    observed cell of every data set with the features.

    Raises
    ------
    ModelGateError
        No version carries the alias.
    DataContractError
        The day has no features, or an audit failed.
    """
    settings, params = settings or Settings.load(), params or ImputationParams.load_default()
    lake, registry = Lake.of(settings), Registry(settings, USECASE)
    version = registry.serving(alias)
    model: BootstrapEMImputer = registry.load(version)
    wide = read_wide(lake, as_of, batch=True)
    m, seed = params.model.m, day_seed(params.seed, as_of)
    open_cells = _out_of_scope(model, wide)
    metadata = {"model_version": version.label, "seed": seed}
    day = {"as_of": as_of}
    rows = as_rows(OUT_OF_SCOPE, open_cells.assign(as_of=as_of, model_version=version.label))
    lake.replace_partition(OUT_OF_SCOPE, rows, day, metadata=metadata)
    batches = pa.RecordBatchReader.from_batches(
        COMPLETED.arrow_schema, _completed(model, wide, as_of, version, m=m, seed=seed)
    )
    with tempfile.TemporaryDirectory(prefix="millrace-impute-") as folder:
        audits = [
            _observed_audit(wide, m, int(open_cells["cells"].sum()), Path(folder)),
            quality_audit(COMPLETED, settings),
        ]
        commit = lake.replace_partition(COMPLETED, batches, day, audits=audits, metadata=metadata)
    missing = int(wide.values.isna().to_numpy().sum())
    return {
        "model_version": version.label,
        "parts": len(wide.parts),
        "m": m,
        "seed": seed,
        "missing": missing,
        "imputed": missing - int(open_cells["cells"].sum()),
        "not_imputed": int(open_cells["cells"].sum()),
        "limited": len(wide.limited.row),
        "rows": commit.rows,
        "lake_version": commit.version,
    }


def day_seed(seed: int, as_of: date) -> int:
    """Seed of a day's draws: another one each day, the same one whenever the day is repeated."""
    return int(hashlib.sha256(f"{seed} {as_of}".encode()).hexdigest()[:8], 16)


def _completed(
    model: BootstrapEMImputer, wide: Wide, as_of: date, version: ModelVersion, *, m: int, seed: int
) -> Iterator[pa.RecordBatch]:
    """Rows of one data set after the other, by part and sensor; one in memory at a time."""
    frame = usable_frame(model, wide)
    names = np.array(wide.values.columns, dtype=object)
    numeric = set(wide.numeric)
    gaps = wide.values.isna().to_numpy()
    part, sensor = (index.ravel() for index in np.indices(gaps.shape))
    part_ids, sensor_ids = pa.array(wide.parts["part_id"]), pa.array(names, pa.string())
    for draw, table in enumerate(
        model.iter_complete(frame, m, seed=seed, priors=limit_priors(wide) or None), start=1
    ):
        held = hold_limits(wide, table)
        numbers = np.full(gaps.shape, np.nan)
        words: NDArray[np.object_] = np.full(gaps.shape, None, dtype=object)
        for position, name in enumerate(names):
            column = held[name] if name in held.columns else wide.values[name]
            if name in numeric:
                numbers[:, position] = column.to_numpy(dtype=np.float64)
            else:
                words[:, position] = column.where(column.notna(), None).to_numpy(dtype=object)
        known = np.isfinite(numbers) | (words != None)  # noqa: E711 - elementwise
        kept = np.flatnonzero(known.ravel())
        count = len(kept)
        yield pa.record_batch(
            [
                pa.array(np.full(count, np.datetime64(as_of, "D"))),
                pa.array(np.full(count, draw, dtype=np.int64)),
                part_ids.take(pa.array(part[kept])),
                sensor_ids.take(pa.array(sensor[kept])),
                pa.array(numbers.ravel()[kept], pa.float64(), from_pandas=True),
                pa.array(words.ravel()[kept], pa.string()),
                pa.array(gaps.ravel()[kept]),
                pa.array(np.full(count, seed, dtype=np.int64)),
                pa.repeat(pa.scalar(version.label, pa.string()), count),
            ],
            schema=COMPLETED.arrow_schema,
        )


def _out_of_scope(model: BootstrapEMImputer, wide: Wide) -> pd.DataFrame:
    """Sensors whose missing cells stay missing, and why; only those that have any."""
    findings = {finding.column: finding for finding in model.report_.preflight.findings}
    rows = []
    for name in wide.values.columns:
        finding = findings.get(name)
        cells = int(wide.values[name].isna().sum())
        if cells == 0 or (finding is not None and finding.action in ("modelled", "filled")):
            continue
        known = finding is not None and name not in (UNIT, TIME)
        rows.append(
            {
                "sensor_id": name,
                "scope_reason": "left_out" if known else "new_sensor",
                "words": finding.words if finding is not None else "described since the model was trained",
                "cells": cells,
            }
        )
    return pd.DataFrame(rows, columns=["sensor_id", "scope_reason", "words", "cells"])


def _observed_audit(wide: Wide, m: int, open_cells: int, folder: Path) -> Audit:
    """Every observed cell is in every data set as it was measured, every other one is drawn or accounted for."""
    gaps = wide.values.isna().to_numpy()
    row, column = np.nonzero(~gaps)
    names, numeric = np.array(wide.values.columns, dtype=object), set(wide.numeric)
    values = np.full(len(row), np.nan)
    labels = np.full(len(row), None, dtype=object)
    for position, name in enumerate(names):
        own = column == position
        cells = wide.values[name].to_numpy()[row[own]]
        if name in numeric:
            values[own] = cells.astype(np.float64)
        else:
            labels[own] = cells
    measured = pa.table(
        {
            "part_id": pa.array(wide.parts["part_id"].to_numpy()[row]),
            "sensor_id": pa.array(names[column], pa.string()),
            "value": pa.array(values, pa.float64(), from_pandas=True),
            "label": pa.array(labels, pa.string()),
        }
    )
    path = folder / "measured.parquet"
    pa_parquet.write_table(measured, path)
    expected = m * (gaps.size - open_cells)

    def audit(staged: Any) -> list[str]:
        changed, invented, rows = staged.query(
            "staged",
            f"""
            select
                count(*) filter (where m.part_id is not null and (staged.imputed
                    or m.value is distinct from staged.value or m.label is distinct from staged.label)),
                count(*) filter (where m.part_id is null and not staged.imputed),
                count(*)
            from staged left join read_parquet({literal(str(path))}) m using (part_id, sensor_id)
            """,
        ).fetchall()[0]
        problems = []
        if changed:
            problems.append(f"{changed} observed cells differ from what was measured")
        if invented:
            problems.append(f"{invented} cells that were not measured are told as if they had been")
        if rows != expected:
            problems.append(
                f"{m} data sets of {gaps.size} cells, {open_cells} of which stay missing, must have {expected} rows, "
                f"got {rows}"
            )
        return problems

    return audit
