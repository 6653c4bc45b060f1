"""What an adapter is: files in layouts of their own in, files in the raw layouts out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.sources.delivery import DeliveredFile
from pipelines.sources.layout import RawLayout
from pipelines.sources.staging import FileOutcome, Staging


@dataclass(frozen=True)
class Adapted:
    """Result of an adapter.

    Attributes
    ----------
    outcomes
        One per source file: rows read, taken over (``landed``) and quarantined.
    notes
        Cross-checks in words.
    """

    outcomes: tuple[FileOutcome, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Adapter:
    """Layouts of a source's files and the function that turns them into raw files.

    ``adapt(staging, files, into)`` puts bad rows into the quarantine of ``staging`` and writes
    the rest to the new folder ``into``; the same input must give the same bytes.
    """

    layouts: Sequence[RawLayout]
    adapt: Callable[[Staging, Sequence[DeliveredFile], Path], Adapted]
