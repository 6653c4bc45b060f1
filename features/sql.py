"""SQL of declarations: names and texts quoted, and the rules that a declared column implies.

Whoever decides whether a row keeps its declaration (the audit of what is written, the checks of what is
delivered) asks here, so that a rule has one condition and one wording.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from features.schemas import Column, DType


@dataclass(frozen=True)
class Rule:
    """One rule that every row keeps.

    Attributes
    ----------
    words
        Column and rule, without a value: what offending rows are counted by.
    broken
        SQL condition that is true for an offending row.
    value
        SQL text of the offending value; None where it would repeat personal data or add nothing.
    column
        Name of the column that offends.
    """

    words: str
    broken: str
    value: str | None
    column: str


def quoted(name: str) -> str:
    """Quote an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def listed(names: Iterable[str]) -> str:
    """Quote identifiers and separate them by commas."""
    return ", ".join(quoted(name) for name in names)


def shown(column: Column) -> str | None:
    """SQL text of a column's value; None if it is personal."""
    return None if column.personal else f"coalesce({quoted(column.name)}::varchar, 'null')"


def column_rules(column: Column, *, delivered: str | None = None) -> list[Rule]:
    """Rules of a declared column: nulls, finite numbers, bounds and allowed values.

    Parameters
    ----------
    delivered
        SQL of the value before it was cast to the declared type, by which nulls are told from values that
        could not be cast; the column itself by default.
    """
    name = quoted(column.name)
    # What is broken, its condition, and whether the value says more than the rule.
    found: list[tuple[str, str, bool]] = []
    if not column.nullable:
        found.append(("not be null", f"{delivered or name} is null", False))
    if column.dtype is DType.NUMBER:
        found.append(("be finite", f"not isfinite({name})", True))
    if column.minimum is not None:
        found.append((f"be >= {column.minimum:g}", f"{name} < {column.minimum!r}", True))
    if column.maximum is not None:
        found.append((f"be <= {column.maximum:g}", f"{name} > {column.maximum!r}", True))
    if column.allowed is not None:
        values = ", ".join(literal(value) for value in column.allowed)
        found.append((f"be one of {', '.join(column.allowed)}", f"{name} not in ({values})", True))
    return [
        Rule(f"{column.name} must {words}", broken, shown(column) if telling else None, column.name)
        for words, broken, telling in found
    ]
