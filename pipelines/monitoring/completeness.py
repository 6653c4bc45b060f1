"""Days that landed against days that were completed: what a hand-over between steps or DAGs lost."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset

from pipelines.io.lake import Lake, having, until_day
from pipelines.io.runs import STEP_RUNS

#: Days to look back: what was lost longer ago is history, and no longer a job for today.
WINDOW = timedelta(days=35)

#: A step and those of which one must succeed for the same day once the step has.
FOLLOWED_BY: Mapping[str, tuple[str, ...]] = {
    "prepare": ("train", "score"),
    "train": ("gate",),
    "score": ("publish", "monitor"),
}


@dataclass(frozen=True)
class Lost:
    """A day that landed and was not completed; ``words`` is the error of its last try, empty if nothing tried."""

    day: date
    words: str


@dataclass(frozen=True)
class HandOver:
    """What a step, or an arrival of rows, handed to the next step."""

    #: Who handed over to whom; ``upstream`` is a step or a raw table.
    usecase: str
    upstream: str
    downstream: str
    #: Days that the upstream side finished.
    landed: int
    #: Those that the downstream side did not complete, oldest first.
    lost: tuple[Lost, ...]

    @property
    def completed(self) -> int:
        """Landed days that were completed."""
        return self.landed - len(self.lost)

    @property
    def untried(self) -> tuple[Lost, ...]:
        """Lost days that nothing tried to complete: no failed step tells of them."""
        return tuple(lost for lost in self.lost if not lost.words)


def hand_overs(
    lake: Lake, usecase: str, steps: Collection[str], as_of: date, *, arrivals: Iterable[tuple[str, str]] = ()
) -> list[HandOver]:
    """Compare the days of the steps that a use case has with those of the steps that follow them.

    Days up to ``as_of`` count, :data:`WINDOW` back. ``arrivals`` are raw tables, each with the column that says
    when a row became known, of which every arrival is to be scored: rows known on a day are due the next
    morning. Arrivals count from the first day on that was scored: nobody completes what landed before a use
    case began.
    """
    runs = _runs(lake, usecase, as_of)
    found = []
    for upstream, followers in FOLLOWED_BY.items():
        landed = _done(runs, upstream)
        # A use case that publishes is complete when it has published.
        present = [step for step in followers if step in steps]
        wanted = present if upstream == "prepare" else present[:1]
        if landed and wanted:
            found.append(_compare(usecase, upstream, wanted, landed, runs))
    for table, column in arrivals:
        scored = _done(runs, "score")
        due = {day for day in _due(lake, table, column, as_of) if scored and day >= min(scored)}
        if due:
            found.append(_compare(usecase, table, ["score"], due, runs))
    return found


def _runs(lake: Lake, usecase: str, as_of: date) -> dict[tuple[str, date], dict[str, Any]]:
    """Return the best run of each step and day: a success, otherwise the last failure."""
    where = having(usecase=usecase) & until_day(as_of) & ~until_day(as_of - WINDOW)
    columns = ["step", "as_of", "started_at", "outcome", "record_json"]
    rows = lake.read(STEP_RUNS, columns=columns, where=where, missing_ok=True).to_pylist()
    rows.sort(key=lambda row: (row["outcome"] == "ok", row["started_at"]))
    return {(row["step"], row["as_of"]): row for row in rows}


def _done(runs: Mapping[tuple[str, date], dict[str, Any]], step: str) -> set[date]:
    return {day for (name, day), run in runs.items() if name == step and run["outcome"] == "ok"}


def _compare(
    usecase: str,
    upstream: str,
    wanted: Collection[str],
    landed: Collection[date],
    runs: Mapping[tuple[str, date], dict[str, Any]],
) -> HandOver:
    lost = []
    for day in sorted(landed):
        tries = [runs[step, day] for step in wanted if (step, day) in runs]
        if not any(run["outcome"] == "ok" for run in tries):
            lost.append(Lost(day, tries[-1]["record_json"][:300] if tries else ""))
    return HandOver(usecase, upstream, " or ".join(wanted), len(landed), tuple(lost))


def _due(lake: Lake, table: str, column: str, as_of: date) -> set[date]:
    """Return the mornings after the days on which rows of a table became known."""
    if not lake.exists(table):
        return set()
    since = datetime.combine(as_of - WINDOW, datetime.min.time())
    known = lake.read(table, columns=[column], where=pa_dataset.field(column) >= since)[column]
    days = pc.unique(pc.cast(known, pa.date32(), safe=False)).to_pylist()
    return {due for day in days if (due := day + timedelta(days=1)) <= as_of}
