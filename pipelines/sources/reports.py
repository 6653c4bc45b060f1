"""What an ingest reports: the fate of every delivered row, by table and by reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from pipelines.sources.staging import FATES, FileOutcome


@dataclass(frozen=True)
class TableReport:
    """What became of the delivered rows of one table.

    ``read == landed + already_landed + duplicates + quarantined + forgotten`` always holds. ``rules`` counts
    quarantined rows by broken rule; a row that breaks two is counted under both.
    """

    table: str
    files: int
    files_known: int
    read: int
    landed: int
    already_landed: int
    duplicates: int
    quarantined: int
    forgotten: int = 0
    rules: dict[str, int] = field(default_factory=dict)
    undeclared: tuple[str, ...] = ()


@dataclass(frozen=True)
class IngestReport:
    """Outcome of an ingest: one report per delivered table, in landing order."""

    usecase: str
    source: str
    ingest_id: str
    tables: tuple[TableReport, ...]
    #: Files of a source with an adapter: ``landed`` are the rows taken over into ``tables``.
    adapted: tuple[TableReport, ...] = ()
    #: Cross-checks of an adapter in words.
    notes: tuple[str, ...] = ()

    def reasons(self) -> list[tuple[str, str, int]]:
        """Quarantined rows as (table, rule, rows), most frequent first within a table."""
        return [
            (report.table, rule, count)
            for report in (*self.adapted, *self.tables)
            for rule, count in sorted(report.rules.items(), key=lambda item: (-item[1], item[0]))
        ]


def by_table(outcomes: Sequence[FileOutcome]) -> tuple[TableReport, ...]:
    """Sum the outcomes of files by table, in the order in which tables come."""
    reports = []
    for name in dict.fromkeys(outcome.file.layout.table.name for outcome in outcomes):
        mine = [outcome for outcome in outcomes if outcome.file.layout.table.name == name]
        rules: Counter[str] = Counter()
        for outcome in mine:
            rules.update(outcome.rules)
        reports.append(
            TableReport(
                table=name,
                files=len(mine),
                files_known=sum(outcome.skipped for outcome in mine),
                rules=dict(rules),
                undeclared=tuple(sorted({column for outcome in mine for column in outcome.file.undeclared})),
                **{fate: sum(getattr(outcome, fate) for outcome in mine) for fate in ("read", *FATES)},
            )
        )
    return tuple(reports)
