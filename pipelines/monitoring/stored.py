"""Findings in the lake: one partition of ``ops/monitoring`` per use case and day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import date

from pipelines.io.lake import Lake, having
from pipelines.monitoring.alarms import Alarm
from pipelines.monitoring.findings import Finding
from pipelines.monitoring.schemas import MONITORING, Severity, State


def store_findings(
    lake: Lake,
    usecase: str,
    as_of: date,
    findings: Sequence[Finding],
    *,
    model_version: str | None,
    alarms: Sequence[Alarm],
) -> None:
    """Replace the findings of a day; the names of the alarms go into the commit's metadata."""
    rows = [
        vars(f)
        | {
            "usecase": usecase,
            "as_of": as_of,
            "segment_column": f.segment[0],
            "segment": f.segment[1],
            "state": f.state.value,
            "severity": f.severity and f.severity.value,
            "model_version": model_version,
        }
        for f in findings
    ]
    lake.replace_partition(
        MONITORING,
        rows,
        {"usecase": usecase, "as_of": as_of},
        metadata={"alarms": [alarm.name for alarm in alarms]},
    )


def read_findings(lake: Lake, usecase: str, as_of: date) -> list[Finding]:
    """Findings of a day, most important first, as the checks hand them over; none if it was not checked."""
    where = having(usecase=usecase, as_of=as_of)
    findings = [
        Finding(
            **{field.name: row[field.name] for field in fields(Finding)}
            | {
                "state": State(row["state"]),
                "severity": row["severity"] and Severity(row["severity"]),
                "segment": (row["segment_column"], row["segment"]),
            }
        )
        for row in lake.read(MONITORING, where=where, missing_ok=True).to_pylist()
    ]
    return sorted(findings, key=lambda f: (-(f.impact or 0.0), -f.excess, f.subject))


def newest_monitored_day(lake: Lake, usecase: str, as_of: date) -> date | None:
    """Newest day up to ``as_of`` whose predictions were checked; None before the first."""
    return lake.newest_day(MONITORING, as_of, having(usecase=usecase))
