"""Adapter of any long table of measurements to the raw layouts of imputation.

``measurements`` (CSV or Parquet) has a row per part and sensor: ``part_id, time, line, station, sensor,
value`` and, if they like, ``unit`` (of the values) and ``unit_id`` (of a panel). The rules:

- A sensor is a station and a name; its values are numbers (or limits such as ``<0.5``) if all of them are,
  else words.
- A part is made at the earliest time of its rows; a measurement is known when it is taken.
- A row without a value is a measurement that was not taken.
"""

# SQL is put together from constants.

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from features.schemas import Column, DType, Table
from pipelines.errors import DataContractError
from pipelines.sources.adapter import Adapted
from pipelines.sources.delivery import DeliveredFile
from pipelines.sources.layout import History, RawLayout
from pipelines.sources.staging import Staging
from pipelines.usecases.imputation.layouts import PART_ID
from pipelines.usecases.imputation.measured import NUMBER, Sensor, write_measured

LONG = RawLayout(
    Table(
        "measurements",
        "Measurements in the long layout. One row per part, station and sensor.",
        (
            PART_ID,
            Column("time", DType.TIMESTAMP, "When it was measured (UTC).", unit="UTC"),
            Column("line", DType.STRING, "Line."),
            Column("station", DType.STRING, "Station."),
            Column("sensor", DType.STRING, "What the station measures."),
            Column("value", DType.STRING, "Number, word or limit; null if not taken.", nullable=True),
            Column("unit", DType.STRING, "Unit of the values; null if none.", nullable=True),
            Column("unit_id", DType.STRING, "Unit of a panel; null if none.", nullable=True),
        ),
        key=("part_id", "station", "sensor"),
    ),
    history=History.IMMUTABLE,
    optional=("unit", "unit_id"),
)

LAYOUTS = (LONG,)

_SENSOR_ID = "station || '.' || sensor"


def adapt(staging: Staging, files: Sequence[DeliveredFile], into: Path) -> Adapted:
    """Write long measurements as files in the raw layouts of imputation.

    Parameters
    ----------
    staging
        Scratch space of the ingest; rows that break a rule go to its quarantine.
    files
        Files of the one table, checked.
    into
        Folder for the adapted Parquet files. The same input gives the same bytes.

    Raises
    ------
    DataContractError
        A part is on two lines, a sensor has two units, or a row repeats.
    """
    con, outcomes = staging.con, []
    for number, file in enumerate(files):
        staging.examine(file)
        outcomes.append(staging.settle(file))
        rows = "select * exclude (is_bad, row_number) from checked where not is_bad"
        con.execute(f"insert into long {rows}" if number else f"create temp table long as {rows}")
    _check(con)
    con.execute(
        "create temp table parts as select part_id, any_value(line) as line, any_value(unit_id) as unit_id,"
        " min(time) as produced_at, max(time) as known_at from long group by part_id"
    )
    cells = (
        f"select part_id, {_SENSOR_ID} as sensor_id, trim(value) as cell from long where trim(value) <> ''"
    )
    con.execute(f"create temp view long_cells as {cells}")
    sensors = [
        Sensor(name, station, quantity, unit, "numeric" if numeric else "nominal")
        for name, station, quantity, unit, numeric in con.execute(
            f"select {_SENSOR_ID}, station, sensor, any_value(unit), count(nullif(trim(value), '')) ="
            f" count({NUMBER.replace('cell', 'trim(value)')}) from long group by all order by 1"
        ).fetchall()
    ]
    write_measured(con, into, parts="parts", cells=cells, sensors=sensors)
    return Adapted(tuple(outcomes), ())


def _check(con: duckdb.DuckDBPyConnection) -> None:
    """Refuse rows that contradict each other."""
    for thing, what, words in (
        ("part_id", "line", "a part must be on one line"),
        ("part_id", "coalesce(unit_id, '')", "a part must belong to one unit"),
        (_SENSOR_ID, "coalesce(unit, '')", "a sensor must have one unit"),
        (f"part_id || ' ' || {_SENSOR_ID}", "rowid", "a sensor must measure a part once"),
    ):
        found = con.execute(
            f"select {thing}, list(distinct ({what})::varchar order by ({what})::varchar), count(*) over () from long"
            f" group by {thing} having count(distinct {what}) > 1 order by 1 limit 1"
        ).fetchall()
        if found:
            offending, several, count = found[0]
            raise DataContractError(
                f"measurements: {words}, got {offending} with {several[:3]} (offending: {count})"
            )
