"""What a use case declares about its report page: frame, words, and the tables behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Missing:
    """A section that cannot be shown yet."""

    #: What is missing.
    words: str
    #: The command that makes it; empty if none does.
    command: str = ""


@dataclass(frozen=True)
class CheckStyle:
    """How a check of the gate is shown."""

    #: What people call it.
    label: str
    #: Decimals of its value.
    digits: int = 3
    #: Sign before the threshold.
    sense: str = ">"


@dataclass(frozen=True)
class FindingStyle:
    """How findings of the monitoring are shown."""

    #: Metrics shown as whole numbers, and as percentages; the others have two decimals.
    counts: frozenset[str] = frozenset()
    shares: frozenset[str] = frozenset()
    #: Metrics of several subjects, which are shown beside them.
    named: frozenset[str] = frozenset()
    #: By metric: how many findings that raise no alarm are shown, most important first; all by default.
    quiet: Mapping[str, int] = field(default_factory=dict)
    #: What was not checked, if nothing was.
    what: str = "The results"


@dataclass(frozen=True)
class Watched:
    """A lake table whose freshness is watched."""

    #: Name in the lake, and what it holds.
    table: str
    title: str
    #: Column that dates its rows: a partition of dates, or a timestamp.
    column: str
    #: Longest time between two dates; a table without a newer one is late.
    every_days: int
    #: Command that brings it up to date; by default the one that writes tables of its kind.
    verb: str = ""
    #: Values of other columns that tell the use case's rows from those of others in a shared table;
    #: ``*/shop`` is every value that ends so.
    where: Mapping[str, str] = field(default_factory=dict)
    #: Whether whatever arrives in the table is to be scored the morning after.
    each_day: bool = False

    def command(self, usecase: str) -> str:
        """Command that brings it up to date."""
        return f"millrace {self.verb or ('ingest' if self.table.startswith('raw/') else 'score')} {usecase}"


@dataclass(frozen=True)
class PageSpec:
    """Frame of a use case's page; its template is ``page.html.j2`` in the use case's folder."""

    #: How the checks of the gate are called.
    checks: Mapping[str, CheckStyle] = field(default_factory=dict)
    #: Tables of the use case whose freshness counts; those that all share are added.
    watched: tuple[Watched, ...] = ()
    #: Longest time between two trainings, and between two score days.
    train_days: int = 35
    score_days: int = 1
    #: How findings of the monitoring are shown.
    findings: FindingStyle = FindingStyle()
