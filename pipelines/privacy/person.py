"""Who is to be forgotten: the ids by which a person appears in our stores."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow.dataset as pa_dataset

from features.pseudonyms import pseudonym
from pipelines.io.lake import Lake
from pipelines.sources.ingest import ADAPTERS, LAYOUTS
from pipelines.sources.landed import SUBJECT_KEY, landed_table
from pipelines.sources.layout import RawLayout

#: What a text that named the person says afterwards.
ERASED = "[erased]"

#: Ids of digits only that are this short are also numbers of other things: texts are not searched for them.
_SHORT = 8


@dataclass(frozen=True)
class Reference:
    """Rows that are about a person only through what they refer to, such as the lines of an order.

    Attributes
    ----------
    usecase, layout
        The rows.
    column
        Their column that refers.
    table, table_column
        What it refers to: a table whose rows name the person.
    """

    usecase: str
    layout: RawLayout
    column: str
    table: str
    table_column: str

    @property
    def kind(self) -> str:
        """Name of the ids, as in the tombstones."""
        return reference_kind(self.usecase, self.table, self.table_column)


def reference_kind(usecase: str, table: str, column: str) -> str:
    """Name of the ids of a table that lead to a person, as in the tombstones."""
    return f"{usecase}_{table}.{column}"


def references() -> tuple[Reference, ...]:
    """Every reference from rows without a subject to rows with one, of all use cases."""
    found = []
    for usecase, layouts in LAYOUTS.items():
        with_subject = {layout.table.name for layout in layouts if layout.subject is not None}
        for layout in layouts:
            if layout.subject is None:
                found += [
                    Reference(usecase, layout, column, table, other)
                    for column, table, other in layout.references
                    if table in with_subject
                ]
    return tuple(found)


def pseudonym_columns() -> frozenset[str]:
    """Columns of the lake that hold pseudonyms."""
    named = {each.subject_key for layouts in LAYOUTS.values() for each in layouts if each.subject is not None}
    return frozenset({SUBJECT_KEY, *named})


def natural_columns(usecase: str) -> frozenset[str]:
    """Columns of a use case's delivered files that hold natural ids, those of adapted sources included."""
    layouts = [*LAYOUTS.get(usecase, ())]
    for (case, _), adapter in ADAPTERS.items():
        layouts += adapter.layouts if case == usecase else ()
    return frozenset(each.subject for each in layouts if each.subject is not None)


@dataclass(frozen=True)
class Person:
    """A person, or a company, as our stores know them.

    Attributes
    ----------
    natural_id
        Id in the source systems and in what was published.
    pseudonym
        Id in features and predictions.
    referred
        Ids that lead to the person, by kind; see :class:`Reference`.
    """

    natural_id: str
    pseudonym: str
    referred: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def find(cls, lake: Lake, natural_id: str, *, key: bytes) -> Person:
        """Look up what leads to a person in the raw tables."""
        person = cls(natural_id, pseudonym(natural_id, key=key))
        referred: dict[str, frozenset[str]] = {}
        for reference in references():
            layouts = {each.table.name: each for each in LAYOUTS[reference.usecase]}
            table = landed_table(reference.usecase, layouts[reference.table])
            if reference.kind in referred or not lake.exists(table.name):
                continue
            mine = pa_dataset.field(layouts[reference.table].subject_key) == person.pseudonym
            column = reference.table_column
            ids = lake.read(table, columns=[column], where=mine)[column]
            referred[reference.kind] = frozenset(ids.to_pylist())
        return cls(natural_id, person.pseudonym, referred)

    @property
    def ids(self) -> tuple[str, str]:
        """Ids that a record of a publication may have."""
        return (self.natural_id, self.pseudonym)

    @property
    def words(self) -> re.Pattern[str]:
        """Finds the person in a text, as a word of its own."""
        short = self.natural_id.isdigit() and len(self.natural_id) < _SHORT
        wanted = [self.pseudonym] if short else [self.pseudonym, self.natural_id]
        listed = "|".join(re.escape(each) for each in wanted)
        return re.compile(rf"(?<![A-Za-z0-9])(?:{listed})(?![A-Za-z0-9])")
