"""Content hashes of tables: equal contents, equal hash, whatever the order and layout of the rows."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.csv as pa_csv


class _Digest:
    """A file-like sink that only hashes, for :func:`content_hash`."""

    def __init__(self) -> None:
        self.sha = hashlib.sha256()
        self.closed = False

    def write(self, data: bytes) -> int:
        self.sha.update(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is buffered."""

    def close(self) -> None:
        self.closed = True


def content_hash(data: pa.Table, *, sort_by: Sequence[str]) -> str:
    """SHA-256 over names and values, independent of row order, chunking and file layout."""
    ordered = data.sort_by([(name, "ascending") for name in sort_by])
    digest = _Digest()
    with pa.PythonFile(digest, mode="w") as sink:
        pa_csv.write_csv(ordered, sink)
    return digest.sha.hexdigest()
