"""Rows set aside for audit before they are published."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import duckdb
import pyarrow as pa
import pyarrow.dataset as pa_dataset
import pyarrow.parquet as pa_parquet

from features.schemas import Table

#: Rows to write: a table, a stream, or a few records.
Rows: TypeAlias = pa.Table | pa.RecordBatchReader | Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Staged:
    """Rows set aside for audit, readable as often as needed."""

    rows: int
    relation: duckdb.DuckDBPyRelation
    read: Callable[[], Any]


@contextmanager
def staged(table: Table, data: pa.Table | pa.RecordBatchReader) -> Iterator[Staged]:
    """Set rows aside: tables stay in memory, streams go to a temporary Parquet file."""
    schema = table.arrow_schema
    with duckdb.connect(config={"threads": 2}) as con:
        if isinstance(data, pa.Table):
            rows = pa.Table.from_arrays(
                [data.column(name) for name in table.column_names], names=table.column_names
            )
            yield Staged(rows.num_rows, con.from_arrow(rows), lambda: rows)
            return
        with tempfile.TemporaryDirectory(prefix="millrace-stage-") as folder:
            path = Path(folder) / "stage.parquet"
            count = 0
            with pa_parquet.ParquetWriter(path, pa.schema([f.with_nullable(True) for f in schema])) as writer:
                for batch in data:
                    ordered = pa.Table.from_batches([batch]).select(table.column_names)
                    writer.write_table(ordered.cast(writer.schema))
                    count += batch.num_rows
            relation = con.read_parquet(str(path))
            yield Staged(count, relation, lambda: pa_dataset.dataset(path).scanner().to_reader())
