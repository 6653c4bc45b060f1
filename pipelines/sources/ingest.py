"""Landing of delivered files: validate, quarantine, land, account for every row.

An ingest has two halves. First every file is checked and every row validated, with the good rows
set aside (:mod:`pipelines.sources.staging`); whatever goes wrong there lands nothing. Then the
staged rows are committed, table by table. Several Delta tables cannot be one transaction, so the
second half is *resumable* instead: quarantine first, then rows, then the entry in ``ops/ingests``
that says a file is done. After a crash in between, the same command finds the rows that were
landed (same key, same content), skips them and lands the rest; no row is landed or quarantined
twice. Re-ingesting a finished delivery writes nothing at all.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.discovery import find
from pipelines.errors import ConfigError, DataContractError, unknown
from pipelines.extension import adapters
from pipelines.io.lake import Lake
from pipelines.io.lock import exclusive
from pipelines.io.quality import validate
from pipelines.settings import Settings
from pipelines.sources import landing
from pipelines.sources.adapter import Adapted, Adapter
from pipelines.sources.delivery import DeliveredFile, discover
from pipelines.sources.guards import check_key, check_references, check_source
from pipelines.sources.landed import landed_table
from pipelines.sources.layout import RawLayout
from pipelines.sources.staging import FATES, FileOutcome, Staging

if TYPE_CHECKING:
    from pipelines.usecase import D, M, P, UseCase

log = logging.getLogger(__name__)

#: Source of files that are in the raw layouts already.
NATIVE = "native"

#: Called after each file: its name, files done, files in all.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class TableReport:
    """What became of the delivered rows of one table.

    ``read == landed + already_landed + duplicates + quarantined + forgotten`` always holds. ``rules`` counts
    quarantined rows by broken rule; a row that breaks two is counted under both.
    """

    table: str
    files: int
    files_known: int
    read: int
    landed: int
    already_landed: int
    duplicates: int
    quarantined: int
    forgotten: int = 0
    rules: dict[str, int] = field(default_factory=dict)
    undeclared: tuple[str, ...] = ()


@dataclass(frozen=True)
class IngestReport:
    """Outcome of an ingest: one report per delivered table, in landing order."""

    usecase: str
    source: str
    ingest_id: str
    tables: tuple[TableReport, ...]
    #: Files of a source with an adapter: ``landed`` are the rows taken over into ``tables``.
    adapted: tuple[TableReport, ...] = ()
    #: Cross-checks of an adapter in words.
    notes: tuple[str, ...] = ()

    def reasons(self) -> list[tuple[str, str, int]]:
        """Quarantined rows as (table, rule, rows), most frequent first within a table."""
        return [
            (report.table, rule, count)
            for report in (*self.adapted, *self.tables)
            for rule, count in sorted(report.rules.items(), key=lambda item: (-item[1], item[0]))
        ]


def ingest(
    usecase: str,
    files: Path,
    *,
    settings: Settings,
    ingested_at: datetime,
    source: str = NATIVE,
    lake: Lake | None = None,
    progress: Progress | None = None,
    quality_checks: bool = True,
) -> IngestReport:
    """Validate the delivered files of a use case, land their rows and count what became of each.

    ``files`` is the folder of the delivery, see :func:`pipelines.sources.delivery.discover`. ``ingested_at``
    stamps the landed rows, UTC without a zone: an argument, so that a repeated run can be exactly the same.
    ``source`` is ``native`` for files in the raw layouts, or the name of an adapter, see
    :func:`pipelines.extension.adapters`; a lake belongs to one source. ``progress`` is called after each file.
    With ``quality_checks`` the rows about to land are audited as a whole before any does, with Great
    Expectations' Data Docs of it: 7 s on top, most of it their import.

    Raises ``DataContractError`` if a file is missing, unreadable or lacks a column, or an audit failed: nothing
    was landed. Raises ``ConfigError`` if the use case has no raw tables or no such source, the lake holds
    another source or was landed with another pseudonym key, or another ingest is running.
    """
    declared, lake = find(usecase), lake or Lake.of(settings)
    layouts, adapter = _layouts(declared), _adapter(declared, source)
    # Two ingests at once could both find a row absent and land it twice.
    busy = ConfigError(f"another ingest of {usecase} is running on this machine; wait for it to end")
    with exclusive(settings, f"ingest-{usecase}", refusal=busy), _translated(files, adapter) as files:
        check_source(lake, usecase, source)
        delivered = (
            discover(files, adapter.layouts, ignored=adapter.ignored) if adapter else discover(files, layouts)
        )
        key = settings.load_pseudonym_key()
        check_key(lake, usecase, layouts, key)
        ingest_id = _identity(source, delivered)
        with _workspace(settings, ingest_id) as folder:
            staging = Staging(
                folder, lake, usecase=usecase, ingest_id=ingest_id, key=key, ingested_at=ingested_at
            )
            with closing(staging):
                adapted = Adapted((), ())
                if adapter:
                    adapted = adapter.adapt(staging, delivered, folder / "adapted")
                    delivered = discover(folder / "adapted", layouts)
                check_references(lake, usecase, delivered)
                outcomes = _stage(staging, delivered, lake, usecase, layouts, progress)
                if quality_checks:
                    _check_quality(staging, usecase, layouts, settings)
                every_file = [*adapted.outcomes, *outcomes]
                landing.claim(lake, usecase, source, ingested_at)
                landing.land_quarantine(lake, staging, every_file)
                landing.land_rows(lake, usecase, outcomes, ingest_id)
                landing.note(lake, every_file, usecase, source, ingest_id, ingested_at)
    return IngestReport(
        usecase=usecase,
        source=source,
        ingest_id=ingest_id,
        tables=_by_table(outcomes),
        adapted=_by_table(adapted.outcomes),
        notes=adapted.notes,
    )


def _identity(source: str, delivered: Sequence[DeliveredFile]) -> str:
    digest = hashlib.sha256(source.encode())
    for file in delivered:
        digest.update(f"\n{file.name} {file.sha256}".encode())
    return digest.hexdigest()[:12]


def _layouts(usecase: UseCase[P, D, M]) -> Sequence[RawLayout]:
    if not usecase.layouts:
        lender = usecase.borrows[0].usecase
        raise ConfigError(f"{usecase.name} reads the tables of {lender}: run `millrace ingest {lender}`")
    return usecase.layouts


def _adapter(usecase: UseCase[P, D, M], source: str) -> Adapter | None:
    if source == NATIVE:
        return None
    known = adapters(usecase)
    if source not in known:
        raise unknown(f"source of {usecase.name}", source, [NATIVE, *known])
    return known[source]()


@contextmanager
def _translated(files: Path, adapter: Adapter | None) -> Iterator[Path]:
    """Folder of files with header lines: the delivered one, or a temporary one that the adapter writes."""
    if adapter is None or adapter.translate is None:
        yield files
        return
    if not files.is_dir():
        raise DataContractError(f"--from must be a folder with the delivered files, got {files}")
    with tempfile.TemporaryDirectory(prefix="millrace-ingest-") as folder:
        adapter.translate(files, Path(folder))
        yield Path(folder)


@contextmanager
def _workspace(settings: Settings, ingest_id: str) -> Iterator[Path]:
    folder = settings.var / "runs" / f"ingest-{ingest_id}"
    shutil.rmtree(folder, ignore_errors=True)  # a killed run leaves its own behind
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _stage(
    staging: Staging,
    delivered: Sequence[DeliveredFile],
    lake: Lake,
    usecase: str,
    layouts: Sequence[RawLayout],
    progress: Progress | None,
) -> list[FileOutcome]:
    staging.know({file.layout.table.name: file.layout for file in delivered}.values(), layouts)
    done = landing.finished(lake, usecase)
    outcomes = []
    for number, file in enumerate(delivered, start=1):
        earlier = done.get((file.layout.table.name, file.sha256))
        outcomes.append(landing.as_before(file, earlier, lake) if earlier else staging.stage(file))
        log.info("%s: %s", file.name, outcomes[-1])
        if progress is not None:
            progress(file.name, number, len(delivered))
    return outcomes


def _check_quality(staging: Staging, usecase: str, layouts: Sequence[RawLayout], settings: Settings) -> None:
    """Audit what is about to land, table by table, and render it before anything has landed."""
    problems = []
    for layout in layouts:
        table = landed_table(usecase, layout)
        staged = staging.staged(table)
        if staged is not None:
            found = validate(table, staged, settings=settings)
            problems += [f"{table.name}: {problem}" for problem in found.contract]
    if problems:
        raise DataContractError("nothing was landed. " + "; ".join(problems))


def _by_table(outcomes: Sequence[FileOutcome]) -> tuple[TableReport, ...]:
    """Sum the outcomes of files by table, in the order in which tables come."""
    reports = []
    for name in dict.fromkeys(outcome.file.layout.table.name for outcome in outcomes):
        mine = [outcome for outcome in outcomes if outcome.file.layout.table.name == name]
        rules: Counter[str] = Counter()
        for outcome in mine:
            rules.update(outcome.rules)
        reports.append(
            TableReport(
                table=name,
                files=len(mine),
                files_known=sum(outcome.skipped for outcome in mine),
                rules=dict(rules),
                undeclared=tuple(sorted({column for outcome in mine for column in outcome.file.undeclared})),
                **{fate: sum(getattr(outcome, fate) for outcome in mine) for fate in ("read", *FATES)},
            )
        )
    return tuple(reports)
