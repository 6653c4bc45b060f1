"""Adapter of any wide table of measurements to the raw layouts of imputation.

``wide`` (CSV or Parquet) has ``part_id``, ``produced_at``, ``line`` and, if it likes, ``unit_id``; every other
column is a sensor, called ``station.quantity`` or just ``quantity``. ``sensors`` may lie beside it with what
is known of them (``sensor_id, station, quantity, unit, kind, scale, low, high``). The rules:

- A column whose cells are all numbers (or limits such as ``<0.5``) is numeric, any other one nominal, unless
  ``sensors`` says otherwise.
- A part's measurements are taken and known when it was made.
- An empty cell is a measurement that was not taken.
"""

# SQL is put together from quoted names.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import duckdb

from features.schemas import Column, DType, Table
from features.sql import literal
from pipelines.errors import DataContractError
from pipelines.sources.adapter import Adapted
from pipelines.sources.delivery import DeliveredFile
from pipelines.sources.layout import History, RawLayout
from pipelines.sources.staging import Staging
from pipelines.usecases.imputation.layouts import PART_ID, SENSORS
from pipelines.usecases.imputation.measured import Sensor, cells_query, numeric_columns, write_measured

_KNOWN = ("part_id", "produced_at", "line", "unit_id")

WIDE = RawLayout(
    Table(
        "wide",
        "Wide table of measurements: the columns that every one has. One row per part.",
        (
            PART_ID,
            Column("produced_at", DType.TIMESTAMP, "When the part was made (UTC).", unit="UTC"),
            Column("line", DType.STRING, "Line."),
            Column("unit_id", DType.STRING, "Unit of a panel; null if none.", nullable=True),
        ),
        key=("part_id",),
    ),
    history=History.IMMUTABLE,
    optional=("unit_id",),
)
DESCRIPTIONS = RawLayout(
    Table(
        "sensors",
        "What is known of the sensors. One row per sensor.",
        # A description may leave the scale to the values themselves.
        tuple(
            replace(column, nullable=column.nullable or column.name == "scale")
            for column in SENSORS.table.columns
            if column.name != "known_at"
        ),
        key=("sensor_id",),
    ),
    history=History.IMMUTABLE,
    rules=SENSORS.rules,
    optional=("unit", "scale", "low", "high"),
)

#: In reading order.
LAYOUTS = (DESCRIPTIONS, WIDE)


def adapt(staging: Staging, files: Sequence[DeliveredFile], into: Path) -> Adapted:
    """Write a wide table as files in the raw layouts of imputation.

    Parameters
    ----------
    staging
        Scratch space of the ingest; rows that break a rule go to its quarantine.
    files
        The one or two files, checked.
    into
        Folder for the adapted Parquet files. The same input gives the same bytes.

    Raises
    ------
    DataContractError
        The table is absent, has no sensor, or a cell is not what its sensor measures.
    """
    by_name = {file.layout.table.name: file for file in files}
    if "wide" not in by_name:
        raise DataContractError(
            "the wide layout is a table `wide`, and `sensors` if there is one; missing wide"
        )
    con, outcomes, described = staging.con, [], {}
    for file in files:
        staging.examine(file)
        outcomes.append(staging.settle(file))
        good = "select * exclude (is_bad, row_number) from checked where not is_bad"
        if file.layout is DESCRIPTIONS:
            described = {row[0]: _described(row) for row in con.execute(good).fetchall()}
        else:
            con.execute(f"create temp table wide as {good}")
    file = by_name["wide"]
    columns = [name for name in file.header if name not in _KNOWN]
    if not columns:
        raise DataContractError(f"{file.name}: must have a column per sensor beside {list(_KNOWN)}, got none")
    con.execute(f"create temp view all_columns as select * from {_reader(file)}")
    sensors = _sensors(con, columns, described)
    con.execute(
        "create temp table parts as select part_id, line, unit_id, produced_at, produced_at as known_at from wide"
    )
    # Rows that were quarantined are not unpivoted.
    kept = "(select * from all_columns where part_id in (select part_id from wide))"
    write_measured(con, into, parts="parts", cells=cells_query(kept, sensors), sensors=list(sensors.values()))
    numeric = sum(sensor.kind != "nominal" for sensor in sensors.values())
    return Adapted(
        tuple(outcomes), (f"{len(sensors)} sensors: {numeric} of numbers, {len(sensors) - numeric} of words",)
    )


def _reader(file: DeliveredFile) -> str:
    path = literal(str(file.path))
    return f"read_csv({path}, header = true, all_varchar = true)" if file.is_csv else f"read_parquet({path})"


def _described(row: tuple[object, ...]) -> Sensor:
    values = dict(zip((column.name for column in DESCRIPTIONS.table.columns), row, strict=True))
    return Sensor(**{**values, "scale": values["scale"] or "identity"})  # type: ignore[arg-type]


def _sensors(
    con: duckdb.DuckDBPyConnection, columns: Sequence[str], described: dict[str, Sensor]
) -> dict[str, Sensor]:
    unused = sorted(set(described) - set(columns))
    if unused:
        raise DataContractError(f"sensors must describe columns of wide, got {unused[:5]} that it lacks")
    numeric = numeric_columns(con, "all_columns", columns)
    sensors = {}
    for name in columns:
        station, _, quantity = name.rpartition(".")
        found = Sensor(name, station or "all", quantity, kind="numeric" if name in numeric else "nominal")
        sensors[name] = described.get(name, found)
    return sensors
