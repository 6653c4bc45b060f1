"""Conversion of cells to stored values, column by column, with the service's error per bad cell."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from pipelines.lab.emulator.errors import RowError
from pipelines.lab.emulator.ids import with_suffix
from pipelines.lab.emulator.objects import Field

KEEP: Final = b""
"""A cell that leaves the field as it is: an empty one. A blob, so that SQL can tell it from a text."""

NULL_MARKER: Final = "#N/A"
"""A cell that clears the field."""

Cell = str | None | bytes
"""A cell of the input: text, None (clear the field) or :data:`KEEP`."""

Value = Cell | float
"""What is stored."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_ID = re.compile(r"[0-9A-Za-z]{15}([0-9A-Za-z]{3})?")


class _BadValueError(Exception):
    def __init__(self, error: RowError) -> None:
        self.error = error


def from_csv(cells: Sequence[str]) -> list[Cell]:
    """Cells of a CSV column: empty keeps the field, ``#N/A`` clears it."""
    return [KEEP if cell == "" else None if cell == NULL_MARKER else cell for cell in cells]


def from_json(value: object) -> Cell:
    """Text form of a JSON value; null and the empty string clear the field."""
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def convert(field: Field, cells: Sequence[Cell]) -> tuple[list[Value], dict[int, RowError]]:
    """Convert a column to stored values.

    Parameters
    ----------
    field
        Field that the column is for.
    cells
        Text, None (clear) or :data:`KEEP`.

    Returns
    -------
    tuple of list and dict
        Values in the order of `cells`, and the error by position of each cell that was refused.
    """
    values: list[Value] = list(cells)
    if field.is_text and not any(cell is not None and len(cell) > field.length for cell in cells):
        return values, {}
    errors: dict[int, RowError] = {}
    one = _CONVERTERS[field.type]
    seen: dict[str, Value | RowError] = {}  # most columns repeat few distinct values
    for position, cell in enumerate(cells):
        if not isinstance(cell, str):
            continue
        result = seen.get(cell)
        if result is None:
            try:
                result = one(field, cell)
            except _BadValueError as bad:
                result = bad.error
            seen[cell] = result
        if isinstance(result, RowError):
            errors[position] = result
            values[position] = KEEP
        else:
            values[position] = result
    return values, errors


def _text(field: Field, cell: str) -> Value:
    if len(cell) > field.length:
        raise _BadValueError(
            RowError(
                "STRING_TOO_LONG",
                f"{field.label}: data value too large: {cell} (max length={field.length})",
                (field.name,),
            )
        )
    return cell


def _number(field: Field, cell: str) -> Value:
    if not _NUMBER.fullmatch(cell):
        raise _wrong_type(field, cell)
    scale = 0 if field.type == "int" else field.scale
    number = Decimal(cell)
    if field.type == "int" and number != number.to_integral_value():
        raise _wrong_type(field, cell)
    # The service rounds what exceeds the declared decimals, half away from zero.
    rounded = number.quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP) if abs(number) < 10**18 else number
    if abs(rounded) >= 10 ** (field.precision - scale):
        raise _BadValueError(
            RowError(
                "NUMBER_OUTSIDE_VALID_RANGE",
                f"{field.label}: value outside of valid range on numeric field: {cell}",
                (field.name,),
            )
        )
    return float(rounded)


def _date(field: Field, cell: str) -> Value:
    try:
        return date.fromisoformat(cell.removesuffix("Z")).isoformat()
    except ValueError:
        raise _wrong_type(field, cell) from None


def _datetime(field: Field, cell: str) -> Value:
    try:
        moment = datetime.fromisoformat(cell)
    except ValueError:
        raise _wrong_type(field, cell) from None
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")


def _boolean(field: Field, cell: str) -> Value:
    try:
        return {"true": 1, "1": 1, "false": 0, "0": 0}[cell.lower()]
    except KeyError:
        raise _wrong_type(field, cell) from None


def _picklist(field: Field, cell: str) -> Value:
    if field.restricted and cell not in {value for value, _ in field.picklist}:
        raise _BadValueError(
            RowError(
                "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
                f"{field.label}: bad value for restricted picklist field: {cell}",
                (field.name,),
            )
        )
    return _text(field, cell)


def _id(field: Field, cell: str) -> Value:
    if not _ID.fullmatch(cell):
        raise _BadValueError(
            RowError("MALFORMED_ID", f"{field.label}: id value of incorrect type: {cell}", (field.name,))
        )
    return with_suffix(cell) if len(cell) == 15 else cell


def _wrong_type(field: Field, cell: str) -> _BadValueError:
    return _BadValueError(
        RowError(
            "INVALID_TYPE_ON_FIELD_IN_RECORD",
            f"{field.label}: value not of required type: {cell}",
            (field.name,),
        )
    )


_CONVERTERS: dict[str, Callable[[Field, str], Value]] = {
    "string": _text,
    "textarea": _text,
    "url": _text,
    "phone": _text,
    "double": _number,
    "int": _number,
    "currency": _number,
    "percent": _number,
    "date": _date,
    "datetime": _datetime,
    "boolean": _boolean,
    "picklist": _picklist,
    "reference": _id,
    "id": _id,
}
