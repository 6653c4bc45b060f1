"""From tables of measurements, wide or long, to the raw layouts of imputation.

A cell is a number, a word, or ``<0.5`` and ``>80``: beyond the range of the instrument. An empty cell is
a measurement that was not taken and becomes no row. A part's measurements are known when they are taken.

``wide`` (CSV or Parquet) has ``part_id``, ``produced_at``, ``line`` and, if it likes, ``unit_id``; every other
column is a sensor, called ``station.quantity`` or just ``quantity``, measured when its part was made. A column
whose cells are all numbers or limits is numeric, any other one nominal, unless ``sensors`` says otherwise, which
may lie beside it with what is known of them (``sensor_id, station, quantity, unit, kind, scale, low, high``).

``measurements``, the long table, has a row per part and sensor: ``part_id, time, line, station, sensor, value``
and, if it likes, ``unit`` (of the values) and ``unit_id`` (of a panel). A sensor is a station and a name, and
numeric if all its values are numbers or limits. A part is made at the earliest time of its rows.
"""

# SQL is put together from quoted names and constants.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from features.schemas import Table, text, timestamp
from features.sql import literal, quoted
from pipelines.errors import DataContractError
from pipelines.sources.adapter import Adapted, Adapter, refuse_several, write_raw
from pipelines.sources.delivery import DeliveredFile
from pipelines.sources.layout import History, RawLayout
from pipelines.sources.staging import Staging
from pipelines.usecases.imputation.layouts import MEASUREMENTS, PART_ID, PARTS, SENSORS

#: A number, or a limit that it lies beyond.
NUMBER = "try_cast(ltrim(cell, '<> ') as double)"

_DESCRIBED = pa.schema(
    [(column.name, column.dtype.arrow) for column in SENSORS.table.columns if column.name != "known_at"]
)


@dataclass(frozen=True)
class Sensor:
    """A column of a wide table, as the raw table ``sensors`` describes it; see there."""

    sensor_id: str
    station: str
    quantity: str
    unit: str | None = None
    kind: str = "numeric"
    scale: str = "identity"
    low: float | None = None
    high: float | None = None


def _all_numbers(column: str) -> str:
    """SQL for whether every cell of a column of text that is not empty is a number or beyond a limit."""
    cell = f"trim({column}::varchar)"
    return f"count(nullif({cell}, '')) = count({NUMBER.replace('cell', cell)})"


def cells_query(relation: str, sensors: Mapping[str, Sensor]) -> str:
    """Query for the cells of a relation with ``part_id`` and a column per sensor.

    It gives ``part_id``, ``sensor_id`` and ``cell`` (text, never empty); ``sensors`` go by column.
    """
    columns = ", ".join(
        f"nullif(trim({quoted(column)}::varchar), '') as {quoted(sensor.sensor_id)}"
        for column, sensor in sensors.items()
    )
    names = ", ".join(quoted(sensor.sensor_id) for sensor in sensors.values())
    return f"unpivot (select part_id, {columns} from {relation}) on {names} into name sensor_id value cell"


def write_measured(
    con: duckdb.DuckDBPyConnection, into: Path, *, parts: str, cells: str, sensors: Sequence[Sensor]
) -> None:
    """Write the three raw files.

    ``parts`` is a relation with ``part_id``, ``line``, ``unit_id``, ``produced_at`` and ``known_at``;
    ``cells`` a query or relation with ``part_id``, ``sensor_id`` and ``cell``, each measured and known with
    its part. Raises ``DataContractError`` if a cell of a numeric sensor is no number; the message names
    sensors and cells.
    """
    into.mkdir()
    con.register("described", pa.Table.from_pylist([vars(sensor) for sensor in sensors], schema=_DESCRIBED))
    con.execute(f"create or replace temp table cells as select part_id, sensor_id, cell from ({cells})")
    _refuse_words(con)
    write_raw(con, PARTS, f"select * from {parts} order by produced_at, part_id", into)
    write_raw(
        con,
        SENSORS,
        f"select described.*, (select min(known_at) from {parts}) as known_at from described order by sensor_id",
        into,
    )
    write_raw(
        con,
        MEASUREMENTS,
        f"""
        select part_id, sensor_id, produced_at as measured_at,
            case when kind <> 'nominal' then {NUMBER} end as value,
            case when kind = 'nominal' then cell end as label,
            case when kind = 'nominal' then 'measured' when cell[1] = '<' then 'below_limit'
                when cell[1] = '>' then 'above_limit' else 'measured' end as status,
            known_at
        from cells join {parts} using (part_id) join described using (sensor_id)
        order by produced_at, part_id, sensor_id
        """,
        into,
    )


def _refuse_words(con: duckdb.DuckDBPyConnection) -> None:
    wrong = con.execute(
        "select sensor_id, count(*), min(cell), min(part_id) from cells join described using (sensor_id)"
        f" where kind <> 'nominal' and {NUMBER} is null group by sensor_id order by sensor_id"
    ).fetchall()
    if wrong:
        listed = "; ".join(
            f"{name}: {count} cells, such as {cell!r} of part {part}" for name, count, cell, part in wrong[:5]
        )
        raise DataContractError(
            f"cells of a numeric sensor must be numbers, empty, or a limit such as <0.5; offending: {listed}. Fix "
            "the cells, or describe the sensor as nominal"
        )


# -------------------------------------------------------------------------------------- wide

_KNOWN = ("part_id", "produced_at", "line", "unit_id")

WIDE_TABLE = RawLayout(
    Table(
        "wide",
        "Wide table of measurements: the columns that every one has. One row per part.",
        (
            PART_ID,
            timestamp("produced_at", "When the part was made (UTC)."),
            text("line", "Line."),
            text("unit_id", "Unit of a panel; null if none.", nullable=True),
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


def _adapt_wide(staging: Staging, files: Sequence[DeliveredFile], into: Path) -> Adapted:
    """Write a wide table as files in the raw layouts of imputation; see :class:`~pipelines.sources.adapter.Adapter`.

    Raises ``DataContractError`` if the table is absent, has no sensor, or a cell is not what its sensor
    measures.
    """
    by_name = {file.layout.table.name: file for file in files}
    if "wide" not in by_name:
        raise DataContractError(
            "the wide layout is a table `wide`, and `sensors` if there is one; missing wide"
        )
    con = staging.con
    outcomes = [staging.admit(file, file.layout.table.name) for file in files]
    file = by_name["wide"]
    columns = [name for name in file.header if name not in _KNOWN]
    if not columns:
        raise DataContractError(f"{file.name}: must have a column per sensor beside {list(_KNOWN)}, got none")
    path = literal(str(file.path))
    reader = (
        f"read_csv({path}, header = true, all_varchar = true)" if file.is_csv else f"read_parquet({path})"
    )
    con.execute(f"create temp view all_columns as select * from {reader}")
    described = con.sql("from sensors").to_arrow_table().to_pylist() if "sensors" in by_name else []
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


def _sensors(
    con: duckdb.DuckDBPyConnection, columns: Sequence[str], described: Sequence[Mapping[str, Any]]
) -> dict[str, Sensor]:
    """Sensor of each column: as described, else named and typed by the column itself."""
    told = {row["sensor_id"]: Sensor(**{**row, "scale": row["scale"] or "identity"}) for row in described}
    unused = sorted(set(told) - set(columns))
    if unused:
        raise DataContractError(f"sensors must describe columns of wide, got {unused[:5]} that it lacks")
    tests = ", ".join(_all_numbers(quoted(name)) for name in columns)
    sensors = {}
    for name, numeric in zip(
        columns, con.execute(f"select {tests} from all_columns").fetchall()[0], strict=True
    ):
        station, _, quantity = name.rpartition(".")
        found = Sensor(name, station or "all", quantity, kind="numeric" if numeric else "nominal")
        sensors[name] = told.get(name, found)
    return sensors


def wide() -> Adapter:
    """Adapter of the layout ``wide``."""
    return Adapter((DESCRIPTIONS, WIDE_TABLE), _adapt_wide)


# -------------------------------------------------------------------------------------- long

LONG_TABLE = RawLayout(
    Table(
        "measurements",
        "Measurements in the long layout. One row per part, station and sensor.",
        (
            PART_ID,
            timestamp("time", "When it was measured (UTC)."),
            text("line", "Line."),
            text("station", "Station."),
            text("sensor", "What the station measures."),
            text("value", "Number, word or limit; null if not taken.", nullable=True),
            text("unit", "Unit of the values; null if none.", nullable=True),
            text("unit_id", "Unit of a panel; null if none.", nullable=True),
        ),
        key=("part_id", "station", "sensor"),
    ),
    history=History.IMMUTABLE,
    optional=("unit", "unit_id"),
)

_SENSOR_ID = "station || '.' || sensor"
#: A thing, what it has only one of, and the rule in words.
_SINGLE = (
    ("part_id", "line", "a part must be on one line"),
    ("part_id", "coalesce(unit_id, '')", "a part must belong to one unit"),
    (_SENSOR_ID, "coalesce(unit, '')", "a sensor must have one unit"),
    (f"part_id || ' ' || {_SENSOR_ID}", "rowid", "a sensor must measure a part once"),
)


def _adapt_long(staging: Staging, files: Sequence[DeliveredFile], into: Path) -> Adapted:
    """Write long measurements as files in the raw layouts of imputation, likewise.

    Raises ``DataContractError`` if a part is on two lines, a sensor has two units, or a row repeats.
    """
    con, table = staging.con, LONG_TABLE.table.name
    outcomes = [staging.admit(file, table) for file in files]
    refuse_several(con, table, _SINGLE)
    con.execute(
        "create temp table parts as select part_id, any_value(line) as line, any_value(unit_id) as unit_id,"
        f" min(time) as produced_at, max(time) as known_at from {table} group by part_id"
    )
    cells = (
        f"select part_id, {_SENSOR_ID} as sensor_id, trim(value) as cell from {table} where trim(value) <> ''"
    )
    sensors = [
        Sensor(name, station, quantity, unit, "numeric" if numeric else "nominal")
        for name, station, quantity, unit, numeric in con.execute(
            f"select {_SENSOR_ID}, station, sensor, any_value(unit), {_all_numbers('value')} from {table}"
            " group by all order by 1"
        ).fetchall()
    ]
    write_measured(con, into, parts="parts", cells=cells, sensors=sensors)
    return Adapted(tuple(outcomes), ())


def long() -> Adapter:
    """Adapter of the layout ``long``."""
    return Adapter((LONG_TABLE,), _adapt_long)
