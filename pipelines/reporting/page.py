"""What a use case declares about its report page: frame, words, and the tables behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Missing:
    """A section that cannot be shown yet.

    Attributes
    ----------
    words
        What is missing.
    command
        The command that makes it; empty if none does.
    """

    words: str
    command: str = ""


@dataclass(frozen=True)
class CheckStyle:
    """How a check of the gate is shown.

    Attributes
    ----------
    label
        What people call it.
    digits
        Decimals of its value.
    sense
        Sign before the threshold.
    """

    label: str
    digits: int = 3
    sense: str = ">"


@dataclass(frozen=True)
class FindingStyle:
    """How findings of the monitoring are shown.

    Attributes
    ----------
    counts, shares
        Metrics shown as whole numbers, and as percentages; the others have two decimals.
    named
        Metrics of several subjects, which are shown beside them.
    quiet
        By metric: how many findings that raise no alarm are shown, most important first; all by default.
    what
        What was not checked, if nothing was.
    """

    counts: frozenset[str] = frozenset()
    shares: frozenset[str] = frozenset()
    named: frozenset[str] = frozenset()
    quiet: Mapping[str, int] = field(default_factory=dict)
    what: str = "The results"


@dataclass(frozen=True)
class Watched:
    """A lake table whose freshness is watched.

    Attributes
    ----------
    table, title
        Name in the lake, and what it holds.
    column
        Column that dates its rows: a partition of dates, or a timestamp.
    every_days
        Longest time between two dates; a table without a newer one is late.
    verb
        Command that brings it up to date; by default the one that writes tables of its kind.
    where
        Values of other columns that tell the use case's rows from those of others in a shared table; ``*/shop`` is
        every value that ends so.
    each_day
        Whether whatever arrives in the table is to be scored the morning after.
    """

    table: str
    title: str
    column: str
    every_days: int
    verb: str = ""
    where: Mapping[str, str] = field(default_factory=dict)
    each_day: bool = False

    def command(self, usecase: str) -> str:
        """Command that brings it up to date."""
        return f"millrace {self.verb or ('ingest' if self.table.startswith('raw/') else 'score')} {usecase}"


@dataclass(frozen=True)
class PageSpec:
    """Frame of a use case's page; its template is ``page.html.j2`` in the use case's folder.

    Attributes
    ----------
    checks
        How the checks of the gate are called.
    watched
        Tables of the use case whose freshness counts; those that all share are added.
    train_days, score_days
        Longest time between two trainings, and between two score days.
    findings
        How findings of the monitoring are shown.
    """

    checks: Mapping[str, CheckStyle] = field(default_factory=dict)
    watched: tuple[Watched, ...] = ()
    train_days: int = 35
    score_days: int = 1
    findings: FindingStyle = FindingStyle()
