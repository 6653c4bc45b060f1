"""State of the emulated org in one SQLite database: records, jobs, audit trail.

A file survives restarts and ``kill -9`` (write-ahead log, one transaction per batch); the path
``:memory:`` keeps nothing.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipelines.lab.emulator.ids import make_id
from pipelines.lab.emulator.objects import Field, SObject

_META_TABLES = """
CREATE TABLE IF NOT EXISTS "_counters" (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS "_jobs" (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, object TEXT, operation TEXT,
    external_id TEXT, line_ending TEXT, delimiter TEXT, api_version TEXT, state TEXT,
    created TEXT, modified TEXT, content BLOB, processed INTEGER DEFAULT 0, failed INTEGER DEFAULT 0,
    error TEXT, milliseconds INTEGER DEFAULT 0);
CREATE TABLE IF NOT EXISTS "_job_rows" (
    job INTEGER, row INTEGER, record TEXT, created INTEGER, error TEXT, PRIMARY KEY (job, row)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS "_audit" (
    object TEXT, key TEXT, digest TEXT, operation TEXT, ok INTEGER, failed INTEGER,
    PRIMARY KEY (object, key, digest)) WITHOUT ROWID;
"""
USER_ID = make_id("005", 1)
ORGANIZATION_ID = make_id("00D", 1)


def _wall_clock() -> datetime:
    return datetime.now(UTC)


class Store:
    """The org's database: one connection, one writer at a time.

    Parameters
    ----------
    path
        SQLite file, or ``:memory:``.
    schema
        Objects by lower-case name; a field that was added since the file was written becomes a
        column.
    clock
        Returns the time stamps of records and jobs.
    """

    def __init__(
        self,
        path: Path | str,
        schema: Mapping[str, SObject],
        clock: Callable[[], datetime] = _wall_clock,
    ) -> None:
        self.schema = schema
        self._clock = clock
        self._lock = threading.RLock()
        self._depth = 0
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute("PRAGMA temp_store = MEMORY")
        self._connection.execute("PRAGMA secure_delete = ON")  # what is deleted is not left in free pages
        self._connection.create_function("make_id", 2, make_id, deterministic=True)
        self._connection.executescript(_META_TABLES)
        for sobject in schema.values():
            self._create_table(sobject)
        with self.transaction() as connection:
            connection.execute(
                'INSERT OR IGNORE INTO "Organization" (Id, Name, IsSandbox, IsDeleted)'
                " VALUES (?, 'millrace emulator', 1, 0)",
                (ORGANIZATION_ID,),
            )

    def close(self) -> None:
        """Close the database; the object cannot be used afterwards."""
        with self._lock:
            self._connection.close()

    def timestamp(self) -> str:
        """Now, as the REST interface writes it."""
        return self._clock().strftime("%Y-%m-%dT%H:%M:%S.000+0000")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, alone; nests by joining the outer transaction."""
        with self._lock:
            outermost = self._depth == 0
            self._depth += 1
            if outermost:
                self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                if outermost:
                    self._connection.execute("ROLLBACK")
                raise
            else:
                if outermost:
                    self._connection.execute("COMMIT")
            finally:
                self._depth -= 1

    def rows(
        self, sql: str, parameters: Sequence[object] | Mapping[str, object] = ()
    ) -> list[dict[str, Any]]:
        """Rows of a query, by column name."""
        with self.transaction() as connection:
            cursor = connection.execute(sql, parameters)
            names = [description[0] for description in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]

    def reserve(self, counter: str, count: int) -> int:
        """Take `count` consecutive numbers; returns the first."""
        with self.transaction() as connection:
            (last,) = connection.execute(
                'INSERT INTO "_counters" VALUES (:name, :count)'
                " ON CONFLICT (name) DO UPDATE SET value = value + :count RETURNING value",
                {"name": counter, "count": count},
            ).fetchone()
        return int(last) - count + 1

    def reset(self) -> None:
        """Forget every record, job and audit row (the Organization record stays)."""
        with self.transaction() as connection:
            for sobject in self.schema.values():
                if sobject.name != "Organization":
                    connection.execute(f'DELETE FROM "{sobject.name}"')
            for table in ("_jobs", "_job_rows", "_audit"):
                connection.execute(f'DELETE FROM "{table}"')

    def purge(self, record_ids: Sequence[str]) -> list[str]:
        """Remove records from the recycle bin, and what the audit says of them; returns those that were in it."""
        gone: list[str] = []
        with self.transaction() as connection:
            for sobject in self.schema.values():
                keys = ["Id", *(field.name for field in sobject.stored if field.external_id)]
                for record_id in record_ids:
                    row = connection.execute(
                        f'SELECT {", ".join(keys)} FROM "{sobject.name}" WHERE Id = ? AND IsDeleted = 1',
                        (record_id,),
                    ).fetchone()
                    if row is None:
                        continue
                    connection.execute(f'DELETE FROM "{sobject.name}" WHERE Id = ?', (record_id,))
                    for key in row:
                        connection.execute(
                            'DELETE FROM "_audit" WHERE object = ? AND key = ?', (sobject.name, key)
                        )
                    gone.append(record_id)
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return gone

    def _create_table(self, sobject: SObject) -> None:
        columns = ", ".join(_column(field) for field in sobject.stored)
        self._connection.execute(f'CREATE TABLE IF NOT EXISTS "{sobject.name}" ({columns})')
        present = {row[1] for row in self._connection.execute(f'PRAGMA table_info("{sobject.name}")')}
        for field in sobject.stored:
            if field.name not in present:
                self._connection.execute(f'ALTER TABLE "{sobject.name}" ADD COLUMN {_column(field)}')
            if field.unique or field.external_id:
                # Partial: a deleted record frees its key, as in the real org's recycle bin.
                self._connection.execute(
                    f"CREATE {'UNIQUE' if field.unique else ''} INDEX IF NOT EXISTS"
                    f' "{sobject.name}.{field.name}" ON "{sobject.name}" ("{field.name}") WHERE IsDeleted = 0'
                )


def _column(field: Field) -> str:
    if field.name == "Id":
        return '"Id" TEXT PRIMARY KEY'
    kind = "REAL" if field.is_number else "INTEGER" if field.type == "boolean" else "TEXT"
    fold = field.external_id and not field.case_sensitive
    return f'"{field.name}" {kind}{" COLLATE NOCASE" if fold else ""}'
