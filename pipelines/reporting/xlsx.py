"""Spreadsheets of one sheet: a header that stays in view, text, numbers and dates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from pathlib import Path

import xlsxwriter

#: Every book carries this moment, so that equal rows give equal bytes.
_CREATED = datetime(1980, 1, 1)  # noqa: DTZ001 - the format knows no zones

#: What a product is called is text, also where it begins like a formula or an address.
_AS_TEXT = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}


def write_xlsx(path: Path, name: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write one sheet of text, numbers, dates or None.

    What no sheet may be called by becomes an underscore in its name.
    """
    allowed = "".join("_" if sign in "[]:*?/\\'" else sign for sign in name)[:31]
    with xlsxwriter.Workbook(str(path), {**_AS_TEXT, "default_date_format": "yyyy-mm-dd"}) as book:
        book.set_properties({"created": _CREATED})
        bold = book.add_format({"bold": True})
        sheet = book.add_worksheet(allowed)
        sheet.freeze_panes(1, 0)
        sheet.write_row(0, 0, header, bold)
        for number, row in enumerate(rows, start=1):
            sheet.write_row(number, 0, [_cell(value) for value in row])
        sheet.autofit()


def _cell(value: object) -> object:
    """Value as the library takes it: numbers of numpy as Python's, days as moments."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, datetime.min.time())
    return value.item() if hasattr(value, "item") else value
