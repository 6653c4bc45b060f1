"""Looking for words in everything that a deployment wrote, whatever the format."""

from __future__ import annotations

import gzip
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow.parquet as pa_parquet
import pytest


def texts(path: Path) -> Iterator[str]:
    """A file as it is, and what it says once decoded."""
    data = path.read_bytes()
    yield data.decode("latin-1")
    if path.suffix == ".gz":
        yield gzip.decompress(data).decode("latin-1")
    if data[:4] == b"PAR1":
        file = pa_parquet.ParquetFile(path)
        yield str(file.metadata.to_dict())
        yield str(file.read().to_pydict())
    if data[:16] == b"SQLite format 3\0":
        with sqlite3.connect(path) as con:
            yield "\n".join(con.iterdump())
    if path.suffix == ".duckdb":
        with duckdb.connect(str(path)) as con:
            for schema, name in con.execute("select schema_name, table_name from duckdb_tables()").fetchall():
                yield str(con.sql(f'from "{schema}"."{name}"').fetchall())


def sightings(root: Path, *words: str) -> set[str]:
    """Files below a folder that hold one of the words, as a word of its own; dbt's parse knows no data."""
    listed = "|".join(re.escape(word) for word in words)
    pattern = re.compile(rf"(?<![A-Za-z0-9])(?:{listed})(?![A-Za-z0-9])")
    return {
        str(path.relative_to(root))
        for path in sorted(root.rglob("*"))
        if path.is_file()
        and "dbt_cache" not in path.parts
        and any(pattern.search(text) for text in texts(path))
    }


@pytest.fixture(scope="session")
def look() -> object:
    """Files that name somebody: ``look(root, *words)``."""
    return sightings
