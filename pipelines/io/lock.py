"""Advisory file locks between processes of one machine; the system releases them if a process dies.

Across machines the scheduler does this, with pools of one slot.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.errors import MillraceError
from pipelines.settings import Settings


@contextmanager
def exclusive(settings: Settings, name: str, *, refusal: MillraceError | None = None) -> Iterator[None]:
    """Hold the lock ``<var>/locks/<name>.lock`` for the block; if it is taken, raise ``refusal`` or, without one, wait."""
    path: Path = settings.var / "locks" / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if refusal else 0))
        except BlockingIOError:
            if refusal is None:
                raise
            raise refusal from None
        yield
