"""What a publication calls done."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from pipelines.errors import SinkError
from pipelines.sinks.report import PublishReport


def report(**counts: Any) -> PublishReport:
    fates = dict.fromkeys(("planned", "sent", "ok", "failed", "unknown", "skipped", "deleted", "dead"), 0)
    return PublishReport(
        sink="salesforce", object="Churn_Score__c", as_of=date(2025, 1, 6), run_id="r", jobs=1,
        **{"complete": True, **fates, **counts},
    )  # fmt: skip


def test_rows_that_salesforce_has_not_answered_fail_the_step() -> None:
    with pytest.raises(SinkError, match=r"3 rows are unknown.*run it again"):
        report(planned=10, sent=10, ok=7, unknown=3, complete=False).require_delivery(0.01)


def test_many_dead_letters_fail_the_step_and_few_do_not() -> None:
    report(planned=1000, sent=1000, ok=990, failed=10, dead=10).require_delivery(0.01)
    with pytest.raises(SinkError, match=r"11 of 1000 rows failed for good, more than 1\.0%"):
        report(planned=1000, sent=1000, ok=989, failed=11, dead=11).require_delivery(0.01)
