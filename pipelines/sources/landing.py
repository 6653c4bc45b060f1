"""Second half of an ingest: commits to the lake, in the order that makes them resumable.

The source's claim, the quarantine, the rows, and last the entry in ``ops/ingests`` that says that a
file is done. Whatever happens in between, doing it all again adds what is missing and nothing else.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pa_parquet

from pipelines.io.lake import Lake, having
from pipelines.io.tombstones import newest_erasure
from pipelines.sources.delivery import DeliveredFile
from pipelines.sources.landed import INGESTS, QUARANTINE, SOURCES, landed_table
from pipelines.sources.staging import FATES, FileOutcome, Staging


def _noted(lake: Lake, usecase: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Newest entry of each file in the ledger, by table and hash.

    Only those since the newest erasure count: what was landed from a file before may no longer be there.
    """
    erased = newest_erasure(lake)
    rows = lake.read(INGESTS, where=having(usecase=usecase), missing_ok=True).sort_by("ingested_at")
    return {
        (row["table_name"], row["source_sha256"]): row
        for row in rows.to_pylist()
        if erased is None or row["ingested_at"] > erased
    }


def finished(lake: Lake, usecase: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Files that need not be read again: fully landed, with no row waiting for another table."""
    return {key: row for key, row in _noted(lake, usecase).items() if row["unresolved"] == 0}


def as_before(file: DeliveredFile, earlier: dict[str, Any], lake: Lake) -> FileOutcome:
    """Report a finished file without reading it: its good rows were landed, its bad ones quarantined."""
    read, quarantined, duplicates = earlier["rows_read"], earlier["quarantined"], earlier["duplicates"]
    forgotten = earlier["forgotten"]
    outcome = FileOutcome(
        file,
        read=read,
        already_landed=read - quarantined - duplicates - forgotten,
        duplicates=duplicates,
        quarantined=quarantined,
        forgotten=forgotten,
        skipped=True,
    )
    if quarantined:
        same = having(source_sha256=file.sha256, source_file=earlier["source_file"])
        rules = lake.read(QUARANTINE, columns=["rules"], where=same).column("rules")
        outcome.rules = dict(Counter(rule for row in rules.to_pylist() for rule in json.loads(row)))
    outcome.balance()
    return outcome


def claim(lake: Lake, usecase: str, source: str, ingested_at: datetime) -> None:
    """Record whose data the lake holds, before the first row lands."""
    if usecase not in lake.read(SOURCES, missing_ok=True)["usecase"].to_pylist():
        lake.append(SOURCES, [{"usecase": usecase, "source": source, "ingested_at": ingested_at}])


def land_quarantine(lake: Lake, staging: Staging, outcomes: Sequence[FileOutcome]) -> None:
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


def land_rows(lake: Lake, usecase: str, outcomes: Sequence[FileOutcome], ingest_id: str) -> None:
    """Append the staged rows, one commit per staged file; each is audited by the lake once more."""
    for outcome in outcomes:
        table = landed_table(usecase, outcome.file.layout)
        metadata = {"ingest_id": ingest_id, "source_file": outcome.file.name}
        for path in outcome.staged:
            rows = pa_parquet.read_table(path).select(table.column_names).cast(table.arrow_schema)
            lake.append(table, rows, metadata=metadata)
        if not lake.exists(table.name):  # delivered without a row: readers need the columns
            lake.append(table, table.arrow_schema.empty_table(), metadata=metadata)


def note(
    lake: Lake,
    outcomes: Sequence[FileOutcome],
    usecase: str,
    source: str,
    ingest_id: str,
    ingested_at: datetime,
) -> None:
    """Enter files in the ledger that are not in it since the newest erasure, or bring something new: they are done."""
    known = _noted(lake, usecase)
    rows = [
        {
            "ingest_id": ingest_id,
            "usecase": usecase,
            "table_name": outcome.file.layout.table.name,
            "source_file": outcome.file.name,
            "source_sha256": outcome.file.sha256,
            "source": source,
            "rows_read": outcome.read,
            **{fate: getattr(outcome, fate) for fate in (*FATES, "unresolved")},
            "ingested_at": ingested_at,
        }
        for outcome in outcomes
        if (outcome.file.layout.table.name, outcome.file.sha256) not in known
        or outcome.staged
        or outcome.new_quarantined
    ]
    if rows:
        lake.append(INGESTS, rows)
