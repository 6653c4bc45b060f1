"""Quality of a staged table: what SQL decides on every row, what Great Expectations adds, and its pages.

A rule of a column or key is decided once, by the contract (:mod:`pipelines.io.audit`). Here come the relations
of the table to others, decided in SQL as well, and the distributions of its steady columns against the last
day's, which Great Expectations judges on samples. All outcomes are kept below ``<var>/gx`` and shown as Data
Docs in the report site.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from features.schemas import Table
from pipelines.io.audit import Examine, Outcome, judge_contract
from pipelines.io.lake import Lake
from pipelines.io.lock import exclusive
from pipelines.io.relations import draw_samples, judge_relations
from pipelines.settings import Settings

if TYPE_CHECKING:
    import duckdb

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class QualityResult:
    """Outcome of one validation."""

    #: Name of the suite.
    suite: str
    #: Rows of the table, all of which SQL looked at.
    rows: int
    #: Broken rules of columns and key, and broken relations to other tables, in words.
    contract: tuple[str, ...]
    relations: tuple[str, ...]
    #: Distributions that differ from the last day's, in words.
    moved: tuple[str, ...]
    seconds: float

    @property
    def success(self) -> bool:
        """Whether nothing was found."""
        return not (self.contract or self.relations or self.moved)


def validate(
    table: Table,
    staged: duckdb.DuckDBPyRelation,
    *,
    settings: Settings,
    contract: Sequence[Outcome] | None = None,
) -> QualityResult:
    """Check a staged table and render everything that was checked.

    ``contract`` is what the contract found of these rows; it is decided here if nobody did yet. The result is
    also written to ``<var>/gx/results/<suite>.json``; its page is in ``<var>/report/data_docs``. Both show the
    latest validation of a table: which rows went where is the matter of the lake's own ledgers.
    """
    started, lake = time.monotonic(), Lake.of(settings)
    contract = contract or judge_contract(table, staged)
    relations = judge_relations(table, staged, lake)
    samples = draw_samples(table, staged, lake)
    # Slashes and dots would become folders.
    suite = re.sub(r"[/.]", "_", table.name)
    home = settings.var / "gx"
    # Several steps may end at once, and the site has one index.
    with exclusive(settings, "data_docs"):
        from pipelines.io import data_docs  # slow to import

        compared = data_docs.compare(samples)
        outcomes = [*contract, *relations]
        data_docs.publish(table, suite, outcomes, compared, home=home, site=docs_dir(settings))
        result = QualityResult(
            suite=suite,
            rows=contract[0].rows,
            contract=tuple(outcome.problem for outcome in contract if outcome.offending),
            relations=tuple(outcome.problem for outcome in relations if outcome.offending),
            moved=tuple(data_docs.moved(found) for found in compared if not found.success),
            seconds=round(time.monotonic() - started, 3),
        )
        path = home / "results" / f"{suite}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**asdict(result), "success": result.success}, indent=1))
    return result


def quality_audit(table: Table, settings: Settings) -> Examine:
    """What a write to the lake is examined by: a broken relation stops the publication.

    A distribution that moved is logged and shown, and stops nothing: a new model may be the reason, and
    monitoring decides about alarms.
    """

    def examine(staged: duckdb.DuckDBPyRelation, contract: Sequence[Outcome]) -> list[str]:
        result = validate(table, staged, settings=settings, contract=contract)
        for words in result.moved:
            log.warning("%s: %s", table.name, words)
        return list(result.relations)

    return examine


def docs_dir(settings: Settings) -> Path:
    """Folder of the Data Docs site within the report site."""
    return settings.report_dir / "data_docs"
