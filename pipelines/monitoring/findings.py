"""What a check found: the row that is stored, and the words that people read."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.monitoring.reference import Segment
from pipelines.monitoring.schemas import ALL, Severity, State


@dataclass(frozen=True)
class Finding:
    """Result of one check on one segment: a row of ``ops/monitoring``."""

    metric: str
    subject: str
    state: State
    message: str
    value: float | None = None
    threshold: float | None = None
    severity: Severity | None = None
    segment: Segment = (ALL, ALL)
    psi: float | None = None
    impact: float | None = None
    rows: int = 0
    #: Part of ``value`` that sampling does not explain, by which segments are ranked.
    excess: float = 0.0

    def __post_init__(self) -> None:
        if self.state is State.ALARM and None in (self.severity, self.value, self.threshold):
            raise ValueError(f"an alarm needs severity, value and threshold, got {self}")

    @property
    def segment_name(self) -> str:
        """``column=value``, or ``all``."""
        return ALL if self.segment == (ALL, ALL) else f"{self.segment[0]}={self.segment[1]}"


def held_against(
    metric: str,
    subject: str,
    message: str,
    value: float,
    threshold: float | None,
    *,
    raised: bool,
    severity: Severity = Severity.WARNING,
    segment: Segment = (ALL, ALL),
    rows: int = 0,
    excess: float = 0.0,
) -> Finding:
    """Finding of a value that was held against a threshold: an alarm of ``severity`` where one is raised."""
    state = State.ALARM if raised else State.OK
    given = severity if raised else None
    return Finding(
        metric, subject, state, message, value, threshold, given, segment, rows=rows, excess=excess
    )


def percent(share: float) -> str:
    """`19 %` for 0.19."""
    return f"{100 * share:.0f} %"
