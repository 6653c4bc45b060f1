"""Files of a delivery: Parquet that grows block by block, or is written at once."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.schemas import Table
from pipelines.lab.simulation.days import Ints


def delivered_schema(table: Table, *, dirty: bool) -> pa.Schema:
    """Schema of the delivered files; a source that may send bad rows promises no ``not null``."""
    schema = table.arrow_schema
    return pa.schema([field.with_nullable(True) for field in schema]) if dirty else schema


class TableFile:
    """A Parquet file that grows block by block, and counts its rows.

    Parameters
    ----------
    encoded
        Columns whose strings come dictionary-encoded; readers see plain strings all the same.
    """

    def __init__(self, path: Path, schema: pa.Schema, *, encoded: Collection[str] = ()) -> None:
        self.rows = 0
        codes = pa.dictionary(pa.int32(), pa.string())
        schema = pa.schema([field.with_type(codes) if field.name in encoded else field for field in schema])
        self._schema = schema
        self._writer = pq.ParquetWriter(path, schema, compression="zstd", store_schema=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def append(self, rows: pa.Table) -> None:
        """Write rows, cast to the schema of the file."""
        self._writer.write_table(rows.cast(self._schema))
        self.rows += len(rows)


def write_encoded(path: Path, rows: pa.Table, schema: pa.Schema) -> None:
    """Write rows whose strings may be dictionary-encoded; readers see plain strings.

    Decoding eight million ids only for the writer to encode them again would take most of the time.
    """
    fields = [
        field.with_type(rows.schema.field(field.name).type)
        if pa.types.is_dictionary(rows.schema.field(field.name).type)
        else field
        for field in schema
    ]
    pq.write_table(rows.cast(pa.schema(fields)), path, compression="zstd", store_schema=False)


def encoded(names: pa.Array, index: Ints) -> pa.DictionaryArray:
    """Names by index, as a dictionary of those that occur: millions of rows repeat a few names."""
    used, position = np.unique(index, return_inverse=True)
    return pa.DictionaryArray.from_arrays(pa.array(position.astype(np.int32)), names.take(pa.array(used)))
