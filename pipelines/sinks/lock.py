"""One publisher at a time per target: an advisory file lock that the system frees if we die."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.errors import SinkError


@contextmanager
def exclusive(folder: Path, name: str) -> Iterator[None]:
    """Hold the lock ``name`` for the duration of the block.

    The lock guards processes of one machine; across machines the scheduler's pool of one slot does.

    Raises
    ------
    SinkError
        Another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.lock"
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SinkError(
                f"another process is publishing to {name} (lock {path}); wait for it to end, then run again"
            ) from None
        yield
