"""Alarms: what is wrong, what it means for whom, and the first thing to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from pydantic import Field

from pipelines.monitoring.findings import Finding
from pipelines.monitoring.schemas import ALL, Severity, State
from pipelines.params import Params


@dataclass(frozen=True)
class Alarm:
    """One alarm, complete enough to act on without opening anything else."""

    usecase: str
    as_of: date
    #: Metric that raised it, for instance ``score_shift``.
    name: str
    severity: Severity
    #: What was measured and the limit it broke.
    value: float
    threshold: float
    #: ``column=value`` of the segment that moved most; ``all`` if no segment stands out.
    segment: str
    #: What was seen, in one sentence with the figures.
    finding: str
    #: What it means, and for whom.
    meaning: str
    #: The first thing to do.
    first_step: str

    @property
    def title(self) -> str:
        """One line for a subject or a list."""
        return f"{self.usecase} {self.as_of}: {self.finding}"

    def as_dict(self) -> dict[str, Any]:
        """JSON-able form, small enough for XCom."""
        return vars(self) | {"as_of": self.as_of.isoformat(), "severity": self.severity.value}


class AlarmWords(Params):
    """What an alarm means for whom, and the first thing to do."""

    meaning: str
    first_step: str


class Words(Params):
    """Words of a use case for people, which whoever reads them may edit."""

    #: By metric, in the order in which alarms of equal severity are told.
    alarms: dict[str, AlarmWords] = Field(default_factory=dict)
    #: Terms of the page and what they mean.
    glossary: dict[str, str] = Field(default_factory=dict)
    #: How features are told in rules: a noun for a number, or for a flag what is said if it is set and if it is not.
    features: dict[str, str | tuple[str, str]] = Field(default_factory=dict)


@dataclass(frozen=True)
class Sentence:
    """What an alarm says about the findings behind it."""

    #: The sentence, with the figures.
    finding: str
    #: Segment it names; ``all`` if none stands out.
    segment: str


#: Given the finding that speaks for an alarm, all alarms of its metric and all its findings: the sentence.
Phrase = Callable[[Finding, Sequence[Finding], Sequence[Finding]], Sentence]


def first_and_count(speaker: Finding, raised: Sequence[Finding], of_metric: Sequence[Finding]) -> Sentence:
    """The finding that stands out most, and how many more there are."""
    more = f"; and {len(raised) - 1} more" if len(raised) > 1 else ""
    return Sentence(speaker.message + more, speaker.segment_name)


def raise_alarms(
    usecase: str, as_of: date, findings: Sequence[Finding], words: Mapping[str, AlarmWords], phrase: Phrase
) -> list[Alarm]:
    """One alarm per metric, whatever the number of segments and subjects that raised it; critical ones first.

    Metrics without ``words`` raise no alarm. ``phrase`` words the finding that speaks for the metric: the one
    on all rows, else the one with the largest excess.
    """
    alarms = []
    for metric, told in words.items():
        of_metric = [f for f in findings if f.metric == metric]
        raised = [f for f in of_metric if f.state is State.ALARM]
        if not raised:
            continue
        overall = next((f for f in raised if f.segment_name == ALL), None)
        speaker = overall or max(raised, key=lambda f: f.excess)
        critical = any(f.severity is Severity.CRITICAL for f in raised)
        said = phrase(speaker, raised, of_metric)
        alarms.append(
            Alarm(
                usecase=usecase,
                as_of=as_of,
                name=metric,
                severity=Severity.CRITICAL if critical else Severity.WARNING,
                value=speaker.value or 0.0,
                threshold=speaker.threshold or 0.0,
                segment=said.segment,
                finding=said.finding,
                meaning=told.meaning,
                first_step=told.first_step,
            )
        )
    return sorted(alarms, key=lambda alarm: alarm.severity.value)
