"""The index page: freshness, gate verdicts, publish ledger and alarms of all use cases."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import reduce
from operator import and_
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset

from pipelines.io.lake import Lake
from pipelines.io.promotions import Promotion, read_promotions
from pipelines.io.runs import STEP_RUNS
from pipelines.monitoring.alarms import Alarm
from pipelines.monitoring.stored import newest_monitored_day
from pipelines.reporting.site import PAGES, Missing, Page, Site
from pipelines.settings import Settings
from pipelines.sinks.ledger_tables import RUNS
from pipelines.usecase import PUBLISHING, UseCase


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
    command
        What brings it up to date.
    where
        Values of other columns that tell the use case's rows from those of others in a shared table; ``*/demand`` is
        every value that ends so.
    """

    table: str
    title: str
    column: str
    every_days: int
    command: str
    where: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Freshness:
    """State of a watched table on a day.

    Attributes
    ----------
    newest
        Newest date not after the day; None if the table is missing or has none.
    state
        ``fresh``, ``late`` or ``missing``.
    version, rows, written_at
        Delta version, rows in it and time of its commit; None if the table is missing.
    """

    watched: Watched
    newest: date | None
    state: str
    version: int | None = None
    rows: int | None = None
    written_at: datetime | None = None


@dataclass(frozen=True)
class UseCaseState:
    """What the control room shows of a use case.

    Attributes
    ----------
    verdict
        Newest entry of the promotion log; None before the first.
    publish
        Newest run of the publish ledger, as a row of ``ops/publish_runs``; None before the first.
    """

    page: Page
    verdict: Promotion | None
    publish: dict[str, Any] | None
    alarms: Sequence[Alarm]

    @property
    def publishes(self) -> bool:
        """Whether its results leave the lake."""
        return self.page.usecase in PUBLISHING


@dataclass(frozen=True)
class Overview:
    """What a use case adds to the control room.

    Attributes
    ----------
    state
        Its card.
    tables
        Its watched tables.
    quarantined
        See :func:`quarantine`.
    """

    state: UseCaseState
    tables: Sequence[Freshness]
    quarantined: Sequence[dict[str, Any]]

    @property
    def exists(self) -> bool:
        """Whether any of its tables was ever written: a use case that nobody runs is not late."""
        return any(table.version is not None and not table.watched.where for table in self.tables)


def freshness(lake: Lake, watched: Sequence[Watched], as_of: date) -> list[Freshness]:
    """Hold the newest date of every table against its rhythm.

    Only statistics of the Delta log are read, so the size of a table does not matter.
    """
    return [_fresh(lake, one, as_of) for one in watched]


def overview(
    lake: Lake,
    page: Page,
    read_alarms: Callable[[Lake, date], Sequence[Alarm]],
    watched: Sequence[Watched],
    as_of: date,
    *,
    sink: str | None = None,
    object_: str = "*",
) -> Overview:
    """Gather the newest gate verdict, publish run, table states and the alarms of the newest monitored day.

    Parameters
    ----------
    read_alarms
        Alarms of a monitored day, as the use case words them.
    sink, object_
        Where the use case publishes, as in ``ops/publish_runs``; see :class:`Watched` for ``*``. Without a
        sink its results are read in the lake.
    """
    log = read_promotions(lake, page.usecase, until=as_of)
    checked = newest_monitored_day(lake, page.usecase, as_of)
    alarms = read_alarms(lake, checked) if checked else []
    runs = publish_runs(lake, as_of, sink=sink, object_=object_) if sink else []
    return Overview(
        UseCaseState(page, log[-1] if log else None, runs[0] if runs else None, alarms),
        freshness(lake, watched, as_of),
        quarantine(lake, page.usecase),
    )


def publish_runs(lake: Lake, as_of: date, *, sink: str, object_: str = "*") -> list[dict[str, Any]]:
    """Publish runs to an object of a sink up to a day in their present state, newest first."""
    where = (pa_dataset.field("as_of") <= as_of) & (pa_dataset.field("sink") == sink) & _is("object", object_)
    events = lake.read(RUNS, where=where, missing_ok=True).sort_by("seq")
    newest = {row["run_id"]: row for row in events.to_pylist()}
    runs = sorted(newest.values(), key=lambda row: (row["as_of"], row["run_no"]), reverse=True)
    for run in runs:
        run["balanced"] = run["sent"] == run["ok"] + run["failed"] + run["unknown"]
    return runs


def step_runs(lake: Lake, as_of: date) -> list[dict[str, Any]]:
    """List the newest run of every step up to a day, in the order in which they started."""
    where = pa_dataset.field("as_of") <= as_of
    rows = lake.read(STEP_RUNS, where=where, missing_ok=True).sort_by("started_at")
    newest = {(row["usecase"], row["step"]): row for row in rows.to_pylist()}
    steps = sorted(newest.values(), key=lambda row: row["started_at"])
    for step in steps:
        step["words"] = "" if step["outcome"] == "ok" else step["record_json"][:300]
    return steps


def quarantine(lake: Lake, usecase: str) -> list[dict[str, Any]]:
    """Count quarantined rows by raw table and broken rules, most first."""
    if not lake.exists("ops/quarantine"):
        return []
    rows = lake.read(
        "ops/quarantine", columns=["table_name", "rules"], where=pa_dataset.field("usecase") == usecase
    )
    counted = rows.group_by(["table_name", "rules"]).aggregate([([], "count_all")]).to_pylist()
    found = [
        {
            "usecase": usecase,
            "table": row["table_name"],
            "rules": json.loads(row["rules"]),
            "rows": row["count_all"],
        }
        for row in counted
    ]
    return sorted(found, key=lambda row: (-row["rows"], row["table"], row["rules"]))


def write_index(site: Site, settings: Settings, lake: Lake, as_of: date, *, shown: str) -> Path:
    """Write ``index.html`` about every use case that has run, and ``shown`` in any case.

    Each use case tells its own part: ``pipelines.<usecase>.report.overview``. The page is about the newest day that
    any step ran for, so a backfill of an old day does not turn the control room back.
    """
    as_of = max([as_of, *lake.read(STEP_RUNS, columns=["as_of"], missing_ok=True)["as_of"].to_pylist()])
    found = {
        name: importlib.import_module(f"pipelines.usecases.{name}.report").overview(lake, as_of)
        for name in dict.fromkeys([*UseCase, shown])
    }
    parts: list[Overview] = [part for name, part in found.items() if name == shown or part.exists]
    return build(
        site,
        settings,
        as_of,
        tables=[table for part in parts for table in part.tables],
        use_cases=[part.state for part in parts],
        steps=step_runs(lake, as_of),
        quarantined=[row for part in parts for row in part.quarantined],
    )


def build(
    site: Site,
    settings: Settings,
    as_of: date,
    *,
    tables: Sequence[Freshness],
    use_cases: Sequence[UseCaseState],
    steps: Sequence[dict[str, Any]],
    quarantined: Sequence[dict[str, Any]],
) -> Path:
    """Write ``index.html``; returns its path."""
    alarms = [alarm for state in use_cases for alarm in state.alarms]
    late = [table for table in tables if table.state != "fresh"]
    unbalanced = [s for s in use_cases if s.publish and not s.publish["balanced"]]
    return site.render(
        PAGES[0].file,
        "index.html.j2",
        {
            "as_of": as_of,
            "alarms": alarms,
            "tables": tables,
            "late": late,
            "unbalanced": unbalanced,
            "failed": [step for step in steps if step["outcome"] != "ok"],
            "use_cases": use_cases,
            "steps": steps,
            "quarantined": quarantined,
            "links": _links(site, settings),
        },
    )


def _fresh(lake: Lake, watched: Watched, as_of: date) -> Freshness:
    if not lake.exists(watched.table):
        return Freshness(watched, None, "missing")
    delta = lake.open(watched.table)
    if watched.where:  # a table of operations: a few rows, and its statistics mix the use cases
        conditions = [_is(name, value) for name, value in watched.where.items()]
        own = lake.read(watched.table, columns=[watched.column], where=reduce(and_, conditions))
        dates, rows = _days(own[watched.column]), own.num_rows
    else:
        # Arrow's C interface: deltalake returns its own Arrow types.
        actions = pa.table(delta.get_add_actions(flatten=True))
        dates, rows = _dates(actions, watched.column), pc.sum(actions["num_records"]).as_py() or 0
    newest = max((found for found in dates if found <= as_of), default=None)
    on_time = newest is not None and (as_of - newest).days <= watched.every_days
    return Freshness(
        watched,
        newest,
        "fresh" if on_time else "late",
        version=int(delta.version()),
        rows=rows,
        written_at=_committed(lake, watched.table),
    )


def _is(column: str, value: str) -> pa_dataset.Expression:
    """Find the rows with a value, or one that ends as it does after a ``*``."""
    field = pa_dataset.field(column)
    return pc.ends_with(field, value[1:]) if value.startswith("*") else field == value


def _dates(actions: pa.Table, column: str) -> list[date]:
    name = f"partition.{column}" if f"partition.{column}" in actions.column_names else f"max.{column}"
    return _days(actions[name]) if name in actions.column_names else []


def _days(column: pa.ChunkedArray) -> list[date]:
    values = pc.unique(column.drop_null()).to_pylist()
    return [value.date() if isinstance(value, datetime) else value for value in values]


def _committed(lake: Lake, table: str) -> datetime:
    milliseconds = lake.open(table).history(1)[0]["timestamp"]
    return datetime.fromtimestamp(milliseconds / 1000, UTC).replace(tzinfo=None)


def _links(site: Site, settings: Settings) -> list[tuple[str, str, str | Missing]]:
    """Title, description, and address relative to the site or what is missing."""
    found: list[tuple[str, str, str | Missing]] = []
    for title, words, file, command in (
        ("dbt docs", "Every feature with its meaning, unit and lineage.", "dbt_docs/index.html", "make demo"),
        (
            "Data Docs",
            "Great Expectations: what was checked, on which rows.",
            "data_docs/index.html",
            "millrace score",
        ),
    ):
        exists = (site.root / file).exists()
        found.append((title, words, file if exists else Missing("not built yet", command)))
    uri = settings.tracking_address
    mlflow = uri if uri.startswith("http") else "http://127.0.0.1:5000"
    note = "" if uri.startswith("http") else " (after `make up`)"
    found.append(("MLflow", f"Runs, models and model cards{note}.", mlflow))
    return found
