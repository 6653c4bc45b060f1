"""The scratch database of a dbt run: views on pinned Delta files, and what the run was asked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from pathlib import Path

import duckdb

from features.schemas import Table
from features.sql import listed, literal, quoted
from pipelines.errors import ConfigError
from pipelines.io.lake import Lake


def fill(
    database: Path,
    lake: Lake,
    tables: Sequence[Table],
    *,
    spine: Sequence[tuple[date, date, bool]],
    parameters: Mapping[str, float],
    pins: Mapping[str, int],
    may_be_absent: Collection[str] = (),
) -> dict[str, int]:
    """Create the sources of a run in a new database; returns the version read of each table that there is.

    Takes what :func:`pipelines.io.dbt.run_dbt` does; rows of the ``spine``, ``run.as_of_dates``, are day, last
    day of the knowledge of labels, and whether features are wanted. Raises ``ConfigError`` if ``pins`` names a
    table that is not read, and ``DataContractError`` if a table or version is missing.
    """
    unknown = sorted(set(pins) - {table.name for table in tables})
    if unknown:
        raise ConfigError(f"pins must name tables that are read, got {unknown}")
    absent = {name for name in may_be_absent if name not in pins and not lake.exists(name)}
    present = [table for table in tables if table.name not in absent]
    versions = {table.name: pins.get(table.name, lake.version(table.name)) for table in present}
    with duckdb.connect(str(database)) as con:
        for table in tables:
            schema, _, name = table.name.partition("/")
            files = lake.files(table.name, versions[table.name]) if table.name in versions else []
            con.execute(f"create schema if not exists {quoted(schema)}")
            con.execute(f"create view {quoted(schema)}.{quoted(name)} as {_scan(table, files)}")
        con.execute("create schema run")
        con.execute("create table run.as_of_dates (as_of date, known_before date, wants_features boolean)")
        con.executemany("insert into run.as_of_dates values (?, ?, ?)", spine)
        con.execute("create table run.parameters (name varchar, value double)")
        for item in parameters.items():
            con.execute("insert into run.parameters values (?, ?)", item)
    return versions


def _scan(table: Table, files: Sequence[str]) -> str:
    """Query over files; partition columns are read from the folder names."""
    if not files:
        nothing = ", ".join(f"cast(null as {c.dtype.sql}) as {quoted(c.name)}" for c in table.columns)
        return f"select {nothing} where false"
    paths = ", ".join(literal(file) for file in files)
    options = ""
    if table.partition_by:
        types = ", ".join(f"{literal(n)}: {table.column(n).dtype.sql}" for n in table.partition_by)
        options = f", hive_partitioning = true, hive_types = {{{types}}}"
    return f"select {listed(table.column_names)} from read_parquet([{paths}]{options})"
