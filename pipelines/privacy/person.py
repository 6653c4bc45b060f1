"""Who is to be forgotten: the ids by which a person appears in the stores, and texts without them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from features.pseudonyms import pseudonym
from features.schemas import Table
from pipelines.discovery import every
from pipelines.extension import adapters
from pipelines.io.lake import Lake, having
from pipelines.sources.landed import SUBJECT_KEY, landed_table
from pipelines.sources.layout import RawLayout
from pipelines.usecase import UseCase

#: What a text that named the person says afterwards.
ERASED = "[erased]"

#: Ids of digits only that are this short are also numbers of other things: texts are not searched for them.
_SHORT = 8


@dataclass(frozen=True)
class Reference:
    """Rows that are about a person only through what they refer to, such as the lines of an order."""

    #: Use case whose rows they are.
    usecase: str
    #: The rows.
    layout: RawLayout
    #: Their column that refers.
    column: str
    #: What it refers to: rows that name the person.
    to: RawLayout
    #: The column there.
    to_column: str

    @property
    def kind(self) -> str:
        """Name of the ids that lead to the person, as in the tombstones."""
        return f"{self.usecase}_{self.to.table.name}.{self.to_column}"

    @property
    def table(self) -> Table:
        """The rows in the lake."""
        return landed_table(self.usecase, self.layout)


def references(*usecases: UseCase[Any, Any, Any]) -> Iterator[Reference]:
    """References from rows without a subject to rows with one; of all use cases unless some are given."""
    for usecase in usecases or every():
        with_subject = {each.table.name: each for each in usecase.layouts if each.subject is not None}
        for layout in usecase.layouts:
            if layout.subject is None:
                for column, table, other in layout.references:
                    if table in with_subject:
                        yield Reference(usecase.name, layout, column, with_subject[table], other)


def pseudonym_columns() -> frozenset[str]:
    """Columns of the lake that hold pseudonyms."""
    layouts = (layout for usecase in every() for layout in usecase.layouts)
    return frozenset({SUBJECT_KEY, *(each.subject_key for each in layouts if each.subject is not None)})


def natural_columns(usecase: UseCase[Any, Any, Any]) -> frozenset[str]:
    """Columns of a use case's delivered files that hold natural ids, those of adapted sources included."""
    adapted = (layout for adapter in adapters(usecase).values() for layout in adapter().layouts)
    return frozenset(each.subject for each in (*usecase.layouts, *adapted) if each.subject is not None)


@dataclass(frozen=True)
class Person:
    """A person, or a company, as the stores know them."""

    #: Id in the source systems and in what was published.
    natural_id: str
    #: Id in features and predictions.
    pseudonym: str
    #: Ids that lead to the person, by kind; see :class:`Reference`.
    referred: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def find(cls, lake: Lake, natural_id: str, *, key: bytes) -> Person:
        """Look up what leads to a person in the raw tables."""
        person = cls(natural_id, pseudonym(natural_id, key=key))
        referred: dict[str, frozenset[str]] = {}
        for reference in references():
            table = landed_table(reference.usecase, reference.to)
            if reference.kind in referred or not lake.exists(table.name):
                continue
            mine = having(**{reference.to.subject_key: person.pseudonym})
            ids = lake.read(table, columns=[reference.to_column], where=mine)[reference.to_column]
            referred[reference.kind] = frozenset(ids.to_pylist())
        return cls(natural_id, person.pseudonym, referred)

    @property
    def ids(self) -> tuple[str, str]:
        """Ids under which the person may have been published."""
        return (self.natural_id, self.pseudonym)

    @property
    def words(self) -> re.Pattern[str]:
        """Pattern that finds the person in a text, as a whole word."""
        short = self.natural_id.isdigit() and len(self.natural_id) < _SHORT
        wanted = [self.pseudonym] if short else [self.pseudonym, self.natural_id]
        listed = "|".join(re.escape(each) for each in wanted)
        return re.compile(rf"(?<![A-Za-z0-9])(?:{listed})(?![A-Za-z0-9])")


def redact(text: str, person: Person) -> str:
    """Take the person out of a text; in JSON, only string values change, and rows about the person are removed."""
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if isinstance(value, dict | list):
        return json.dumps(_redacted(value, person), default=str)
    return person.words.sub(ERASED, text)


def _redacted(value: Any, person: Person) -> Any:
    if isinstance(value, str):
        return redact(value, person) if person.words.search(value) else value
    if isinstance(value, list):
        return [ERASED if _is_row_of(each, person) else _redacted(each, person) for each in value]
    if isinstance(value, dict):
        return {redact(name, person): _redacted(each, person) for name, each in value.items()}
    return value


def _is_row_of(value: Any, person: Person) -> bool:
    """Whether an element of a list is a row whose key is the person, such as one of a publication's sample."""
    return isinstance(value, dict) and any(
        isinstance(each, str) and each in person.ids for each in value.values()
    )
