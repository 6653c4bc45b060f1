"""Repurchase, monitoring: today's volume, and past predictions against what customers did since."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import pyarrow.dataset as pa_dataset

from pipelines.io.lake import Lake
from pipelines.monitoring.alarms import Alarm, Sentence, raise_alarms
from pipelines.monitoring.checks import check_drift
from pipelines.monitoring.findings import Finding, percent
from pipelines.monitoring.schemas import Severity, State
from pipelines.monitoring.stored import read_findings, store_findings
from pipelines.settings import Settings
from pipelines.usecases.repurchase.contracts import USECASE
from pipelines.usecases.repurchase.dataset import WATCHED, read_scope
from pipelines.usecases.repurchase.params import MonitorParams, RepurchaseParams
from pipelines.usecases.repurchase.realised import read_totals, realise
from pipelines.usecases.repurchase.schemas import NEXT_ORDERS

log = logging.getLogger(__name__)

#: What an alarm means for whom, and the first thing to do, by metric.
_WORDS = {
    "predictions": (
        "Marketing would miss customers, or write to people who left long ago.",
        "Look for a lost or partial delivery of orders first (freshness on the control room page), then run "
        "`millrace ingest repurchase` and score again.",
    ),
    "return_bias": (
        "More or fewer customers come back than the probabilities say: reminders go to too many or too few.",
        "See on the repurchase page since when; if orders are complete, run repurchase_train, which estimates the "
        "waits anew.",
    ),
    "coverage": (
        "The windows are too narrow or too wide: marketing writes at the wrong time more often than it was told.",
        "Run repurchase_train; if it happens again, look at the gap calibration on the repurchase page for the "
        "customers whose habits changed.",
    ),
    "date_error": (
        "Expected days are no better than the customer's own median gap: nobody needs the model for them.",
        "Compare the realised errors on the repurchase page day by day: a jump points to a delivery, a slope to "
        "changed habits; then run repurchase_train.",
    ),
    "list_f1": (
        "Lists hold fewer products that customers buy again than they promise: the shop shows worse suggestions.",
        "Check whether product ids changed (freshness and quarantine of products and lines), then run "
        "repurchase_train.",
    ),
    "feature_shift": (
        "Customers are not like those the models learned from: dates and lists rest on habits of others.",
        "Look for a lost or doubled delivery first (freshness and quarantine on the control room page); if customers "
        "changed, run repurchase_train.",
    ),
}


def run(
    as_of: date, *, settings: Settings | None = None, params: RepurchaseParams | None = None
) -> dict[str, Any]:
    """Write what became of past predictions, and check them and the volume of ``as_of``.

    A repeated run replaces the day's rows. What cannot be judged yet is a finding of its own.

    Returns
    -------
    ``as_of``, ``model_version``, ``alarms`` (see :meth:`Alarm.as_dict`), the number of findings per state and
    the ``realised_days`` written; small enough for XCom.
    """
    settings, params = settings or Settings.load(), params or RepurchaseParams.load_default()
    lake, limits = Lake.of(settings), params.monitoring
    rows = lake.read(
        NEXT_ORDERS, columns=["model_version"], where=pa_dataset.field("as_of") == as_of, missing_ok=True
    )
    version = rows["model_version"][0].as_py() if rows.num_rows else None
    days = realise(lake, as_of, params)
    findings = [
        _volume(lake, as_of, rows.num_rows, limits),
        *check_realised(read_totals(lake, as_of), limits),
    ]
    if version is not None:
        findings += check_drift(lake, version, read_scope(lake, settings, as_of)[0], WATCHED, limits)
    alarms = _alarms(as_of, findings)
    store_findings(lake, USECASE, as_of, findings, model_version=version, alarms=alarms)
    for alarm in alarms:
        log.warning("%s alarm, %s. %s", alarm.severity, alarm.title, alarm.first_step)
    return {
        "as_of": as_of.isoformat(),
        "model_version": version,
        "alarms": [alarm.as_dict() for alarm in alarms],
        "findings": {state.value: sum(f.state is state for f in findings) for state in State},
        "realised_days": [day.isoformat() for day in days],
    }


def read_alarms(lake: Lake, as_of: date) -> list[Alarm]:
    """Word the alarms of a monitored day again, from the stored findings."""
    return _alarms(as_of, read_findings(lake, USECASE, as_of))


def check_realised(sums: Mapping[str, float] | None, limits: MonitorParams) -> list[Finding]:
    """Hold past predictions against what customers did.

    Parameters
    ----------
    sums
        From :func:`pipelines.usecases.repurchase.realised.read_totals`.
    """
    checked = ("return_bias", "coverage", "date_error", "list_f1")
    if sums is None:
        words = "not enough days yet: no predictions whose horizon is over"
        return [Finding(metric, "realised", State.NOT_ENOUGH_DATA, words) for metric in checked]
    returned, lists = sums["returned"], sums["judged_lists"]
    few = "not enough {} yet: {:,.0f} of the {:,} needed"
    findings = [_return_bias(sums, limits)]
    if returned < limits.min_returns:
        words = few.format("returns", returned, limits.min_returns)
        findings += [Finding(m, "realised", State.NOT_ENOUGH_DATA, words) for m in ("coverage", "date_error")]
    else:
        findings += [_coverage(sums, limits), _date_error(sums)]
    if lists < limits.min_returns:
        words = few.format("lists", lists, limits.min_returns)
        findings.append(Finding("list_f1", "realised", State.NOT_ENOUGH_DATA, words))
    else:
        findings.append(_list_f1(sums, limits))
    return findings


def _volume(lake: Lake, as_of: date, scored: int, limits: MonitorParams) -> Finding:
    earlier = lake.read(
        NEXT_ORDERS, columns=["as_of"], where=pa_dataset.field("as_of") < as_of, missing_ok=True
    )
    if not scored:
        words = f"no predictions of this day: run `millrace score repurchase --as-of {as_of}`"
        return Finding("predictions", "customers", State.NOT_ENOUGH_DATA, words)
    if not earlier.num_rows:
        words = f"{scored:,} customers scored; no earlier day to compare with"
        return Finding("predictions", "customers", State.OK, words, value=float(scored), rows=scored)
    counts = earlier.group_by("as_of").aggregate([("as_of", "count")]).sort_by("as_of")
    last = counts["as_of_count"][-1].as_py()
    change = scored / last - 1
    words = f"{scored:,} customers scored, {change:+.0%} against the last scored day"
    return _finding(
        "predictions", "customers", change, limits.max_volume_change, words, scored, Severity.CRITICAL
    )


def _return_bias(sums: Mapping[str, float], limits: MonitorParams) -> Finding:
    customers = max(sums["customers"], 1)
    bias = (sums["expected_returns"] - sums["returned"]) / customers
    words = (
        f"{percent(sums['returned'] / customers)} of the customers came back within the horizon, "
        f"{percent(sums['expected_returns'] / customers)} were expected"
    )
    return _finding(
        "return_bias",
        "realised",
        bias,
        limits.max_return_bias,
        words,
        int(sums["customers"]),
        Severity.WARNING,
    )


def _coverage(sums: Mapping[str, float], limits: MonitorParams) -> Finding:
    share = sums["in_window"] / sums["returned"]
    low, high = limits.min_coverage, limits.max_coverage
    words = (
        f"{percent(share)} of the returns fell into their window (between {percent(low)} and {percent(high)})"
    )
    return Finding(
        "coverage",
        "realised",
        State.OK if low <= share <= high else State.ALARM,
        words,
        value=share,
        threshold=low if share < low else high,
        severity=None if low <= share <= high else Severity.WARNING,
        rows=int(sums["returned"]),
    )


def _date_error(sums: Mapping[str, float]) -> Finding:
    ours, rule = (sums[name] / sums["returned"] for name in ("absolute_error_days", "baseline_error_days"))
    words = f"expected days were {ours:.1f} days off on average, the customer's median gap {rule:.1f}"
    worse = ours >= rule
    return Finding(
        "date_error",
        "realised",
        State.ALARM if worse else State.OK,
        words,
        value=ours,
        threshold=rule,
        severity=Severity.WARNING if worse else None,
        rows=int(sums["returned"]),
    )


def _list_f1(sums: Mapping[str, float], limits: MonitorParams) -> Finding:
    lists = sums["judged_lists"]
    found, expected = sums["f1_sum"] / lists, sums["expected_f1_sum"] / lists
    least = limits.min_f1_share * expected
    low = found < least
    words = (
        f"lists reached an F1 of {found:.3f} on {lists:,.0f} orders ({sums['hits']:,.0f} of {sums['named']:,.0f} "
        f"listed products were bought), {expected:.3f} was expected"
    )
    return Finding(
        "list_f1",
        "realised",
        State.ALARM if low else State.OK,
        words,
        value=found,
        threshold=least,
        severity=Severity.WARNING if low else None,
        rows=int(lists),
    )


def _finding(
    metric: str, subject: str, value: float, limit: float, words: str, rows: int, severity: Severity
) -> Finding:
    beyond = abs(value) > limit
    return Finding(
        metric,
        subject,
        State.ALARM if beyond else State.OK,
        words,
        value=value,
        threshold=limit,
        severity=severity if beyond else None,
        rows=rows,
    )


def _alarms(as_of: date, findings: Sequence[Finding]) -> list[Alarm]:
    def phrase(speaker: Finding, raised: Sequence[Finding], of_metric: Sequence[Finding]) -> Sentence:
        more = f"; and {len(raised) - 1} more features moved" if len(raised) > 1 else ""
        return Sentence(speaker.message + more, speaker.segment_name)

    return raise_alarms(USECASE, as_of, findings, _WORDS, phrase)
