"""Content hashes of tables: equal contents, equal hash, whatever the order and layout of the rows."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv


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
