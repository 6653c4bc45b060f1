"""The index page: freshness, gate verdicts, publish ledger and alarms of all use cases."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import reduce
from operator import and_
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset

from pipelines.io.lake import Lake, days_in, having, until_day
from pipelines.io.promotions import Promotion
from pipelines.io.runs import STEP_RUNS
from pipelines.monitoring.alarms import Alarm
from pipelines.monitoring.completeness import HandOver
from pipelines.reporting.page import Missing, Watched
from pipelines.reporting.site import INDEX, Page, Site
from pipelines.settings import Settings
from pipelines.sinks.ledger_tables import RUNS
from pipelines.sinks.target import Target
from pipelines.sources.landed import QUARANTINE


@dataclass(frozen=True)
class Freshness:
    """State of a watched table on a day."""

    watched: Watched
    #: Newest date not after the day; None if the table is missing or has none.
    newest: date | None
    #: ``fresh``, ``late`` or ``missing``.
    state: str
    #: What brings it up to date.
    command: str
    #: Delta version, rows in it and time of its commit; None if the table is missing.
    version: int | None = None
    rows: int | None = None
    written_at: datetime | None = None


@dataclass(frozen=True)
class Overview:
    """What the control room shows of a use case."""

    page: Page
    #: Newest entry of the promotion log; None before the first.
    verdict: Promotion | None
    #: Newest run of the publish ledger, as a row of ``ops/publish_runs``; None before the first.
    publish: dict[str, Any] | None
    #: Those of its newest monitored day.
    alarms: Sequence[Alarm]
    #: Whether its results leave the lake.
    publishes: bool
    #: Its watched tables.
    tables: Sequence[Freshness]
    #: See :func:`quarantine`.
    quarantined: Sequence[dict[str, Any]]
    #: Landed against completed days.
    hand_overs: Sequence[HandOver]

    @property
    def exists(self) -> bool:
        """Whether any of its tables was ever written: a use case that nobody runs is not late."""
        return any(table.version is not None and not table.watched.where for table in self.tables)


def freshness(lake: Lake, usecase: str, watched: Sequence[Watched], as_of: date) -> list[Freshness]:
    """Hold the newest date of every table against its rhythm.

    Only statistics of the Delta log are read, so the size of a table does not matter.
    """
    return [_fresh(lake, one, as_of, one.command(usecase)) for one in watched]


def newest_runs(lake: Lake, targets: Sequence[Target], as_of: date) -> list[dict[str, Any]]:
    """Publish runs to all targets up to a day in their present state, newest first."""
    runs: list[dict[str, Any]] = []
    for target in targets:
        mine = having(sink=target.sink) & _is("object", target.ledger_object)
        events = lake.read(RUNS, where=mine & until_day(as_of), missing_ok=True).sort_by("seq")
        runs += {row["run_id"]: row for row in events.to_pylist()}.values()
    for run in runs:
        run["balanced"] = run["sent"] == run["ok"] + run["failed"] + run["unknown"]
    return sorted(runs, key=lambda run: (run["as_of"], run["run_no"]), reverse=True)


def step_runs(lake: Lake, as_of: date) -> list[dict[str, Any]]:
    """List the newest run of every step up to a day, in the order in which they started."""
    rows = lake.read(STEP_RUNS, where=until_day(as_of), missing_ok=True).sort_by("started_at")
    newest = {(row["usecase"], row["step"]): row for row in rows.to_pylist()}
    steps = sorted(newest.values(), key=lambda row: row["started_at"])
    for step in steps:
        step["words"] = "" if step["outcome"] == "ok" else step["record_json"][:300]
    return steps


def quarantine(lake: Lake, usecase: str) -> list[dict[str, Any]]:
    """Count quarantined rows by raw table and broken rules, most first."""
    columns, mine = ["table_name", "rules"], having(usecase=usecase)
    rows = lake.read(QUARANTINE, columns=columns, where=mine, missing_ok=True)
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


def build(
    site: Site,
    settings: Settings,
    as_of: date,
    parts: Sequence[Overview],
    *,
    steps: Sequence[dict[str, Any]],
    broken: Sequence[tuple[str, str]] = (),
) -> Path:
    """Write ``index.html`` with the steps of :func:`step_runs`; ``broken`` are titles and errors of what cannot be read."""
    tables = [table for part in parts for table in part.tables]
    hand_overs = [one for part in parts for one in part.hand_overs]
    return site.render(
        INDEX.file,
        "index.html.j2",
        {
            "as_of": as_of,
            "alarms": [alarm for part in parts for alarm in part.alarms],
            "tables": tables,
            "late": [table for table in tables if table.state != "fresh"],
            "unbalanced": [part for part in parts if part.publish and not part.publish["balanced"]],
            "failed": [step for step in steps if step["outcome"] != "ok"],
            "broken": broken,
            "use_cases": parts,
            "steps": steps,
            "quarantined": [row for part in parts for row in part.quarantined],
            "hand_overs": hand_overs,
            "untried": [one for one in hand_overs if one.untried],
            "links": _links(site, settings),
        },
    )


def _fresh(lake: Lake, watched: Watched, as_of: date, command: str) -> Freshness:
    if not lake.exists(watched.table):
        return Freshness(watched, None, "missing", command)
    delta = lake.open(watched.table)
    if watched.where:  # a table of operations: a few rows, and its statistics mix the use cases
        conditions = [_is(name, value) for name, value in watched.where.items()]
        own = lake.read(watched.table, columns=[watched.column], where=reduce(and_, conditions))
        dates, rows = days_in(own[watched.column]), own.num_rows
    else:
        # Arrow's C interface: deltalake returns its own Arrow types.
        files = pa.table(delta.get_add_actions(flatten=True))
        dates, rows = lake.days(watched.table, watched.column), pc.sum(files["num_records"]).as_py() or 0
    newest = max((found for found in dates if found <= as_of), default=None)
    on_time = newest is not None and (as_of - newest).days <= watched.every_days
    return Freshness(
        watched,
        newest,
        "fresh" if on_time else "late",
        command,
        version=int(delta.version()),
        rows=rows,
        written_at=datetime.fromtimestamp(delta.history(1)[0]["timestamp"] / 1000, UTC).replace(tzinfo=None),
    )


def _is(column: str, value: str) -> pa_dataset.Expression:
    """Find the rows with a value, or one that ends as it does after a ``*``."""
    field = pa_dataset.field(column)
    return pc.ends_with(field, value[1:]) if value.startswith("*") else field == value


def _links(site: Site, settings: Settings) -> list[tuple[str, str, str | Missing]]:
    """Title, description, and address relative to the site or what is missing."""
    found: list[tuple[str, str, str | Missing]] = []
    for title, words, folder, command in (
        ("dbt docs", "Every feature with its meaning, unit and lineage.", "dbt_docs", "millrace docs"),
        ("Data Docs", "Great Expectations: what was checked, on which rows.", "data_docs", "millrace score"),
    ):
        file = f"{folder}/index.html"
        exists = (site.root / file).exists()
        found.append((title, words, file if exists else Missing("not built yet", command)))
    uri = settings.tracking_address
    mlflow = uri if uri.startswith("http") else "http://127.0.0.1:5000"
    note = "" if uri.startswith("http") else " (after `make up`)"
    found.append(("MLflow", f"Runs, models and model cards{note}.", mlflow))
    return found
