"""Findings in the lake: one partition of ``ops/monitoring`` per use case and day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pyarrow as pa
import pyarrow.dataset as pa_dataset

from pipelines.io.lake import Lake
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
        {
            "usecase": usecase,
            "as_of": as_of,
            "metric": f.metric,
            "subject": f.subject,
            "segment_column": f.segment[0],
            "segment": f.segment[1],
            "state": f.state.value,
            "severity": f.severity.value if f.severity else None,
            "value": f.value,
            "threshold": f.threshold,
            "psi": f.psi,
            "impact": f.impact,
            "excess": f.excess,
            "rows": f.rows,
            "message": f.message,
            "model_version": model_version,
        }
        for f in findings
    ]
    lake.replace_partition(
        MONITORING,
        pa.Table.from_pylist(rows, schema=MONITORING.arrow_schema),
        {"usecase": usecase, "as_of": as_of},
        metadata={"alarms": [alarm.name for alarm in alarms]},
    )


def read_findings(lake: Lake, usecase: str, as_of: date) -> list[Finding]:
    """Findings of a day, most important first, as the checks hand them over; none if it was not checked."""
    field = pa_dataset.field
    where = (field("usecase") == usecase) & (field("as_of") == as_of)
    findings = [
        Finding(
            metric=row["metric"],
            subject=row["subject"],
            state=State(row["state"]),
            message=row["message"],
            value=row["value"],
            threshold=row["threshold"],
            severity=Severity(row["severity"]) if row["severity"] else None,
            segment=(row["segment_column"], row["segment"]),
            psi=row["psi"],
            impact=row["impact"],
            excess=row["excess"],
            rows=row["rows"],
        )
        for row in lake.read(MONITORING, where=where, missing_ok=True).to_pylist()
    ]
    return sorted(findings, key=lambda f: (-(f.impact or 0.0), -f.excess, f.subject))


def newest_monitored_day(lake: Lake, usecase: str, as_of: date) -> date | None:
    """Newest day up to ``as_of`` whose predictions were checked; None before the first."""
    field = pa_dataset.field
    return lake.newest_day(MONITORING, (field("usecase") == usecase) & (field("as_of") <= as_of))
