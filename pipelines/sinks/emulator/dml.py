"""Writes to the org's records: the one path that Bulk jobs, REST calls and seeding share.

A batch is converted column by column, staged in a temporary table and then checked and applied with
a handful of SQL statements, whatever its number of rows.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pipelines.sinks.emulator.errors import RowError
from pipelines.sinks.emulator.objects import Field, SObject
from pipelines.sinks.emulator.store import USER_ID, Store
from pipelines.sinks.emulator.values import KEEP, Value, convert

OPERATIONS = ("insert", "update", "upsert", "delete")


class HeaderError(Exception):
    """A column cannot be mapped to a field; the whole batch is refused."""


@dataclass(frozen=True)
class Column:
    """Where a column of the input goes: a field, found by the parent's external id if `via` is set."""

    header: str
    field: Field
    parent: SObject | None = None
    via: Field | None = None


@dataclass(frozen=True)
class Outcome:
    """Fate of one input row."""

    record_id: str
    created: bool
    error: RowError | None


@dataclass(frozen=True)
class Write:
    """What to write and how.

    Attributes
    ----------
    sobject, operation
        Object, and one of :data:`OPERATIONS`.
    columns
        Meaning of each column, from :func:`map_header`.
    key
        External id field of an upsert (``Id`` otherwise).
    enforce_access
        Whether the integration user's field access applies; seeding writes as an administrator.
    """

    sobject: SObject
    operation: str
    columns: tuple[Column, ...]
    key: Field
    enforce_access: bool = True

    def slot(self, field: Field) -> str | None:
        """Name of the staging column that holds the values of `field`; None if it was not sent."""
        for position, column in enumerate(self.columns):
            if column.field is field:
                return f"v{position}"
        return None


def plan(
    schema: dict[str, SObject],
    sobject: SObject,
    operation: str,
    header: Sequence[str],
    *,
    key: str = "Id",
    enforce_access: bool = True,
) -> Write:
    """Map a header row to fields.

    Raises
    ------
    HeaderError
        A name is no field, occurs twice, or the key is not among them; worded as the service does.
    """
    columns: list[Column] = []
    for name in header:
        column = _map_column(schema, sobject, name)
        if column is None:
            raise HeaderError(f"Field name not found : {name}")
        if any(column.field is other.field for other in columns):
            raise HeaderError(f"Field name duplicated : {name}")
        columns.append(column)
    key_field = sobject.get(key if operation == "upsert" else "Id")
    if key_field is None or (
        operation != "insert" and all(column.field is not key_field for column in columns)
    ):
        raise HeaderError(f"Field name not found : {key if operation == 'upsert' else 'Id'}")
    return Write(sobject, operation, tuple(columns), key_field, enforce_access)


def _map_column(schema: dict[str, SObject], sobject: SObject, name: str) -> Column | None:
    relationship, dot, parent_field = name.partition(".")
    if not dot:
        field = sobject.get(name)
        return Column(name, field) if field and not field.calculated else None
    lookup = sobject.by_relationship.get(relationship.lower())
    if lookup is None or lookup.reference_to is None:
        return None
    parent = schema[lookup.reference_to.lower()]
    via = parent.get(parent_field)
    return Column(name, lookup, parent, via) if via and via.external_id else None


def apply(
    store: Store,
    write: Write,
    rows: Sequence[Sequence[Value]],
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
    rows
        Cells in the order of the columns: text, None (clear) or :data:`KEEP`.
    locked
        Positions of rows that fail with ``UNABLE_TO_LOCK_ROW``.
    audit
        Whether to count the payloads.

    Returns
    -------
    list of Outcome
        One per row, in order.
    """
    if not rows:
        return []
    errors = {
        row: RowError("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record or 1 records")
        for row in locked
    }
    staged: list[list[Value]] = []
    for column, cells in zip(write.columns, zip(*rows, strict=True), strict=True):
        # A parent's external id is resolved in SQL; every other cell becomes a stored value here.
        values, bad = (list(cells), {}) if column.via else convert(column.field, cells)
        staged.append(values)
        for row, error in bad.items():
            errors.setdefault(row, error)
        for row, error in _refused(write, column, values).items():
            errors.setdefault(row, error)
    with store.transaction() as connection:
        _stage(connection, staged, errors, len(rows))
        _resolve_parents(connection, write)
        _find_targets(connection, write)
        if write.operation == "delete":
            _delete(connection, store, write)
        else:
            _check_unique(connection, write)
            _check_required(connection, write)
            _save(connection, store, write)
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
            _audit(connection, write, rows, outcomes)
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


def _stage(
    connection: sqlite3.Connection, columns: list[list[Value]], errors: dict[int, RowError], count: int
) -> None:
    names = ", ".join(f"v{position}" for position in range(len(columns)))
    connection.execute("DROP TABLE IF EXISTS temp.stage")
    connection.execute(
        "CREATE TEMP TABLE stage (row INTEGER PRIMARY KEY, target TEXT, created INTEGER DEFAULT 0,"
        f" code TEXT, message TEXT, blame TEXT, {names})"
    )
    blamed = [errors.get(row) for row in range(count)]
    connection.executemany(
        f"INSERT INTO stage (row, code, message, blame, {names}) VALUES (?, ?, ?, ?{', ?' * len(columns)})",
        zip(
            range(count),
            (error and error.code for error in blamed),
            (error and error.message for error in blamed),
            (error and ",".join(error.fields) for error in blamed),
            *columns,
            strict=True,
        ),
    )


def _fail(connection: sqlite3.Connection, condition: str, code: str, message: str, blame: str = "") -> None:
    """Mark the rows that meet an SQL condition and have no error yet; `message` is an SQL expression."""
    connection.execute(
        f"UPDATE stage SET code = '{code}', message = {message}, blame = '{blame}'"  # noqa: S608 - declared names
        f" WHERE code IS NULL AND {condition}"
    )


def _resolve_parents(connection: sqlite3.Connection, write: Write) -> None:
    for position, column in enumerate(write.columns):
        value = f"v{position}"
        if column.parent is not None and column.via is not None:
            found = (
                f'SELECT Id FROM "{column.parent.name}" WHERE "{column.via.name}" = {value} AND IsDeleted = 0'  # noqa: S608
            )
            _fail(
                connection,
                f"typeof({value}) = 'text' AND NOT EXISTS ({found})",
                "INVALID_FIELD",
                f"'Foreign key external ID: ' || {value} || ' not found for field {column.via.name}"
                f" in entity {column.parent.name}'",
            )
            connection.execute(
                f"UPDATE stage SET {value} = ({found}) WHERE code IS NULL AND typeof({value}) = 'text'"  # noqa: S608
            )
        elif column.field.reference_to:
            _fail(
                connection,
                f"typeof({value}) = 'text' AND NOT EXISTS (SELECT 1 FROM \"{column.field.reference_to}\""
                f" WHERE Id = {value} AND IsDeleted = 0)",
                "INVALID_CROSS_REFERENCE_KEY",
                "'invalid cross reference id'",
            )


def _find_targets(connection: sqlite3.Connection, write: Write) -> None:
    """Set ``target`` to the existing record, or ``created`` if there will be a new one."""
    table, key, slot = f'"{write.sobject.name}"', write.key.name, write.slot(write.key)
    if write.operation == "insert":
        if slot is not None:
            _fail(
                connection,
                f"typeof({slot}) = 'text'",
                "INVALID_FIELD_FOR_INSERT_UPDATE",
                "'cannot specify Id in an insert call'",
                "Id",
            )
        connection.execute("UPDATE stage SET created = 1")
        return
    call = {"upsert": "an upsert", "update": "an update", "delete": "a delete"}[write.operation]
    _fail(
        connection,
        f"typeof({slot}) <> 'text'",
        "MISSING_ARGUMENT",
        f"'{key} not specified in {call} call'",
        key,
    )
    upsert_by_key = write.operation == "upsert" and key != "Id"
    _fail(
        connection,
        # All rows that share the value fail: the service cannot tell which one was meant.
        f"{slot} IN (SELECT {slot} FROM stage WHERE code IS NULL GROUP BY {slot} HAVING count(*) > 1)",
        "DUPLICATE_EXTERNAL_ID" if upsert_by_key else "DUPLICATE_VALUE",
        f"'Duplicate {'external ' if upsert_by_key else ''}id specified: ' || {slot}",
        key,
    )
    found = f'SELECT Id FROM {table} WHERE "{key}" = {slot} AND IsDeleted = 0'  # noqa: S608 - declared names
    connection.execute(f"UPDATE stage SET target = ({found}) WHERE typeof({slot}) = 'text'")  # noqa: S608
    if upsert_by_key:
        connection.execute("UPDATE stage SET created = 1 WHERE target IS NULL")
        return
    _fail(
        connection,
        f"target IS NULL AND EXISTS (SELECT 1 FROM {table} WHERE Id = {slot})",  # noqa: S608
        "ENTITY_IS_DELETED",
        "'entity is deleted'",
    )
    _fail(connection, "target IS NULL", "INVALID_CROSS_REFERENCE_KEY", "'invalid cross reference id'")


def _check_unique(connection: sqlite3.Connection, write: Write) -> None:
    for field in write.sobject.stored:
        slot = write.slot(field)
        if not field.unique or slot is None or (field is write.key and write.operation == "upsert"):
            continue
        other = (
            f'SELECT o.Id FROM "{write.sobject.name}" o WHERE o."{field.name}" = {slot}'  # noqa: S608
            " AND o.IsDeleted = 0 AND o.Id IS NOT stage.target"
        )
        message = f"'duplicate value found: {field.name} duplicates value on record with id: ' || "
        _fail(
            connection,
            f"typeof({slot}) = 'text' AND EXISTS ({other})",
            "DUPLICATE_VALUE",
            f"{message} ({other})",
        )
        _fail(
            connection,
            f"typeof({slot}) = 'text' AND row NOT IN"
            f" (SELECT min(row) FROM stage WHERE code IS NULL GROUP BY {slot})",
            "DUPLICATE_VALUE",
            f"{message} '<unknown>'",
        )


def _check_required(connection: sqlite3.Connection, write: Write) -> None:
    for field in write.sobject.stored:
        if not field.required:
            continue
        slot = write.slot(field)
        missing = (
            "created = 1" if slot is None else f"({slot} IS NULL OR created = 1 AND typeof({slot}) = 'blob')"
        )
        _fail(
            connection,
            missing,
            "REQUIRED_FIELD_MISSING",
            f"'Required fields are missing: [{field.name}]'",
            field.name,
        )


def _save(connection: sqlite3.Connection, store: Store, write: Write) -> None:
    now, table = store.timestamp(), f'"{write.sobject.name}"'
    slots = [(f"v{i}", c.field) for i, c in enumerate(write.columns) if c.field.name != "Id"]
    assignments = "".join(
        f'"{field.name}" = CASE typeof(s.{slot}) WHEN \'blob\' THEN {table}."{field.name}" ELSE s.{slot} END, '
        for slot, field in slots
    )
    connection.execute(
        f"UPDATE {table} SET {assignments} LastModifiedDate = :now, SystemModstamp = :now,"  # noqa: S608
        " LastModifiedById = :user FROM stage s"
        f" WHERE {table}.Id = s.target AND s.code IS NULL AND s.created = 0",
        {"now": now, "user": USER_ID},
    )
    (count,) = connection.execute("SELECT count(*) FROM stage WHERE created = 1 AND code IS NULL").fetchone()
    if not count:
        return
    first = store.reserve(write.sobject.name, count)
    connection.execute(
        "UPDATE stage SET target = make_id(:prefix, :first + n.number) FROM (SELECT row AS r,"
        " row_number() OVER (ORDER BY row) - 1 AS number FROM stage WHERE created = 1 AND code IS NULL) n"
        " WHERE stage.row = n.r",
        {"prefix": write.sobject.key_prefix, "first": first},
    )
    defaults = {
        "Id": "s.target",
        "OwnerId": ":user",
        "IsDeleted": "0",
        "CreatedDate": ":now",
        "CreatedById": ":user",
        "LastModifiedDate": ":now",
        "LastModifiedById": ":user",
        "SystemModstamp": ":now",
    }
    values = {
        field.name: f"CASE typeof(s.{slot}) WHEN 'blob' THEN {defaults.get(field.name, 'NULL')} ELSE s.{slot} END"
        for slot, field in slots
    }
    number = write.sobject.get("Name")
    if number is not None and number.auto_number:
        prefix, _, digits = number.auto_number.partition("{")
        width = len(digits.rstrip("}"))
        values["Name"] = (
            f"'{prefix}' || printf('%0{width}d', :first + row_number() OVER (ORDER BY s.row) - 1)"
        )
    values = defaults | values
    names = ", ".join(f'"{name}"' for name in values)
    connection.execute(
        f"INSERT INTO {table} ({names}) SELECT {', '.join(values.values())} FROM stage s"  # noqa: S608
        " WHERE s.created = 1 AND s.code IS NULL",
        {"now": now, "user": USER_ID, "first": first},
    )


def _delete(connection: sqlite3.Connection, store: Store, write: Write) -> None:
    connection.execute(
        f'UPDATE "{write.sobject.name}" SET IsDeleted = 1, SystemModstamp = ?'  # noqa: S608
        " WHERE Id IN (SELECT target FROM stage WHERE code IS NULL)",
        (store.timestamp(),),
    )


def _audit(
    connection: sqlite3.Connection, write: Write, rows: Sequence[Sequence[Value]], outcomes: Sequence[Outcome]
) -> None:
    """Count per key and payload how often it was processed, independent of the order of columns."""
    order = sorted(range(len(write.columns)), key=lambda i: write.columns[i].header)
    head = repr([write.columns[i].header for i in order])
    key = next((i for i, column in enumerate(write.columns) if column.field is write.key), None)
    connection.executemany(
        'INSERT INTO "_audit" VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE'
        " SET ok = ok + excluded.ok, failed = failed + excluded.failed",
        (
            (
                write.sobject.name,
                outcome.record_id if key is None else str(row[key]),
                hashlib.blake2b(
                    f"{write.operation}{head}{[row[i] for i in order]!r}".encode(), digest_size=12
                ).hexdigest(),
                write.operation,
                int(outcome.error is None),
                int(outcome.error is not None),
            )
            for row, outcome in zip(rows, outcomes, strict=True)
        ),
    )
