"""What rows of one table may refer to in another: values that exist, and the days on which."""

# SQL is put together from declared names, quoted.

from __future__ import annotations

from collections.abc import Iterable

import duckdb

from features.sql import listed, quoted
from pipelines.sources.layout import Period, RawLayout
from pipelines.sources.validation import known_periods, known_values


class Referred:
    """Tables of the values and periods that are landed or arriving, in the scratch database of an ingest."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self._con = con
        self._values: dict[str, list[str]] = {}
        self._periods: dict[str, list[tuple[Period, RawLayout]]] = {}

    @property
    def tables(self) -> list[str]:
        """Tables that are referred to."""
        return list(dict.fromkeys([*self._values, *self._periods]))

    def expect(self, arriving: Iterable[RawLayout], layouts: Iterable[RawLayout]) -> None:
        """Make the tables, empty, for the references of ``arriving`` tables to any of ``layouts``."""
        by_name = {layout.table.name: layout for layout in layouts}
        for layout in arriving:
            for _, table, column in layout.references:
                columns = self._values.setdefault(table, [])
                if column not in columns:
                    columns.append(column)
                    self._make_values(table, column)
            for period in layout.periods:
                self._make_periods(period, by_name[period.table])

    def add(self, table: str, rows: str) -> None:
        """Let rows refer to those of ``table`` in the relation ``rows``, if any may."""
        for column in self._values.get(table, ()):
            self.add_values(table, column, rows)
        for period, layout in self._periods.get(table, ()):
            columns = (layout.table.key[0], layout.known, period.first, period.last)
            self._con.execute(f"insert into {_versions(period)} select {listed(columns)} from {rows}")

    def add_values(self, table: str, column: str, rows: str) -> None:
        """Let rows refer to the values of ``column`` in the relation ``rows``."""
        self._make_values(table, column)
        known = known_values(table, column)
        self._con.execute(
            f"insert into {known} select distinct {quoted(column)} from {rows}"
            f" where {quoted(column)} is not null and {quoted(column)} not in (select value from {known})"
        )

    def _make_values(self, table: str, column: str) -> None:
        self._con.execute(f"create temp table if not exists {known_values(table, column)} (value varchar)")

    def _make_periods(self, period: Period, layout: RawLayout) -> None:
        known = self._periods.setdefault(period.table, [])
        versions = _versions(period)
        if versions in {_versions(other) for other, _ in known}:
            return  # another table keeps to the same days
        known.append((period, layout))
        self._con.execute(
            f"create temp table {versions} (value varchar, known timestamp, first_day date, last_day date)"
        )
        self._con.execute(
            f"create temp view {known_periods(period)} as select value, first_day, last_day from {versions}"
            " qualify row_number() over (partition by value order by known desc) = 1"
        )


def _versions(period: Period) -> str:
    return quoted(f"versions of {known_periods(period)}")
