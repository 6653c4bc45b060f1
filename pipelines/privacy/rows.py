"""A person's rows in the lake: found by declared columns in whatever tables there are, deleted, past included.

Nothing is listed by hand: every table with a column of pseudonyms is covered, whoever wrote it, and so are
rows that lead to a person only through a reference, such as the lines of an order.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset

from features.schemas import DType, Table
from pipelines.io.lake import Lake, having
from pipelines.io.promotions import PROMOTIONS
from pipelines.io.runs import STEP_RUNS
from pipelines.monitoring.schemas import MONITORING
from pipelines.privacy.person import Person, pseudonym_columns, redact, references
from pipelines.sinks.ledger_tables import JOBS, ROWS
from pipelines.sources.landed import QUARANTINE

log = logging.getLogger(__name__)

#: Columns that hold the ids of published records, by table.
PUBLISHED_IDS = {ROWS.name: "external_id"}

#: Tables whose texts may quote an id although their rows are about nobody.
TEXTS: tuple[Table, ...] = (STEP_RUNS, PROMOTIONS, MONITORING, JOBS, ROWS)


@dataclass(frozen=True)
class Rows:
    """Rows of one table that are about the person: those with one of the values in the column."""

    table: str
    column: str
    values: tuple[str, ...]

    @property
    def where(self) -> pa_dataset.Expression:
        """The same as a filter."""
        if len(self.values) == 1:
            return having(**{self.column: self.values[0]})
        return pa_dataset.field(self.column).isin(pa.array(self.values, pa.string()))


def rows_of(lake: Lake, person: Person) -> list[Rows]:
    """Where the person may be, in the order of deletion: what leads to other rows comes after them.

    A crash in between is healed by doing it again, since the ids of what is left can still be found.
    """
    about: list[Rows] = []
    leading: list[Rows] = []
    columns = pseudonym_columns()
    for name in lake.tables():
        found = columns & set(lake.dataset(name).schema.names)
        entries = [Rows(name, column, (person.pseudonym,)) for column in sorted(found)]
        if name in PUBLISHED_IDS:
            entries.append(Rows(name, PUBLISHED_IDS[name], person.ids))
        (leading if name.startswith("raw/") else about).extend(entries)
    for reference in references():
        table = reference.table.name
        ids = person.referred.get(reference.kind, frozenset())
        if lake.exists(table) and ids:
            about.append(Rows(table, reference.column, tuple(sorted(ids))))
    about += _quarantined(lake, person)
    return [*about, *leading]


def _quarantined(lake: Lake, person: Person) -> list[Rows]:
    """Quarantined rows that refer to the person; they have no pseudonym, only the key that they break on."""
    keys: set[str] = set()
    for reference in references():
        ids = person.referred.get(reference.kind, frozenset())
        if not ids or not lake.exists(QUARANTINE.name):
            continue
        where = having(usecase=reference.usecase, table_name=reference.layout.table.name)
        for key in lake.read(QUARANTINE, columns=["row_key"], where=where)["row_key"].unique().to_pylist():
            if json.loads(key).get(reference.column) in ids:
                keys.add(key)
    return [Rows(QUARANTINE.name, "row_key", tuple(sorted(keys)))] if keys else []


class LakeRows:
    """The lake as a store that forgets."""

    name = "lake"

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def find(self, person: Person) -> dict[str, int]:
        """Count the person's rows and the texts that quote the person, by table."""
        found: dict[str, int] = {}
        for rows in rows_of(self._lake, person):
            count = self._lake.dataset(rows.table).count_rows(filter=rows.where)
            found[rows.table] = found.get(rows.table, 0) + count
        for table in TEXTS:
            found[f"{table.name} (texts)"] = self._quoting(table, person).num_rows
        return found

    def erase(self, person: Person) -> None:
        """Delete them, and every older version of every table in which they may have been."""
        touched: dict[str, None] = {}
        for rows in rows_of(self._lake, person):
            touched[rows.table] = None
            gone = self._lake.rewrite(rows.table, rows.where)
            log.info("%s: %d rows deleted by %s", rows.table, gone, rows.column)
        for table in TEXTS:
            if not self._lake.exists(table.name):
                continue
            touched[table.name] = None
            quoting = self._quoting(table, person)
            if quoting.num_rows:
                self._lake.rewrite(
                    table.name, _same_key(table, quoting), instead=_rewritten(table, quoting, person)
                )
        for name in touched:
            self._lake.drop_past(name)

    def _quoting(self, table: Table, person: Person) -> pa.Table:
        """Rows of a table with a text that names the person, apart from rows that are deleted anyway."""
        columns = _texts(table)
        where = reduce(
            or_,
            (pc.match_substring(pa_dataset.field(column), each) for column in columns for each in person.ids),
        )
        candidates = self._lake.read(table, where=where, missing_ok=True)
        search = person.words.search
        kept = [any(search(row[column] or "") for column in columns) for row in candidates.to_pylist()]
        return candidates.filter(pa.array(kept, pa.bool_()))


def _texts(table: Table) -> list[str]:
    return [c.name for c in table.columns if c.dtype is DType.STRING and c.name not in table.key]


def _rewritten(table: Table, rows: pa.Table, person: Person) -> pa.Table:
    columns: Sequence[str] = _texts(table)
    made = [
        {**row, **{c: redact(row[c], person) for c in columns if row[c] is not None}}
        for row in rows.to_pylist()
    ]
    return pa.Table.from_pylist(made, schema=table.arrow_schema)


def _same_key(table: Table, rows: pa.Table) -> pa_dataset.Expression:
    """Find the rows of a table with one of the keys; there are few."""
    keys = rows.select(list(table.key)).to_pylist()
    return reduce(or_, (having(**key) for key in keys))
