"""What a person may ask of one publication, whatever the sink, and its outcome, in numbers that balance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from pipelines.errors import SinkError
from pipelines.sinks.fold import Counts


@dataclass(frozen=True)
class Asked:
    """What a person asks of one publication."""

    #: Plan and check only, and show five rows: nothing is sent, nothing is written.
    dry_run: bool = False
    #: Override the guards: an older day, many leavers or far fewer items, what reads back differently, a
    #: version that was rolled back, a model that never passed the gate.
    force: bool = False
    #: Send dead letters again, once their cause is fixed.
    retry_dead: bool = False


@dataclass(frozen=True, kw_only=True)
class PublishReport(Counts):
    """Outcome of a publish: its rows by fate, and what is to be known besides.

    For a dry run, only ``planned``, ``skipped`` and ``deleted`` (records that would be) are counted.
    """

    #: What was published, where.
    sink: str
    object: str
    as_of: date
    #: Run in the ledger; None for a dry run.
    run_id: str | None
    #: Jobs made in the sink, all tries counted.
    jobs: int
    #: Nothing is left to do for this run; false if rows are unknown: run it again later.
    complete: bool
    dry_run: bool = False
    #: Whether an earlier try was taken up, or had been finished before.
    resumed: bool = False
    noop: bool = False
    #: Records read back and compared.
    checked: int = 0
    #: What only this kind of sink knows, for instance the version that serves; JSON-able and small.
    facts: Mapping[str, Any] = field(default_factory=dict)
    #: What a person should know, in words.
    warnings: Sequence[str] = ()
    #: First rows to be sent, for a dry run.
    sample: Sequence[Mapping[str, Any]] = ()

    def require_delivery(self, max_dead_share: float) -> None:
        """Raise if rows are unknown, or more than this share of the planned ones failed for good."""
        if not self.complete and not self.dry_run:
            raise SinkError(
                f"{self.object}: {self.unknown} rows are unknown, {self.sink} has not answered yet; run it again: it "
                f"asks about the same jobs instead of sending twice (run {self.run_id} in ops/publish_runs)"
            )
        if self.dead > max_dead_share * max(self.planned, 1):
            raise SinkError(
                f"{self.object}: {self.dead} of {self.planned} rows failed for good, more than "
                f"{max_dead_share:.1%} (publish.max_dead_share); reasons are in ops/publish_rows and on the report"
            )

    def record(self) -> dict[str, Any]:
        """JSON-able record of the report; the facts are keys like the others, the sample rows belong to dry runs."""
        values: dict[str, Any] = dict.fromkeys(("sink", "object", "as_of", "run_id"))
        values |= asdict(self)
        values |= {
            "as_of": self.as_of.isoformat(),
            "balanced": self.balanced,
            "warnings": list(self.warnings),
        }
        values |= values.pop("facts")
        sample = list(values.pop("sample"))
        return values | ({"sample": sample} if self.dry_run else {})
