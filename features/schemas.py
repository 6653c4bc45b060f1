"""Declarations of tables: one place where a column's type, unit, null rule and range are written.

Everything that checks or documents a table (landing, audits, Great Expectations' pages, Delta
schemas, the reference pages) is derived from the same :class:`Table`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypedDict, Unpack

import pyarrow as pa


class DType(StrEnum):
    """Logical types of a column, with one representation in Arrow and one in SQL each."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"  # UTC, microseconds, without a zone attached

    @property
    def arrow(self) -> pa.DataType:
        """Arrow type that stores this logical type."""
        return _TYPES[self][0]

    @property
    def sql(self) -> str:
        """Name of the type in DuckDB and in dbt contracts."""
        return _TYPES[self][1]


_TYPES: dict[DType, tuple[pa.DataType, str]] = {
    DType.STRING: (pa.string(), "varchar"),
    DType.INTEGER: (pa.int64(), "bigint"),
    DType.NUMBER: (pa.float64(), "double"),
    DType.BOOLEAN: (pa.bool_(), "boolean"),
    DType.DATE: (pa.date32(), "date"),
    DType.TIMESTAMP: (pa.timestamp("us"), "timestamp"),
}


@dataclass(frozen=True)
class Column:
    """One column: name, type, meaning, unit and the rules that its values keep.

    Attributes
    ----------
    name, dtype, description
        What it is called, how it is stored, what it means.
    unit
        Unit of the values (``"EUR"``, ``"days"``); None where there is none.
    nullable
        Whether null is allowed; ``description`` says what null means.
    minimum, maximum
        Inclusive bounds of a numeric column.
    allowed
        The only values that may occur.
    personal
        Personal data in the sense of the GDPR: never leaves ``raw/`` for a feature table.
    """

    name: str
    dtype: DType
    description: str
    unit: str | None = None
    nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    allowed: tuple[str, ...] | None = None
    personal: bool = False


class _Rules(TypedDict, total=False):
    """What a column may declare beside name, type and meaning; see :class:`Column`."""

    unit: str | None
    nullable: bool
    minimum: float | None
    maximum: float | None
    allowed: tuple[str, ...] | None
    personal: bool


def text(name: str, description: str, **rules: Unpack[_Rules]) -> Column:
    """Column of texts."""
    return Column(name, DType.STRING, description, **rules)


def integer(name: str, description: str, **rules: Unpack[_Rules]) -> Column:
    """Column of whole numbers."""
    return Column(name, DType.INTEGER, description, **rules)


def number(name: str, description: str, **rules: Unpack[_Rules]) -> Column:
    """Column of numbers."""
    return Column(name, DType.NUMBER, description, **rules)


def flag(name: str, description: str, **rules: Unpack[_Rules]) -> Column:
    """Column of true and false."""
    return Column(name, DType.BOOLEAN, description, **rules)


def day(name: str, description: str, **rules: Unpack[_Rules]) -> Column:
    """Column of days."""
    return Column(name, DType.DATE, description, **rules)


def timestamp(name: str, description: str, **rules: Unpack[_Rules]) -> Column:
    """Column of moments, in UTC unless ``unit`` names another clock."""
    rules.setdefault("unit", "UTC")
    return Column(name, DType.TIMESTAMP, description, **rules)


@dataclass(frozen=True)
class Reference:
    """Other table of the lake that the rows of a table refer to.

    Attributes
    ----------
    columns
        Columns of the same names in both tables; the values of every row must occur together in the other.
    table
        Name of the other table.
    where
        SQL condition on the other table's rows.
    """

    columns: tuple[str, ...]
    table: str
    where: str = "true"


@dataclass(frozen=True)
class Total:
    """Other table of the lake that holds the sum of a column, day by day.

    Attributes
    ----------
    column
        Number of the same name in both tables.
    table
        Name of the other table.
    where
        SQL condition on the other table's rows.
    """

    column: str
    table: str
    where: str


@dataclass(frozen=True)
class Table:
    """One table: its grain, key and columns.

    Attributes
    ----------
    name
        Path below the lake's root, for instance ``raw/churn_accounts``.
    description
        What a row is; ends with the grain.
    columns
        In storage order.
    key
        Names of the columns that identify a row.
    partition_by
        Partition columns of the Delta table; must be among ``columns``.
    references, totals
        What must agree with other tables of the same ``as_of``.
    steady
        Columns whose distribution is usually much the same from one ``as_of`` to the next.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    partition_by: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()
    totals: tuple[Total, ...] = ()
    steady: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        if len(set(names)) != len(names):
            raise ValueError(f"{self.name}: column names must be unique, got {names}")
        named = [*self.key, *self.partition_by, *self.steady, *(total.column for total in self.totals)]
        named += [name for reference in self.references for name in reference.columns]
        missing = [name for name in named if name not in names]
        if missing:
            raise ValueError(
                f"{self.name}: what key, partition, references, totals and steady name must be columns, "
                f"missing {missing}"
            )

    @property
    def column_names(self) -> list[str]:
        """Names of the columns in storage order."""
        return [column.name for column in self.columns]

    @property
    def arrow_schema(self) -> pa.Schema:
        """Arrow schema; nullability follows the null rule."""
        return pa.schema([pa.field(c.name, c.dtype.arrow, nullable=c.nullable) for c in self.columns])

    def column(self, name: str) -> Column:
        """Look up a column by name.

        Raises
        ------
        KeyError
            There is no such column; the message lists those there are.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.name} has no column {name!r}; it has {self.column_names}")


#: Columns that many tables have.
AS_OF = day("as_of", "Day of the decision; nothing known on or after it is used.")
MODEL_VERSION = text("model_version", "Version in the MLflow registry, as `<use case>/<number>`.")
KNOWN_AT = timestamp("known_at", "When the source system had recorded this row (UTC).")
