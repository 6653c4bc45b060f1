"""Sections that every use case's page has: gate verdict, findings of the monitoring, days of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow.compute as pc

from features.schemas import Table
from pipelines.io.lake import Lake, having, on_day
from pipelines.io.promotions import Promotion, read_promotions
from pipelines.monitoring.schemas import MONITORING
from pipelines.reporting.control_room import newest_runs
from pipelines.reporting.page import CheckStyle, FindingStyle, Missing
from pipelines.reporting.words import number, percent
from pipelines.sinks.ledger import dead_letters, read_flips
from pipelines.sinks.target import Target

#: Publish runs and rows that failed for good shown.
_RUNS_SHOWN, _DEAD_SHOWN = 10, 50

_URGENCY = {"alarm": 0, "ok": 1, "not_enough_data": 2}


@dataclass(frozen=True)
class Publication:
    """What the systems of the users were sent."""

    #: Publish runs to all targets, newest first.
    runs: list[dict[str, Any]]
    #: Rows of the newest runs that failed for good, at most 50.
    dead: list[dict[str, Any]]
    #: How many there are.
    dead_total: int
    #: Moves of the pointer to the version that serves, newest first; empty for records.
    flips: list[dict[str, Any]]
    #: Whether the version that serves is the day's.
    is_today: bool


def publication(lake: Lake, usecase: str, targets: Sequence[Target], as_of: date) -> Publication | Missing:
    """Publish runs, dead letters and the version that serves."""
    runs = newest_runs(lake, targets, as_of)
    if not runs:
        return Missing("Nothing was published yet.", f"millrace publish {usecase} --as-of {as_of}")
    # By sink and object or namespace: a deployment may have moved to another table meanwhile.
    newest = {
        (run["sink"], run["object"].rpartition("/")[2]): (run["sink"], run["object"])
        for run in reversed(runs)
    }
    dead = [row for sink, object_ in newest.values() for row in dead_letters(lake, sink, object_).to_dicts()]
    flips = [
        flip
        for sink, object_ in newest.values()
        for flip in read_flips(lake, sink, object_).to_dicts()[::-1]
        if flip["as_of"] <= as_of
    ]
    is_today = bool(flips) and flips[0]["as_of"] == as_of
    return Publication(runs[:_RUNS_SHOWN], dead[:_DEAD_SHOWN], len(dead), flips[:_RUNS_SHOWN], is_today)


def gate_log(lake: Lake, usecase: str, as_of: date) -> list[Promotion] | Missing:
    """Promotion log up to a day, newest first."""
    log = read_promotions(lake, usecase, until=as_of)
    if not log:
        return Missing("No gate verdict yet.", f"millrace train {usecase} --as-of {as_of}")
    return log[::-1]


def gate_checks(verdict: Promotion, styles: Mapping[str, CheckStyle]) -> list[dict[str, Any]]:
    """Checks of a verdict as people call them, in the order in which they were made."""
    found = []
    for check in verdict.checks:
        style = styles.get(check["name"], CheckStyle(check["name"]))
        found.append({"label": style.label, "digits": style.digits, "sense": style.sense, **check})
    return found


def findings(lake: Lake, usecase: str, as_of: date, style: FindingStyle) -> list[dict[str, Any]] | Missing:
    """Findings of a day's monitoring, most urgent first.

    Returns rows of ``ops/monitoring`` with ``where`` (the segment in words), ``shown_subject``, ``shown_value`` and
    ``shown_threshold``.
    """
    where = having(usecase=usecase, as_of=as_of)
    rows: list[dict[str, Any]] = lake.read(MONITORING, where=where, missing_ok=True).to_pylist()
    if not rows:
        return Missing(
            f"{style.what} of {as_of} were not checked.", f"millrace monitor {usecase} --as-of {as_of}"
        )
    for row in rows:
        row["where"] = "all" if row["segment"] == "all" else f"{row['segment_column']} = {row['segment']}"
        row["shown_subject"] = row["subject"] if row["metric"] in style.named else ""
        for name in ("value", "threshold"):
            value = row[name]
            shown = percent(value, 1) if row["metric"] in style.shares else number(value, 2)
            row[f"shown_{name}"] = number(value) if row["metric"] in style.counts else shown
    rows.sort(
        key=lambda r: (
            _URGENCY[r["state"]], r["metric"], r["segment"] != "all", -(r["impact"] or r["excess"])
        )
    )  # fmt: skip
    left = dict(style.quiet)
    shown_rows = []
    for row in rows:
        if row["state"] != "alarm" and row["metric"] in left:
            left[row["metric"]] -= 1
            if left[row["metric"]] < 0:
                continue
        shown_rows.append(row)
    return shown_rows


def scope_reasons(
    lake: Lake, table: Table | str, as_of: date, words: Mapping[str, str]
) -> list[tuple[str, str, int]]:
    """Reason, what it means and number of rows out of scope, most first."""
    name = table if isinstance(table, str) else table.name
    if not lake.exists(name):
        return []
    reasons = lake.read(name, columns=["scope_reason"], where=on_day(as_of))["scope_reason"].drop_null()
    counted = pc.value_counts(reasons).to_pylist()
    counted.sort(key=lambda row: -row["counts"])
    return [(row["values"], words.get(row["values"], ""), row["counts"]) for row in counted]
