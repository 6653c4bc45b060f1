"""What a write means: the operation, and the field that each column of the input goes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipelines.lab.emulator.objects import Field, SObject

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
    schema: Mapping[str, SObject],
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


def _map_column(schema: Mapping[str, SObject], sobject: SObject, name: str) -> Column | None:
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
