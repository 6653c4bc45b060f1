"""Hashes of what a model is made from: contents of tables, whatever the order and layout of rows, and code."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv

#: Files that decide what a model is.
_SUFFIXES = {".py", ".sql", ".yml", ".csv"}


class _Digest(io.RawIOBase):
    """A file that only hashes what is written to it, for :func:`content_hash`."""

    def __init__(self) -> None:
        self.sha = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.sha.update(data)
        return len(data)


def content_hash(data: pa.Table, *, sort_by: Sequence[str]) -> str:
    """SHA-256 over names and values, independent of row order, chunking and file layout."""
    ordered = data.sort_by([(name, "ascending") for name in sort_by])
    digest = _Digest()
    with pa.PythonFile(digest, mode="w") as sink:
        pa_csv.write_csv(ordered, sink)
    return digest.sha.hexdigest()


def code_fingerprint(home: Path, folders: Sequence[str], *facts: str) -> str:
    """Short hash of the files that decide what a model is, and of further facts."""
    digest = hashlib.sha256("|".join(facts).encode())
    for folder in folders:
        for path in sorted((home / folder).rglob("*")):
            if path.suffix in _SUFFIXES:
                digest.update(path.relative_to(home).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]
