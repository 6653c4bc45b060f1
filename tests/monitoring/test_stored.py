"""Findings read back as they were stored, and alarms that say one thing per metric."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

from pipelines.io.lake import Lake
from pipelines.monitoring.alarms import AlarmWords, Sentence, raise_alarms
from pipelines.monitoring.findings import Finding
from pipelines.monitoring.schemas import Severity, State
from pipelines.monitoring.stored import newest_monitored_day, read_findings, store_findings

DAY = date(2025, 6, 2)
WORDS = {
    "bias": AlarmWords(meaning="It leans.", first_step="Look."),
    "mape": AlarmWords(meaning="It errs.", first_step="Search."),
}


def finding(
    metric: str, segment: str = "all", excess: float = 0.0, severity: Severity | None = None
) -> Finding:
    return Finding(
        metric, "total", State.ALARM if severity else State.OK, f"{metric} of {segment}", value=1.0, threshold=0.5,
        severity=severity, segment=("all", "all") if segment == "all" else ("segment", segment), excess=excess,
        psi=0.25, impact=None, rows=7,
    )  # fmt: skip


FINDINGS = [
    finding("mape", "new", 0.4, Severity.WARNING),
    finding("mape", "promo", 0.1, Severity.CRITICAL),
    finding("bias", "all", 0.0, Severity.WARNING),
    finding("bias", "new", 0.9, Severity.WARNING),
    finding("coverage"),
]


def phrase(speaker: Finding, raised: Sequence[Finding], of_metric: Sequence[Finding]) -> Sentence:
    return Sentence(f"{speaker.message} ({len(raised)} of {len(of_metric)})", speaker.segment_name)


def test_findings_come_back_in_order_of_importance(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    assert read_findings(lake, "demand", DAY) == []
    store_findings(lake, "demand", DAY, FINDINGS, model_version="demand/1", alarms=[])
    store_findings(lake, "churn", DAY, FINDINGS[:1], model_version=None, alarms=[])
    found = read_findings(lake, "demand", DAY)
    assert sorted(found, key=str) == sorted(FINDINGS, key=str)
    assert [f.excess for f in found] == [0.9, 0.4, 0.1, 0.0, 0.0]
    store_findings(lake, "demand", DAY, FINDINGS[:2], model_version="demand/1", alarms=[])
    assert len(read_findings(lake, "demand", DAY)) == 2
    assert len(read_findings(lake, "churn", DAY)) == 1


def test_the_newest_monitored_day_is_of_the_use_case_and_not_of_the_future(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    assert newest_monitored_day(lake, "demand", DAY) is None
    for usecase, day in (("demand", DAY - timedelta(3)), ("demand", DAY + timedelta(1)), ("churn", DAY)):
        store_findings(lake, usecase, day, FINDINGS, model_version=None, alarms=[])
    assert newest_monitored_day(lake, "demand", DAY) == DAY - timedelta(3)
    assert newest_monitored_day(lake, "demand", DAY + timedelta(5)) == DAY + timedelta(1)


def test_one_alarm_per_metric_critical_ones_first() -> None:
    alarms = raise_alarms("demand", DAY, FINDINGS, WORDS, phrase)
    assert [(alarm.name, alarm.severity) for alarm in alarms] == [
        ("mape", Severity.CRITICAL),
        ("bias", Severity.WARNING),
    ]
    mape, bias = alarms
    assert mape.finding == "mape of new (2 of 2)", "the largest excess speaks where nothing is said of all"
    assert bias.finding == "bias of all (2 of 2)", "the finding on all rows speaks"
    assert (mape.meaning, mape.first_step) == ("It errs.", "Search.")
    assert mape.as_dict() | {"as_of": mape.as_of} == vars(mape)
    quiet = [f for f in FINDINGS if f.state is State.OK]
    assert raise_alarms("demand", DAY, quiet, WORDS, phrase) == []
