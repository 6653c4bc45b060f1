"""Sections that every use case's page has: gate verdict, findings of the monitoring, days of a table."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset

from features.schemas import Table
from pipelines.io.lake import Lake
from pipelines.io.promotions import Promotion, read_promotions
from pipelines.monitoring.schemas import MONITORING
from pipelines.reporting.site import Missing
from pipelines.reporting.words import number, percent

_URGENCY = {"alarm": 0, "ok": 1, "not_enough_data": 2}


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


def findings(
    lake: Lake,
    usecase: str,
    as_of: date,
    *,
    counts: Collection[str] = (),
    shares: Collection[str] = (),
    named: Collection[str] = (),
    what: str = "The results",
) -> list[dict[str, Any]] | Missing:
    """Findings of a day's monitoring, most urgent first.

    Parameters
    ----------
    counts, shares
        Metrics shown as whole numbers, and as percentages; the others have two decimals.
    named
        Metrics of several subjects, which are shown beside them.
    what
        What was not checked, if nothing was.

    Returns
    -------
    Rows of ``ops/monitoring`` with ``where`` (the segment in words), ``shown_subject``, ``shown_value`` and
    ``shown_threshold``.
    """
    field = pa_dataset.field
    where = (field("usecase") == usecase) & (field("as_of") == as_of)
    rows: list[dict[str, Any]] = lake.read(MONITORING, where=where, missing_ok=True).to_pylist()
    if not rows:
        return Missing(f"{what} of {as_of} were not checked.", f"millrace monitor {usecase} --as-of {as_of}")
    for row in rows:
        row["where"] = "all" if row["segment"] == "all" else f"{row['segment_column']} = {row['segment']}"
        row["shown_subject"] = row["subject"] if row["metric"] in named else ""
        for name in ("value", "threshold"):
            value = row[name]
            shown = percent(value, 1) if row["metric"] in shares else number(value, 2)
            row[f"shown_{name}"] = number(value) if row["metric"] in counts else shown
    rows.sort(
        key=lambda r: (
            _URGENCY[r["state"]], r["metric"], r["segment"] != "all", -(r["impact"] or r["excess"])
        )
    )  # fmt: skip
    return rows


def newest_day(lake: Lake, table: Table, as_of: date) -> date | None:
    """Newest ``as_of`` of a table up to a day; None before the first."""
    where = pa_dataset.field("as_of") <= as_of
    days = lake.read(table, columns=["as_of"], where=where, missing_ok=True)["as_of"]
    newest: date | None = pc.max(days).as_py() if len(days) else None
    return newest
