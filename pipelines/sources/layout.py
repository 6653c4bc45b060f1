"""What a raw table is: a declared :class:`~features.schemas.Table` plus how its rows evolve."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from features.schemas import Table


class History(StrEnum):
    """How later information about the same thing arrives."""

    #: A row is a fact and never changes; the same key with other content is quarantined.
    IMMUTABLE = "immutable"
    #: Each change is a further row of the same entity with a later ``known`` time (part of the key).
    VERSIONED = "versioned"


@dataclass(frozen=True)
class RowRule:
    """A rule between the columns of one row (rules of one column are in its declaration)."""

    #: Column to name as the offender.
    column: str
    #: The rule in words, completing "`column` must ...".
    words: str
    #: SQL condition over the row's columns. A row offends where it is *false*; where a null makes it unknown,
    #: the column's rule for nulls decides.
    holds: str


@dataclass(frozen=True)
class Period:
    """The days on which something that rows refer to exists, as its newest version tells them."""

    #: Date of the row.
    column: str
    #: Column of the row that refers to the first key column of ``table``.
    reference: str
    #: Table that knows the period.
    table: str
    #: Its columns with the first and the last day; a null leaves that side open.
    first: str
    last: str


@dataclass(frozen=True)
class RawLayout:
    """Contract of the files that a source system delivers for one table."""

    #: Columns, key and description of the *delivered* rows, by the name of the file or folder
    #: (``accounts.csv``, ``usage_events/*.parquet``).
    table: Table
    #: Whether rows are immutable facts or versions.
    history: History
    #: Column holding the natural id of the person or company the row is about; None where rows are about
    #: nobody. It is replaced by its pseudonym when landing, except where ``keeps_subject``.
    subject: str | None = None
    #: Column of the pseudonym in the landed table.
    subject_key: str = "account_key"
    #: Whether the landed table keeps the natural id next to the pseudonym. True for one table per use case:
    #: the only place where the two meet.
    keeps_subject: bool = False
    #: Column that says when the source system knew the row: what a feature at ``as_of`` filters by. Files
    #: that an adapter translates may lack it.
    known: str = "known_at"
    #: Date or timestamp column whose month partitions the landed table; None for small tables.
    month_of: str | None = None
    #: Triples (column, table, its column): the value must exist among landed or arriving rows.
    references: tuple[tuple[str, str, str], ...] = ()
    #: Days on which what a row refers to exists.
    periods: tuple[Period, ...] = ()
    #: What must hold between the columns of a row.
    rules: tuple[RowRule, ...] = ()
    #: Text columns that hold a set of names joined by ``|``. They are landed trimmed, sorted and without
    #: repeats; an empty field of a CSV file is the empty set.
    lists: tuple[str, ...] = ()
    #: Columns that a file may lack; they are null then.
    optional: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.history is History.VERSIONED and self.known not in self.table.key:
            raise ValueError(
                f"{self.table.name}: versions are told apart by {self.known}, which must be in the key,"
                f" got {self.table.key}"
            )
        if self.keeps_subject and self.subject is None:
            raise ValueError(f"{self.table.name}: without a subject there is none to keep")
