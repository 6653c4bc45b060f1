"""Writes to the org's records: the one path that Bulk jobs, REST calls and seeding share.

A batch is converted column by column and handed to :mod:`~pipelines.lab.emulator.staging`; the
number of SQL statements does not depend on its number of rows.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Collection, Sequence
from typing import NamedTuple

from pipelines.lab.emulator import staging
from pipelines.lab.emulator.errors import RowError
from pipelines.lab.emulator.plan import Column, Write
from pipelines.lab.emulator.store import Store
from pipelines.lab.emulator.values import KEEP, Cell, Value, convert


class Outcome(NamedTuple):
    """Fate of one input row."""

    record_id: str
    created: bool
    error: RowError | None


def apply(
    store: Store,
    write: Write,
    columns: Sequence[Sequence[Cell]],
    *,
    locked: Collection[int] = (),
    audit: bool = True,
) -> list[Outcome]:
    """Write a batch of rows; each succeeds or fails on its own.

    Parameters
    ----------
    store
        The org; the batch is one transaction (or part of the caller's).
    write
        What the columns mean.
    columns
        Cells of each column of `write`: text, None (clear) or :data:`KEEP`.
    locked
        Positions of rows that fail with ``UNABLE_TO_LOCK_ROW``.
    audit
        Whether to count the payloads.

    Returns
    -------
    list of Outcome
        One per row, in order.
    """
    count = len(columns[0])
    errors = {
        row: RowError("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record or 1 records")
        for row in locked
    }
    staged: list[list[Value]] = []
    for column, cells in zip(write.columns, columns, strict=True):
        # A parent's external id is resolved in SQL; every other cell becomes a stored value here.
        values, bad = (list(cells), {}) if column.via else convert(column.field, cells)
        staged.append(values)
        for row, error in bad.items():
            errors.setdefault(row, error)
        for row, error in _refused(write, column, values).items():
            errors.setdefault(row, error)
    with store.transaction() as connection:
        staging.stage(connection, staged, errors, count)
        staging.resolve_parents(connection, write)
        staging.find_targets(connection, write)
        if write.operation == "delete":
            staging.delete(connection, store, write)
        else:
            staging.check_unique(connection, write)
            staging.check_required(connection, write)
            staging.save(connection, store, write)
        outcomes = [
            Outcome(
                target or "",
                bool(created),
                RowError(code, message, (blame,) if blame else ()) if code else None,
            )
            for target, created, code, message, blame in connection.execute(
                "SELECT target, created, code, message, blame FROM stage ORDER BY row"
            )
        ]
        if audit:
            _audit(connection, write, columns, outcomes)
        connection.execute("DROP TABLE temp.stage")
    return outcomes


def _refused(write: Write, column: Column, values: Sequence[Value]) -> dict[int, RowError]:
    """Rows that set a field which the user may not set."""
    field = column.field
    if not write.enforce_access or field.name == "Id" or (field.createable and field.updateable):
        return {}
    error = RowError(
        "INVALID_FIELD_FOR_INSERT_UPDATE",
        f"Unable to create/update fields: {field.name}. Please check the security settings of this field"
        " and verify that it is read/write for your profile or permission set.",
        (field.name,),
    )
    return {row: error for row, value in enumerate(values) if value != KEEP}


def _audit(
    connection: sqlite3.Connection,
    write: Write,
    columns: Sequence[Sequence[Cell]],
    outcomes: Sequence[Outcome],
) -> None:
    """Count per key and payload how often it was processed, independent of the order of columns."""
    order = sorted(range(len(write.columns)), key=lambda i: write.columns[i].header)
    head = repr((write.operation, *(write.columns[i].header for i in order)))
    key = next((i for i, column in enumerate(write.columns) if column.field is write.key), None)
    keys = [outcome.record_id for outcome in outcomes] if key is None else columns[key]
    payloads = zip(*(columns[i] for i in order), strict=True)
    connection.executemany(
        'INSERT INTO "_audit" VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE'
        " SET ok = ok + excluded.ok, failed = failed + excluded.failed",
        (
            (
                write.sobject.name,
                str(value or ""),
                hashlib.blake2b(f"{head}{payload}".encode(), digest_size=12).hexdigest(),
                write.operation,
                outcome.error is None,
                outcome.error is not None,
            )
            for value, payload, outcome in zip(keys, payloads, outcomes, strict=True)
        ),
    )
