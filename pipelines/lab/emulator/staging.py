"""The SQL of a write: a batch in a temporary table, checked and applied by whole-table statements.

Table ``stage`` has a row per input row: ``target`` (record id), ``created``, the error if there is one
(``code``, ``message``, ``blame``), and ``v0``, ``v1``... with the values of the columns; a blob stands
for a cell that leaves its field alone.
"""

from __future__ import annotations

import sqlite3

from pipelines.lab.emulator.errors import RowError
from pipelines.lab.emulator.plan import Write
from pipelines.lab.emulator.store import USER_ID, Store
from pipelines.lab.emulator.values import Value


def stage(
    connection: sqlite3.Connection, columns: list[list[Value]], errors: dict[int, RowError], count: int
) -> None:
    """Make the staging table from columns of values and the errors by row that are known already."""
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
        f"UPDATE stage SET code = '{code}', message = {message}, blame = '{blame}'"
        f" WHERE code IS NULL AND {condition}"
    )


def resolve_parents(connection: sqlite3.Connection, write: Write) -> None:
    """Turn external ids of parents into record ids, and refuse parents that do not exist."""
    for position, column in enumerate(write.columns):
        value = f"v{position}"
        if column.parent is not None and column.via is not None:
            found = (
                f'SELECT Id FROM "{column.parent.name}" WHERE "{column.via.name}" = {value} AND IsDeleted = 0'
            )
            _fail(
                connection,
                f"typeof({value}) = 'text' AND NOT EXISTS ({found})",
                "INVALID_FIELD",
                f"'Foreign key external ID: ' || {value} || ' not found for field {column.via.name}"
                f" in entity {column.parent.name}'",
            )
            connection.execute(
                f"UPDATE stage SET {value} = ({found}) WHERE code IS NULL AND typeof({value}) = 'text'"
            )
        elif column.field.reference_to:
            _fail(
                connection,
                f"typeof({value}) = 'text' AND NOT EXISTS (SELECT 1 FROM \"{column.field.reference_to}\""
                f" WHERE Id = {value} AND IsDeleted = 0)",
                "INVALID_CROSS_REFERENCE_KEY",
                "'invalid cross reference id'",
            )


def find_targets(connection: sqlite3.Connection, write: Write) -> None:
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
    found = f'SELECT Id FROM {table} WHERE "{key}" = {slot} AND IsDeleted = 0'
    connection.execute(f"UPDATE stage SET target = ({found}) WHERE typeof({slot}) = 'text'")
    if upsert_by_key:
        connection.execute("UPDATE stage SET created = 1 WHERE target IS NULL")
        return
    _fail(
        connection,
        f"target IS NULL AND EXISTS (SELECT 1 FROM {table} WHERE Id = {slot})",
        "ENTITY_IS_DELETED",
        "'entity is deleted'",
    )
    _fail(connection, "target IS NULL", "INVALID_CROSS_REFERENCE_KEY", "'invalid cross reference id'")


def check_unique(connection: sqlite3.Connection, write: Write) -> None:
    """Refuse values of unique fields that another record or an earlier row has."""
    for field in write.sobject.stored:
        slot = write.slot(field)
        if not field.unique or slot is None or (field is write.key and write.operation == "upsert"):
            continue
        other = (
            f'SELECT o.Id FROM "{write.sobject.name}" o WHERE o."{field.name}" = {slot}'
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


def check_required(connection: sqlite3.Connection, write: Write) -> None:
    """Refuse rows that would leave a required field empty."""
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


def _unless_kept(slot: str, kept: str) -> str:
    """SQL of a staged value, or of `kept` where the cell left the field alone."""
    return f"CASE typeof(s.{slot}) WHEN 'blob' THEN {kept} ELSE s.{slot} END"


def save(connection: sqlite3.Connection, store: Store, write: Write) -> None:
    """Update the records that exist and insert the others, with new ids."""
    now, table = store.timestamp(), f'"{write.sobject.name}"'
    slots = [(f"v{i}", c.field) for i, c in enumerate(write.columns) if c.field.name != "Id"]
    columns = [(slot, f'"{field.name}"') for slot, field in slots]
    assignments = "".join(f"{name} = {_unless_kept(slot, f'{table}.{name}')}, " for slot, name in columns)
    connection.execute(
        f"UPDATE {table} SET {assignments} LastModifiedDate = :now, SystemModstamp = :now,"
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
    values = {field.name: _unless_kept(slot, defaults.get(field.name, "NULL")) for slot, field in slots}
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
        f"INSERT INTO {table} ({names}) SELECT {', '.join(values.values())} FROM stage s"
        " WHERE s.created = 1 AND s.code IS NULL",
        {"now": now, "user": USER_ID, "first": first},
    )


def delete(connection: sqlite3.Connection, store: Store, write: Write) -> None:
    """Move records to the recycle bin."""
    connection.execute(
        f'UPDATE "{write.sobject.name}" SET IsDeleted = 1, SystemModstamp = ?'
        " WHERE Id IN (SELECT target FROM stage WHERE code IS NULL)",
        (store.timestamp(),),
    )
