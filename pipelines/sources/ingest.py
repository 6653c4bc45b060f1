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

import fcntl
import hashlib
import json
import logging
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pa_parquet

from features.pseudonyms import pseudonym
from pipelines.errors import ConfigError, DataContractError
from pipelines.io.lake import Lake
from pipelines.io.quality import quality_audit
from pipelines.settings import Settings
from pipelines.sources import churn, ravenstack
from pipelines.sources.adapter import Adapted, Adapter
from pipelines.sources.delivery import DeliveredFile, discover
from pipelines.sources.landed import INGESTS, QUARANTINE, SOURCES, SUBJECT_KEY, landed_table
from pipelines.sources.layout import RawLayout
from pipelines.sources.staging import FileOutcome, Staging

log = logging.getLogger(__name__)

#: Raw tables of a use case, in landing order.
LAYOUTS: dict[str, tuple[RawLayout, ...]] = {"churn": churn.LAYOUTS}

#: Sources whose files are in layouts of their own.
ADAPTERS: dict[tuple[str, str], Adapter] = {
    ("churn", "ravenstack"): Adapter(ravenstack.LAYOUTS, ravenstack.adapt),
}

#: Called after each file: its name, files done, files in all.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class TableReport:
    """What became of the delivered rows of one table.

    ``read == landed + already_landed + duplicates + quarantined`` always holds. ``rules`` counts
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

    def as_record(self) -> dict[str, Any]:
        """JSON-able form."""
        return asdict(self)


def ingest(
    usecase: str,
    files: Path,
    *,
    settings: Settings,
    ingested_at: datetime,
    source: str = "native",
    lake: Lake | None = None,
    progress: Progress | None = None,
    quality_checks: bool = True,
) -> IngestReport:
    """Validate the delivered files of a use case and land their rows.

    Parameters
    ----------
    usecase
        ``churn``.
    files
        Folder of the delivery, see :func:`pipelines.sources.delivery.discover`.
    ingested_at
        Stamp of the landed rows, UTC without a zone. An argument, so that a repeated run can be
        exactly the same.
    source
        ``native`` for files in the raw layouts, or the name of an adapter (``ravenstack``). A lake
        belongs to one source.
    progress
        Called after each file.
    quality_checks
        Whether Great Expectations looks at the rows about to land (a sample of large tables) and
        its Data Docs are built: 7 s on top, most of it its import.

    Returns
    -------
    IngestReport
        Counts per table and quarantine reasons.

    Raises
    ------
    DataContractError
        A file is missing, unreadable or lacks a column, or an audit failed: nothing was landed.
    ConfigError
        The lake holds another source or was landed with another pseudonym key, or another ingest
        is running.
    """
    lake = lake or Lake.of(settings)
    layouts, adapter = LAYOUTS[usecase], _adapter(usecase, source)
    with _one_at_a_time(settings, usecase):
        _check_source(lake, usecase, source)
        delivered = discover(files, adapter.layouts if adapter else layouts)
        key = settings.load_pseudonym_key()
        _check_key(lake, usecase, layouts, key)
        ingest_id = _identity(source, delivered)
        with _workspace(settings, ingest_id) as folder:
            staging = Staging(
                folder, lake, usecase=usecase, ingest_id=ingest_id, key=key, ingested_at=ingested_at
            )
            try:
                adapted = Adapted((), ())
                if adapter:
                    adapted = adapter.adapt(staging, delivered, folder / "adapted")
                    delivered = discover(folder / "adapted", layouts)
                _check_references(lake, usecase, delivered)
                outcomes = _stage(staging, delivered, lake, usecase, progress)
                if quality_checks:
                    _check_quality(staging, usecase, layouts, settings)
                _claim(lake, usecase, source, ingested_at)
                _land_quarantine(lake, staging, [*adapted.outcomes, *outcomes])
                _land_rows(lake, usecase, outcomes, ingest_id)
                done = _worth_noting(lake, usecase, [*adapted.outcomes, *outcomes])
                _note(lake, done, usecase, source, ingest_id, ingested_at)
            finally:
                staging.close()
    return IngestReport(
        usecase=usecase,
        source=source,
        ingest_id=ingest_id,
        tables=_reports(outcomes),
        adapted=_reports(adapted.outcomes),
        notes=adapted.notes,
    )


# ------------------------------------------------------------------------------- before any row


def _identity(source: str, delivered: Sequence[DeliveredFile]) -> str:
    digest = hashlib.sha256(source.encode())
    for file in delivered:
        digest.update(f"\n{file.name} {file.sha256}".encode())
    return digest.hexdigest()[:12]


def _adapter(usecase: str, source: str) -> Adapter | None:
    if source == "native":
        return None
    known = [name for case, name in ADAPTERS if case == usecase]
    if source not in known:
        raise ConfigError(f"source of {usecase} must be native or one of {known}, got {source!r}")
    return ADAPTERS[usecase, source]


def _check_source(lake: Lake, usecase: str, source: str) -> None:
    if not lake.exists(SOURCES.name):
        return
    for row in lake.read(SOURCES).to_pylist():
        if row["usecase"] == usecase and row["source"] != source:
            raise ConfigError(
                f"{lake.root} holds {usecase} data of source {row['source']!r}, got {source!r}: a lake"
                " belongs to one source, so that two companies are never scored as one."
                " Set MILLRACE_LAKE to another folder."
            )


def _check_key(lake: Lake, usecase: str, layouts: Sequence[RawLayout], key: bytes) -> None:
    """Refuse a changed key: the same account would get a second pseudonym and so a second life."""
    for layout in layouts:
        name = landed_table(usecase, layout).name
        if not layout.keeps_subject or not lake.exists(name):
            continue
        for row in lake.dataset(name).head(1, columns=[layout.subject, SUBJECT_KEY]).to_pylist():
            if pseudonym(row[layout.subject], key=key) != row[SUBJECT_KEY]:
                raise ConfigError(
                    f"{lake.root} was landed with another pseudonym key than the one in use:"
                    " set MILLRACE_PSEUDONYM_KEY to the key of this lake, or start a new lake"
                )


def _check_references(lake: Lake, usecase: str, delivered: Sequence[DeliveredFile]) -> None:
    arriving = {file.layout.table.name for file in delivered}
    for layout in {file.layout.table.name: file.layout for file in delivered}.values():
        for column, table, _ in layout.references:
            if table not in arriving and not lake.exists(f"raw/{usecase}_{table}"):
                raise DataContractError(
                    f"{layout.table.name}.{column} refers to {table}, which is neither delivered nor landed:"
                    f" deliver {table} with it (every row would be quarantined); nothing was landed"
                )


@contextmanager
def _one_at_a_time(settings: Settings, usecase: str) -> Iterator[None]:
    """Hold a lock file: two ingests at once could both find a row absent and land it twice."""
    path = settings.var / "locks" / f"ingest-{usecase}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"another ingest of {usecase} is running (it holds {path}); wait for it"
            ) from None
        yield


@contextmanager
def _workspace(settings: Settings, ingest_id: str) -> Iterator[Path]:
    folder = settings.var / "runs" / f"ingest-{ingest_id}"
    shutil.rmtree(folder, ignore_errors=True)  # a killed run leaves its own behind
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


# ------------------------------------------------------------------------------- validate, land


def _stage(
    staging: Staging,
    delivered: Sequence[DeliveredFile],
    lake: Lake,
    usecase: str,
    progress: Progress | None,
) -> list[FileOutcome]:
    staging.know({file.layout.table.name: file.layout for file in delivered}.values())
    done = _finished(lake, usecase)
    outcomes = []
    for number, file in enumerate(delivered, start=1):
        earlier = done.get((file.layout.table.name, file.sha256))
        outcomes.append(_as_before(file, earlier, lake) if earlier else staging.stage(file))
        log.info("%s: %s", file.name, outcomes[-1])
        if progress is not None:
            progress(file.name, number, len(delivered))
    return outcomes


def _finished(lake: Lake, usecase: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Files that need not be read again: fully landed, with no row waiting for another table."""
    rows = lake.read(INGESTS, missing_ok=True).sort_by("ingested_at").to_pylist()
    newest = {(row["table_name"], row["source_sha256"]): row for row in rows if row["usecase"] == usecase}
    return {key: row for key, row in newest.items() if row["unresolved"] == 0}


def _as_before(file: DeliveredFile, earlier: dict[str, Any], lake: Lake) -> FileOutcome:
    """Report a finished file without reading it: its good rows are landed, its bad ones quarantined."""
    read, quarantined, duplicates = earlier["rows_read"], earlier["quarantined"], earlier["duplicates"]
    outcome = FileOutcome(
        file,
        read=read,
        already_landed=read - quarantined - duplicates,
        duplicates=duplicates,
        quarantined=quarantined,
        skipped=True,
    )
    if quarantined:
        same = (pc.field("source_sha256") == file.sha256) & (
            pc.field("source_file") == earlier["source_file"]
        )
        rules = lake.read(QUARANTINE, columns=["rules"], where=same).column("rules")
        outcome.rules = dict(Counter(rule for row in rules.to_pylist() for rule in json.loads(row)))
    outcome.balance()
    return outcome


def _check_quality(staging: Staging, usecase: str, layouts: Sequence[RawLayout], settings: Settings) -> None:
    """Have Great Expectations look at what is about to land, before anything has."""
    problems = []
    for layout in layouts:
        table = landed_table(usecase, layout)
        staged = staging.staged(table)
        if staged is not None:
            audit = quality_audit(table, settings)
            problems += [f"{table.name}: {problem}" for problem in audit(staged)]
    if problems:
        raise DataContractError("nothing was landed. " + "; ".join(problems))


def _claim(lake: Lake, usecase: str, source: str, ingested_at: datetime) -> None:
    """Note whose data the lake holds before the first row lands."""
    if lake.exists(SOURCES.name) and usecase in lake.read(SOURCES).column("usecase").to_pylist():
        return
    row = {"usecase": usecase, "source": source, "ingested_at": ingested_at}
    lake.append(SOURCES, pa.Table.from_pylist([row], schema=SOURCES.arrow_schema))


def _land_quarantine(lake: Lake, staging: Staging, outcomes: Sequence[FileOutcome]) -> None:
    """Append the quarantined rows that are not there yet (a crashed or repeated run may have been)."""
    bad: pa.Table = staging.con.sql("from quarantine").to_arrow_table()
    if lake.exists(QUARANTINE.name) and bad.num_rows:
        shas = pa.array(sorted({file.file.sha256 for file in outcomes}))
        there = lake.read(
            QUARANTINE, columns=list(QUARANTINE.key), where=pc.field("source_sha256").isin(shas)
        )
        bad = bad.join(there, keys=list(QUARANTINE.key), join_type="left anti").select(
            QUARANTINE.column_names
        )
    new = Counter(zip(bad["table_name"].to_pylist(), bad["source_file"].to_pylist(), strict=True))
    for outcome in outcomes:
        outcome.new_quarantined = new[outcome.file.layout.table.name, outcome.file.name]
    if bad.num_rows:
        lake.append(QUARANTINE, bad.cast(QUARANTINE.arrow_schema))


def _land_rows(lake: Lake, usecase: str, outcomes: Sequence[FileOutcome], ingest_id: str) -> None:
    for outcome in outcomes:
        table = landed_table(usecase, outcome.file.layout)
        metadata = {"ingest_id": ingest_id, "source_file": outcome.file.name}
        for path in outcome.staged:
            rows = pa_parquet.read_table(path).select(table.column_names).cast(table.arrow_schema)
            lake.append(table, rows, metadata=metadata)
        if not lake.exists(table.name):  # delivered without a row: readers need the columns
            lake.append(table, table.arrow_schema.empty_table(), metadata=metadata)


def _worth_noting(lake: Lake, usecase: str, outcomes: Sequence[FileOutcome]) -> list[FileOutcome]:
    """Files not in the ledger yet, and those from which something new was landed or quarantined."""
    entries = lake.read(INGESTS, missing_ok=True).to_pylist()
    known = {(row["table_name"], row["source_sha256"]) for row in entries if row["usecase"] == usecase}
    return [
        outcome
        for outcome in outcomes
        if (outcome.file.layout.table.name, outcome.file.sha256) not in known
        or outcome.staged
        or outcome.new_quarantined
    ]


def _note(
    lake: Lake,
    outcomes: Sequence[FileOutcome],
    usecase: str,
    source: str,
    ingest_id: str,
    ingested_at: datetime,
) -> None:
    """Enter files in the ledger: from here on they are done."""
    rows = [
        {
            "ingest_id": ingest_id,
            "usecase": usecase,
            "table_name": outcome.file.layout.table.name,
            "source_file": outcome.file.name,
            "source_sha256": outcome.file.sha256,
            "source": source,
            "rows_read": outcome.read,
            "landed": outcome.landed,
            "already_landed": outcome.already_landed,
            "duplicates": outcome.duplicates,
            "quarantined": outcome.quarantined,
            "unresolved": outcome.unresolved,
            "ingested_at": ingested_at,
        }
        for outcome in outcomes
    ]
    if rows:
        lake.append(INGESTS, pa.Table.from_pylist(rows, schema=INGESTS.arrow_schema))


def _reports(outcomes: Sequence[FileOutcome]) -> tuple[TableReport, ...]:
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
                read=sum(outcome.read for outcome in mine),
                landed=sum(outcome.landed for outcome in mine),
                already_landed=sum(outcome.already_landed for outcome in mine),
                duplicates=sum(outcome.duplicates for outcome in mine),
                quarantined=sum(outcome.quarantined for outcome in mine),
                rules=dict(rules),
                undeclared=tuple(sorted({column for outcome in mine for column in outcome.file.undeclared})),
            )
        )
    return tuple(reports)
