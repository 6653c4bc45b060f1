"""Completed data sets of a day's parts: drawn, audited cell by cell, read back, and one part explained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset
import pyarrow.parquet as pa_parquet
from numpy.typing import NDArray

from features.sql import literal
from models.imputation.imputer import BootstrapEMImputer
from pipelines.errors import ConfigError, DataContractError
from pipelines.io.audit import Audit
from pipelines.io.lake import Lake, on_day
from pipelines.io.registry import ModelVersion
from pipelines.usecase import Output, Record, Run
from pipelines.usecases.imputation.dataset import (
    CELLS,
    SENSORS,
    TIME,
    UNIT,
    Wide,
    complete,
    day_seed,
    read_wide,
)
from pipelines.usecases.imputation.params import ImputationParams
from pipelines.usecases.imputation.schemas import COMPLETED, OUT_OF_SCOPE

#: Why a cell had to be drawn, by what its row says.
_REASONS = {
    "below_limit": "lies below the limit of the instrument",
    "above_limit": "lies above the limit of the instrument",
    "failed": "the sensor reported a failure",
}
_NOT_MEASURED = "not measured"


def predict(run: Run[ImputationParams], model: BootstrapEMImputer, version: ModelVersion) -> Iterator[Output]:
    """Complete the parts of the day m times, every observed cell as it was measured.

    All data sets of the day are one commit. Its audit compares every observed cell of every data set with the
    features.
    """
    wide = read_wide(run.lake, run.as_of, batch=True)
    m, seed = run.params.model.m, day_seed(run.params.seed, run.as_of)
    open_cells = _out_of_scope(model, wide)
    yield Output(OUT_OF_SCOPE, open_cells, metadata={"seed": seed})
    missing, stay = int(wide.values.isna().to_numpy().sum()), int(open_cells["cells"].sum())
    batches = _completed(model, wide, run.as_of, version.label, m=m, seed=seed)
    with TemporaryDirectory(prefix="millrace-impute-") as folder:
        yield Output(
            COMPLETED,
            pa.RecordBatchReader.from_batches(COMPLETED.arrow_schema, batches),
            audits=[_observed_audit(wide, m, stay, Path(folder))],
            metadata={"seed": seed},
            record={
                "parts": len(wide.parts),
                "m": m,
                "seed": seed,
                "missing": missing,
                "imputed": missing - stay,
                "not_imputed": stay,
                "limited": len(wide.limited.row),
            },
        )


def _completed(
    model: BootstrapEMImputer, wide: Wide, as_of: date, version: str, *, m: int, seed: int
) -> Iterator[pa.RecordBatch]:
    """Rows of one data set after the other, by part and sensor; one in memory at a time."""
    gaps = wide.values.isna().to_numpy()
    part, sensor = (index.ravel() for index in np.indices(gaps.shape))
    part_ids, sensor_ids = pa.array(wide.parts["part_id"]), pa.array(wide.values.columns, pa.string())
    for draw, table in enumerate(complete(model, wide, m, seed=seed), start=1):
        numbers, words = _numbers_and_words(wide, table)
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
                pa.repeat(pa.scalar(version, pa.string()), count),
            ],
            schema=COMPLETED.arrow_schema,
        )


def _numbers_and_words(wide: Wide, table: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.object_]]:
    """Cells by part and sensor: numbers (else NaN) and words (else None); sensors without a column as measured."""
    numbers = np.full(wide.values.shape, np.nan)
    words: NDArray[np.object_] = np.full(wide.values.shape, None, dtype=object)
    numeric = set(wide.numeric)
    for position, name in enumerate(wide.values.columns):
        column: Any = table[name] if name in table.columns else wide.values[name]
        if name in numeric:
            numbers[:, position] = column.to_numpy(dtype=np.float64)
        else:
            words[:, position] = column.where(column.notna(), None).to_numpy(dtype=object)
    return numbers, words


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
    numbers, words = _numbers_and_words(wide, wide.values)
    measured = pa.table(
        {
            "part_id": pa.array(wide.parts["part_id"].to_numpy()[row]),
            "sensor_id": pa.array(wide.values.columns.to_numpy()[column], pa.string()),
            "value": pa.array(numbers[row, column], pa.float64(), from_pandas=True),
            "label": pa.array(words[row, column], pa.string()),
        }
    )
    path = folder / "measured.parquet"
    pa_parquet.write_table(measured, path)
    expected = m * (gaps.size - open_cells)

    def audit(staged: duckdb.DuckDBPyRelation) -> list[str]:
        compared = staged.query(
            "staged",
            f"""
            select
                count(*) filter (where m.part_id is not null and (staged.imputed
                    or m.value is distinct from staged.value or m.label is distinct from staged.label)),
                count(*) filter (where m.part_id is null and not staged.imputed),
                count(*)
            from staged left join read_parquet({literal(str(path))}) m using (part_id, sensor_id)
            """,
        )
        assert compared is not None, "a select returns rows"  # noqa: S101 - the stubs allow other statements
        changed, invented, rows = compared.fetchall()[0]
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


# ------------------------------------------------------------------------------------- reading back


def read_completed(lake: Lake, as_of: date, m: int | None = None) -> list[pd.DataFrame]:
    """Return the completed data sets of a day; see :func:`iter_completed`."""
    return list(iter_completed(lake, as_of, m))


def iter_completed(lake: Lake, as_of: date, m: int | None = None) -> Iterator[pd.DataFrame]:
    """Yield the completed data sets of a day, m or all, one after the other: a row per part, a column per sensor.

    Run the same analysis on each and pool the answers with :func:`models.imputation.pooling.pool`; the mean
    of the tables would lose what is not known. Raises ``DataContractError`` if the day has no completed data
    sets, or fewer than m.
    """
    rows = lake.read(COMPLETED, columns=["draw"], where=on_day(as_of), missing_ok=True)
    draws = sorted(pc.unique(rows["draw"]).to_pylist())
    if not draws or (m is not None and m > len(draws)):
        wanted = "any" if m is None else str(m)
        raise DataContractError(
            f"{COMPLETED.name} must hold {wanted} completed data sets of {as_of}, got {len(draws)}: run `millrace score "
            f"imputation --as-of {as_of}`; their number is model.m in params.yaml"
        )
    version = lake.version(COMPLETED.name)
    for draw in draws[:m]:
        where = on_day(as_of) & (pa_dataset.field("draw") == draw)
        columns = ["part_id", "sensor_id", "value", "label"]
        yield _pivoted(lake.read(COMPLETED, columns=columns, where=where, version=version).to_pandas())


def completed_numbers(run: Run[ImputationParams], wide: Wide) -> list[pd.DataFrame]:
    """Return the completed data sets of a day, in the order of its features; sensors of numbers only."""
    index, columns = wide.parts["part_id"], wide.numeric
    return [table.reindex(index=index, columns=columns) for table in iter_completed(run.lake, run.as_of)]


def _pivoted(rows: pd.DataFrame) -> pd.DataFrame:
    """Wide table, ordered by part and sensor."""
    parts, row = np.unique(rows["part_id"].to_numpy(dtype=str), return_inverse=True)
    sensors, column = np.unique(rows["sensor_id"].to_numpy(dtype=str), return_inverse=True)
    numbers = np.full((len(parts), len(sensors)), np.nan)
    numbers[row, column] = rows["value"].to_numpy(dtype=np.float64)
    words = np.full(numbers.shape, None, dtype=object)
    words[row, column] = rows["label"].to_numpy(dtype=object)
    nominal = (words != None).any(axis=0)  # noqa: E711 - elementwise
    table = {
        name: words[:, position] if nominal[position] else numbers[:, position]
        for position, name in enumerate(sensors.tolist())
    }
    return pd.DataFrame(table, index=pd.Index(parts, name="part_id"))


def explain(run: Run[ImputationParams], keys: Sequence[str]) -> Record:
    """Tell what was drawn for a part of the day.

    Returns ``part``, ``as_of``, ``model_version``, ``seed``, ``data_sets``, the number of ``measured`` cells,
    and for each drawn cell its sensor, unit, reason and the drawn values with their mean (numbers) or shares
    (words). Raises ``ConfigError`` if the part was not completed on that day.
    """
    (part,), lake, day = keys, run.lake, on_day(run.as_of)
    where = day & (pa_dataset.field("part_id") == part)
    rows = lake.read(COMPLETED, where=where, missing_ok=True).sort_by(
        [("sensor_id", "ascending"), ("draw", "ascending")]
    )
    if not rows.num_rows:
        raise ConfigError(
            f"part must have been completed on {run.as_of}, got {part!r}: look for it in {COMPLETED.name}, or run "
            f"`{run.command('score')}`"
        )
    sensors = {row["sensor_id"]: row for row in lake.read(SENSORS, where=day).to_pylist()}
    cells = {row["sensor_id"]: row for row in lake.read(CELLS, where=where).to_pylist()}
    table = rows.to_pylist()
    drawn: dict[str, list[dict[str, Any]]] = {}
    for row in table:
        if row["imputed"]:
            drawn.setdefault(row["sensor_id"], []).append(row)
    return {
        "part": part,
        "as_of": run.as_of.isoformat(),
        "model_version": table[0]["model_version"],
        "seed": table[0]["seed"],
        "data_sets": max(row["draw"] for row in table),
        "measured": sum(not row["imputed"] for row in table if row["draw"] == 1),
        "drawn": [_cell(name, own, cells.get(name), sensors.get(name, {})) for name, own in drawn.items()],
    }


def explanation(record: Record) -> str:
    """Word what was drawn for a part."""
    drawn = record["drawn"]
    lines = [
        f"Part {record['part']} on {record['as_of']}: {record['measured']} cells measured, {len(drawn)} drawn in each of "
        f"{record['data_sets']} data sets ({record['model_version']})"
    ]
    for cell in drawn:
        if "shares" in cell:
            what = ", ".join(f"{word} in {share:.0%}" for word, share in cell["shares"].items())
        else:
            values = ", ".join(f"{value:.5g}" for value in cell["drawn"])
            what = f"{cell['mean']:.5g}{' ' + cell['unit'] if cell['unit'] else ''} in the mean of {values}"
        lines.append(f"  {cell['sensor']}, {cell['why']}: {what}")
    return "\n".join(lines)


def _cell(
    name: str, rows: list[dict[str, Any]], known: dict[str, Any] | None, sensor: dict[str, Any]
) -> dict[str, Any]:
    reason = _NOT_MEASURED if known is None else _REASONS.get(known["status"], _NOT_MEASURED)
    if known is not None and known["value"] is not None:
        reason += f" ({known['value']:g})"
    told: dict[str, Any] = {"sensor": name, "unit": sensor.get("unit"), "why": reason}
    if rows[0]["label"] is not None:
        counts = Counter(row["label"] for row in rows)
        return told | {"shares": {word: round(counts[word] / len(rows), 2) for word in sorted(counts)}}
    values = [row["value"] for row in rows]
    return told | {"mean": round(float(np.mean(values)), 6), "drawn": [round(value, 6) for value in values]}
