"""What a check found: the row that is stored, and the words that people read."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.monitoring.reference import Segment
from pipelines.monitoring.schemas import ALL, Severity, State


@dataclass(frozen=True)
class Finding:
    """Result of one check on one segment: a row of ``ops/monitoring``.

    Attributes
    ----------
    excess
        Part of ``value`` that sampling does not explain, by which segments are ranked.
    """

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
    limit: float,
    *,
    broken: bool,
    severity: Severity = Severity.WARNING,
    segment: Segment = (ALL, ALL),
    rows: int = 0,
    excess: float = 0.0,
) -> Finding:
    """Finding about a value and its limit: an alarm of the given severity if the limit is broken."""
    return Finding(
        metric, subject, State.ALARM if broken else State.OK, message, value, limit,
        severity if broken else None, segment, rows=rows, excess=excess,
    )  # fmt: skip


def percent(share: float) -> str:
    """`19 %` for 0.19."""
    return f"{100 * share:.0f} %"
