"""What an adapter is: files in layouts of their own in, files in the raw layouts out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pa_parquet

from pipelines.errors import DataContractError
from pipelines.sources.delivery import DeliveredFile
from pipelines.sources.layout import RawLayout
from pipelines.sources.staging import FileOutcome, Staging

#: SQL of the time from which a fact dated a day is known: the end of that day.
END_OF_DAY = "cast({day} as timestamp) + interval 1 day - interval 1 second"

#: Rows per row group of a raw file.
_BATCH_ROWS = 200_000


@dataclass(frozen=True)
class Adapted:
    """Result of an adapter."""

    #: One per source file: rows read, landed and quarantined.
    outcomes: tuple[FileOutcome, ...]
    #: Cross-checks in words.
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Adapter:
    """Layouts of a source's files and the function that turns them into raw files.

    ``adapt(staging, files, into)`` puts bad rows into the quarantine of ``staging`` and writes
    the rest to the new folder ``into``; the same input must give the same bytes. Files named in
    ``ignored`` come with the source and are not read. A source whose files are not CSV with a header
    line has ``translate(folder, into)``, which writes them as such before anything is looked at.
    """

    layouts: Sequence[RawLayout]
    adapt: Callable[[Staging, Sequence[DeliveredFile], Path], Adapted]
    ignored: Sequence[str] = ()
    translate: Callable[[Path, Path], None] | None = None


def write_raw(
    con: duckdb.DuckDBPyConnection, layout: RawLayout, query: str, into: Path, *, part: str | None = None
) -> None:
    """Write the rows of a query as the raw file of a table, or a part of it, batch by batch."""
    name = layout.table.name if part is None else f"{layout.table.name}/{part}"
    (into / name).parent.mkdir(exist_ok=True)
    schema = pa.schema([field.with_nullable(True) for field in layout.table.arrow_schema])
    with pa_parquet.ParquetWriter(into / f"{name}.parquet", schema) as writer:
        for batch in con.sql(query).to_arrow_reader(_BATCH_ROWS):
            writer.write_table(pa.Table.from_batches([batch]).select(schema.names).cast(schema))


def refuse_several(
    con: duckdb.DuckDBPyConnection, relation: str, rules: Sequence[tuple[str, str, str]]
) -> None:
    """Refuse rows that contradict each other.

    Each rule is an SQL expression of a thing, one of what it must have only one of, and the rule in words.
    Raises ``DataContractError`` if a thing has several; the message names it and three of them.
    """
    for thing, what, words in rules:
        found = con.execute(
            f"select ({thing})::varchar, list(distinct ({what})::varchar order by ({what})::varchar), count(*) over ()"
            f" from {relation} group by {thing} having count(distinct {what}) > 1 order by 1 limit 1"
        ).fetchall()
        if found:
            offending, several, count = found[0]
            raise DataContractError(
                f"{relation}: {words}, got {offending} with {several[:3]} (offending: {count})"
            )


def no_rows(layout: RawLayout) -> str:
    """Query for a table that the source does not have."""
    return f"select {', '.join(f'null as {name}' for name in layout.table.column_names)} limit 0"
