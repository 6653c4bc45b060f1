"""Alarms: what is wrong, what it means for whom, and the first thing to do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from pipelines.monitoring.schemas import Severity


@dataclass(frozen=True)
class Alarm:
    """One alarm, complete enough to act on without opening anything else.

    Attributes
    ----------
    name
        Metric that raised it, for instance ``score_shift``.
    value, threshold
        What was measured and the limit it broke.
    segment
        ``column=value`` of the segment that moved most; ``all`` if no segment stands out.
    finding
        What was seen, in one sentence with the figures.
    meaning
        What it means, and for whom.
    first_step
        The first thing to do.
    """

    usecase: str
    as_of: date
    name: str
    severity: Severity
    value: float
    threshold: float
    segment: str
    finding: str
    meaning: str
    first_step: str

    @property
    def title(self) -> str:
        """One line for a subject or a list."""
        return f"{self.usecase} {self.as_of}: {self.finding}"

    def as_dict(self) -> dict[str, Any]:
        """JSON-able form, small enough for XCom; :func:`from_dict` reads it."""
        return {
            "usecase": self.usecase,
            "as_of": self.as_of.isoformat(),
            "name": self.name,
            "severity": self.severity.value,
            "value": self.value,
            "threshold": self.threshold,
            "segment": self.segment,
            "finding": self.finding,
            "meaning": self.meaning,
            "first_step": self.first_step,
        }


def from_dict(record: dict[str, Any]) -> Alarm:
    """Inverse of :meth:`Alarm.as_dict`."""
    return Alarm(
        **{
            **record,
            "as_of": date.fromisoformat(record["as_of"]),
            "severity": Severity(record["severity"]),
        }
    )
