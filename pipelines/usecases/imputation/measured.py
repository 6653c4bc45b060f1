"""From wide tables of measurements to the raw layouts of imputation: what all their adapters share.

A cell is a number, a word, or ``<0.5`` and ``>80``: beyond the range of the instrument. An empty cell is
a measurement that was not taken and becomes no row.
"""

# SQL is put together from quoted names and constants.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from features.sql import literal, quoted
from pipelines.errors import DataContractError
from pipelines.sources.adapter import write_raw
from pipelines.usecases.imputation.layouts import MEASUREMENTS, PARTS, SENSORS

#: A number, or a limit that it lies beyond.
NUMBER = "try_cast(ltrim(cell, '<> ') as double)"


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


def numeric_columns(con: duckdb.DuckDBPyConnection, relation: str, columns: Sequence[str]) -> set[str]:
    """Those columns of text in which every cell that is not empty is a number or beyond a limit."""
    counts = ", ".join(
        f"count(nullif(trim({quoted(name)}::varchar), '')) = "
        f"count({NUMBER.replace('cell', f'trim({quoted(name)}::varchar)')})"
        for name in columns
    )
    found = con.execute(f"select {counts} from {relation}").fetchall()[0]
    return {name for name, numeric in zip(columns, found, strict=True) if numeric}


def cells_query(relation: str, sensors: Mapping[str, Sensor]) -> str:
    """Query for the cells of a wide relation as ``part_id``, ``sensor_id`` and ``cell`` (text, never empty).

    Parameters
    ----------
    relation
        Has ``part_id`` and the columns.
    sensors
        Sensor of each column.
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

    Parameters
    ----------
    parts
        Relation with ``part_id``, ``line``, ``unit_id``, ``produced_at`` and ``known_at``.
    cells
        Query or relation with ``part_id``, ``sensor_id`` and ``cell``; a cell is measured and known with its
        part.

    Raises
    ------
    DataContractError
        A cell of a numeric sensor is no number; the message names sensors and cells.
    """
    into.mkdir()
    rows = ", ".join(
        "({})".format(", ".join(_sql(value) for value in vars(sensor).values())) for sensor in sensors
    )
    con.execute(
        "create or replace temp table described (sensor_id varchar, station varchar, quantity varchar, unit varchar,"
        " kind varchar, scale varchar, low double, high double)"
    )
    con.execute(f"insert into described values {rows}")
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
            f"cells of a numeric sensor must be numbers, empty, or a limit such as <0.5; offending: {listed}. Mend "
            "the cells, or describe the sensor as nominal"
        )


def _sql(value: str | float | None) -> str:
    if value is None:
        return "null"
    return literal(value) if isinstance(value, str) else repr(value)
