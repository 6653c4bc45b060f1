"""Large tables: searched, filtered, sorted and paged in the browser, downloadable as CSV.

The rows are embedded once, column by column, with repeated texts stored once each; the browser
draws only the page that is looked at, so 15,000 rows open as fast as 15.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

#: How a cell is drawn; ``grid.js`` has one function for each.
KINDS = ("text", "two_lines", "list", "number", "units", "percent", "change", "euros", "days", "level")


@dataclass(frozen=True)
class GridColumn:
    """One visible column."""

    #: Heading.
    label: str
    #: One of :data:`KINDS`.
    kind: str
    #: Data columns it draws: the first is sorted by. ``two_lines`` takes a title and a subtitle, ``list`` any
    #: number, ``level`` a probability and a level, the others one.
    fields: tuple[str, ...]
    #: CSS width of the column; empty to let the browser choose.
    width: str = ""
    #: Name of the order in the sort menu of small screens; the heading if empty.
    sort_label: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS or not self.fields:
            raise ValueError(f"kind must be one of {KINDS} with at least one field, got {self}")


@dataclass(frozen=True)
class Grid:
    """A table of many rows."""

    #: Id of the element and name of the CSV file.
    name: str
    #: What the rows are.
    caption: str
    #: Visible columns.
    columns: tuple[GridColumn, ...]
    #: ``{field: (label, ordered values)}``: a choice per field; values in order of appearance if None.
    filters: Mapping[str, tuple[str, Sequence[str] | None]]
    #: Fields that the search box looks into.
    search: tuple[str, ...]
    #: ``{field: heading}`` of the CSV file.
    export: Mapping[str, str]
    #: Rows drawn at a time.
    page_size: int = 25
    #: What may be typed into the search box.
    hint: str = "name, id, reason, action"

    def payload(self, rows: pa.Table) -> dict[str, Any]:
        """Everything ``grid.js`` needs of rows, which come in the order to be shown first.

        Raises ``KeyError`` if ``rows`` lacks a field that a column, filter, search or export names.
        """
        wanted = dict.fromkeys(
            [field for column in self.columns for field in column.fields]
            + [*self.filters, *self.search, *self.export]
        )
        missing = [name for name in wanted if name not in rows.column_names]
        if missing:
            raise KeyError(f"grid {self.name!r} needs the columns {missing}, got {rows.column_names}")
        return {
            "name": self.name,
            "count": rows.num_rows,
            "pageSize": self.page_size,
            "columns": [{"label": c.label, "kind": c.kind, "fields": list(c.fields)} for c in self.columns],
            "filters": [
                {"field": name, "label": label, "values": list(values or _values(rows[name]))}
                for name, (label, values) in self.filters.items()
            ],
            "search": list(self.search),
            "export": [{"field": field, "label": label} for field, label in self.export.items()],
            "data": {name: _encoded(rows[name]) for name in wanted},
        }


def _values(column: pa.ChunkedArray) -> list[str]:
    return sorted(pc.unique(column.drop_null()).to_pylist())


def _encoded(column: pa.ChunkedArray) -> dict[str, Any]:
    """``{"v": values}``, or ``{"d": distinct values, "i": positions}`` where texts repeat."""
    if pa.types.is_floating(column.type):
        column = pc.round(column, ndigits=4)
    if pa.types.is_string(column.type):
        encoded = column.combine_chunks().dictionary_encode()
        if len(encoded.dictionary) * 2 < len(column):
            return {"d": encoded.dictionary.to_pylist(), "i": encoded.indices.to_pylist()}
    return {"v": column.to_pylist()}
