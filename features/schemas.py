"""Declarations of tables: one place where a column's type, unit, null rule and range are written.

Everything that checks or documents a table (landing, frame checks, Great Expectations suites,
Delta schemas, the reference pages) is derived from the same :class:`Table`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import pyarrow as pa


class DType(StrEnum):
    """Logical types of a column, with one Arrow representation each."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"  # UTC, microseconds, without a zone attached

    @property
    def arrow(self) -> pa.DataType:
        """Arrow type that stores this logical type."""
        return _ARROW[self]


_ARROW: dict[DType, pa.DataType] = {
    DType.STRING: pa.string(),
    DType.INTEGER: pa.int64(),
    DType.NUMBER: pa.float64(),
    DType.BOOLEAN: pa.bool_(),
    DType.DATE: pa.date32(),
    DType.TIMESTAMP: pa.timestamp("us"),
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
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    partition_by: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        if len(set(names)) != len(names):
            raise ValueError(f"{self.name}: column names must be unique, got {names}")
        missing = [name for name in (*self.key, *self.partition_by) if name not in names]
        if missing:
            raise ValueError(f"{self.name}: key and partition columns must be columns, missing {missing}")

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
AS_OF = Column("as_of", DType.DATE, "Day of the decision; nothing known on or after it is used.")
MODEL_VERSION = Column(
    "model_version", DType.STRING, "Version in the MLflow registry, as `<use case>/<number>`."
)
