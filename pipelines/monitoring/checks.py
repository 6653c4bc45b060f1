"""The checks: each measures one thing about a day's predictions and says what it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from models.evaluation.bootstrap import bootstrap_metrics
from pipelines.io.lake import Lake
from pipelines.monitoring.bins import Bins, make_bins
from pipelines.monitoring.drift import Counts, Shift, measure_shift
from pipelines.monitoring.findings import Finding, held_against, percent
from pipelines.monitoring.params import DriftParams, MonitoringParams
from pipelines.monitoring.performance import LabelledSample
from pipelines.monitoring.reference import (
    Reference,
    Segment,
    SegmentCounts,
    expected_by_segment,
    load_reference,
    segment_counts,
    segment_groups,
)
from pipelines.monitoring.schemas import ALL, SCORE, Severity, State
from pipelines.monitoring.subjects import Subjects

#: Families of distribution checks in a run; the false-alarm rate is shared among all comparisons.
_FAMILIES = 3

#: Bootstrap replicates behind the interval of the measured AUC-PR.
_REPLICATES = 200


def check_volume(rows: int, subjects: Subjects, params: MonitoringParams) -> Finding:
    """Compare the number of predictions with its bounds."""
    low, high = params.min_predictions, params.max_predictions
    broken = rows < low or rows > high
    words = f"{rows:,} {subjects.noun} scored, expected {low:,} to {high:,}"
    limit = float(high if rows > high else low)
    return held_against(
        "predictions", "predictions", words, float(rows), limit,
        raised=broken, severity=Severity.CRITICAL, rows=rows,
    )  # fmt: skip


def check_scores(
    scores: pa.Table, reference: Reference, subjects: Subjects, params: MonitoringParams
) -> list[Finding]:
    """Compare the day's scores with the reference of the version that made them, by segment.

    The message of each finding carries the metric loss to expect from the move alone.
    """
    expected = expected_by_segment(scores, subjects.segments)
    stored = reference.counts[SCORE]
    found = _compare("score_shift", scores, reference.bins[SCORE], stored, subjects, params)
    return [
        _with_expected_loss(finding, expected[finding.segment], stored.get(finding.segment))
        for finding in found
    ]


def check_scores_against(
    scores: pa.Table,
    previous: Sequence[pa.Table],
    bins: Bins | None,
    subjects: Subjects,
    params: MonitoringParams,
) -> list[Finding]:
    """Compare the day's scores with those of earlier score days of the same model version.

    Against the reference a slow move adds up until it shows; against the last weeks a sudden one shows even if
    the reference itself is old. ``previous`` are the earlier days' scores, newest first; their mean
    distribution is the other side. ``bins`` are those of the reference; made from the earlier days if None.
    """
    if not previous:
        return [
            Finding(
                metric="score_shift_weekly",
                subject=SCORE,
                state=State.NOT_ENOUGH_DATA,
                rows=scores.num_rows,
                message="first score day of this model version: there are no earlier weeks to compare with",
            )
        ]
    pooled = pa.concat_tables(previous)
    bins = bins or make_bins(SCORE, pooled[SCORE])
    # The weeks hold nearly the same subjects: their number is a week's, not the sum.
    weeks = len(previous)
    stored = {
        segment: SegmentCounts(counts, max(1, int(counts.sum()) // weeks))
        for segment, counts in segment_counts(pooled, bins, segment_groups(pooled, subjects.segments)).items()
    }
    return _compare("score_shift_weekly", scores, bins, stored, subjects, params)


def check_features(
    features: pa.Table,
    reference: Reference,
    subjects: Subjects,
    params: DriftParams,
    importance: Mapping[str, float],
) -> list[Finding]:
    """Compare every feature with the reference; most important moves first.

    ``importance`` is the mean absolute contribution by feature, on any scale; it may be empty.
    """
    names = [name for name in reference.features if name in features.column_names]
    rate = params.false_alarm_rate / _FAMILIES / max(1, len(names))
    total = sum(importance.values())
    groups = segment_groups(features, subjects.segments)
    found = []
    for name in names:
        bins, stored = reference.bins[name], reference.counts[name]
        counted = segment_counts(features, bins, groups, counts_missing=subjects.counts_missing)
        shifts = {
            segment: _shift(counts, stored[segment], params.max_feature_shift, rate)
            for segment, counts in counted.items()
            if segment in stored and _is_large_enough(int(counts.sum()), stored[segment], params)
        }
        overall = shifts.pop((ALL, ALL), None)
        if overall is None:
            continue
        where = ""
        if shifts:
            worst = max(shifts, key=lambda segment: shifts[segment].excess)
            where = f"; most in {worst[0]}={worst[1]} ({percent(shifts[worst].value)})"
        share = importance.get(name, 0.0) / total if total else None
        words = f"{name}: {percent(overall.value)} of {subjects.noun} in another bin than in training{where}"
        finding = _of_shift("feature_shift", name, words, overall)
        found.append(replace(finding, impact=None if share is None else overall.value * share))
    return sorted(found, key=lambda f: (-(f.impact or 0.0), -f.excess, f.subject))


def check_drift(
    lake: Lake, usecase: str, version: str, features: Any, subjects: Subjects, params: DriftParams
) -> list[Finding]:
    """Compare a day's features with the reference of the version that served; what is missing is a finding.

    ``features`` are the rows of the day, with the segment columns: anything Arrow can read, made as at
    training.
    """
    features, reference = pa.table(features), load_reference(lake, usecase, version)
    if reference is None:
        return [no_reference("feature_shift", "features", usecase, version, features.num_rows)]
    found = check_features(features, reference, subjects, params, {})
    if found:
        return found
    words = f"features of {features.num_rows:,} {subjects.noun} are too few to judge, or none were kept"
    return [Finding("feature_shift", "features", State.NOT_ENOUGH_DATA, words, rows=features.num_rows)]


def no_reference(metric: str, subject: str, usecase: str, version: str, rows: int) -> Finding:
    """Finding of a version whose training stored no reference."""
    words = f"no reference bins of {version}: `millrace train {usecase}` stores them"
    return Finding(metric, subject, State.NOT_ENOUGH_DATA, words, rows=rows)


def check_performance(sample: LabelledSample | None, subjects: Subjects, params: MonitoringParams) -> Finding:
    """Compare the measured AUC-PR of the newest matured score day with its limit.

    Too few labels are a state of their own: with 20 positives the AUC-PR can be anything.
    """
    if sample is None or len(sample.scores) < params.min_labels or sample.positives < params.min_positives:
        have = (
            "no score day has matured labels yet"
            if sample is None
            else f"{len(sample.scores):,} labels with {sample.positives:,} {subjects.outcome} on {sample.scored_on}"
        )
        return Finding(
            metric="auc_pr",
            subject="labelled sample",
            state=State.NOT_ENOUGH_DATA,
            rows=0 if sample is None else len(sample.scores),
            message=f"not enough labels: {have}; {params.min_labels:,} with "
            f"{params.min_positives:,} {subjects.outcome} are needed",
        )
    measured = bootstrap_metrics(
        sample.outcomes, sample.scores, sample.subjects, n_replicates=_REPLICATES, probability=False
    )["auc_pr"]
    broken = measured.value < params.min_auc_pr
    # Beyond doubt if even the upper end of the interval is too low.
    certain = measured.high < params.min_auc_pr
    words = (
        f"AUC-PR {measured.value:.2f} (90 % interval {measured.low:.2f} to {measured.high:.2f}) on "
        f"{len(sample.scores):,} {subjects.noun} scored {sample.scored_on} by {sample.model_version}, "
        f"limit {params.min_auc_pr:.2f}"
    )
    return held_against(
        "auc_pr", "labelled sample", words, measured.value, params.min_auc_pr,
        raised=broken, severity=Severity.CRITICAL if certain else Severity.WARNING, rows=len(sample.scores),
    )  # fmt: skip


def _compare(
    metric: str,
    scores: pa.Table,
    bins: Bins,
    stored: Mapping[Segment, SegmentCounts],
    subjects: Subjects,
    params: MonitoringParams,
) -> list[Finding]:
    counted = segment_counts(scores, bins, segment_groups(scores, subjects.segments))
    rate = params.false_alarm_rate / _FAMILIES / len(counted)
    found = []
    for segment, counts in counted.items():
        rows = int(counts.sum())
        if segment not in stored or not _is_large_enough(rows, stored[segment], params):
            reason = (
                "is new since training" if segment not in stored else f"has too few rows to judge ({rows:,})"
            )
            name = subjects.whole if segment == (ALL, ALL) else f"{segment[0]}={segment[1]}"
            found.append(
                Finding(metric, SCORE, State.NOT_ENOUGH_DATA, f"{name} {reason}", segment=segment, rows=rows)
            )
            continue
        shift = _shift(counts, stored[segment], params.max_score_shift, rate)
        direction = "up" if _mean_rank(counts) > _mean_rank(stored[segment].counts) else "down"
        against = "the model was validated on" if metric == "score_shift" else "in the weeks before"
        words = (
            f"{percent(shift.value)} of {subjects.noun} in another score band than {against}, on "
            f"balance {direction}"
        )
        severity = Severity.CRITICAL if segment == (ALL, ALL) else Severity.WARNING
        found.append(_of_shift(metric, SCORE, words, shift, severity, segment))
    return found


def _of_shift(
    metric: str,
    subject: str,
    words: str,
    shift: Shift,
    severity: Severity = Severity.WARNING,
    segment: Segment = (ALL, ALL),
) -> Finding:
    found = held_against(
        metric, subject, words, shift.value, shift.threshold,
        raised=shift.is_alarm, severity=severity, segment=segment, rows=shift.rows, excess=shift.excess,
    )  # fmt: skip
    return replace(found, psi=shift.psi)


def _shift(counts: Counts, reference: SegmentCounts, limit: float, rate: float) -> Shift:
    independent = reference.independent
    return measure_shift(
        counts, reference.counts, reference_subjects=independent, max_shift=limit, false_alarm_rate=rate
    )


def _mean_rank(counts: Counts) -> float:
    return float((counts * np.arange(counts.size)).sum() / counts.sum())


def _with_expected_loss(finding: Finding, now: float, stored: SegmentCounts | None) -> Finding:
    if finding.value is None or stored is None or stored.expected_auc_pr is None:
        return finding
    words = f"; expected AUC-PR {now:.2f} against {stored.expected_auc_pr:.2f} before"
    return replace(finding, message=finding.message + words)


def _is_large_enough(rows: int, stored: SegmentCounts, params: DriftParams) -> bool:
    return min(rows, stored.independent) >= params.min_segment_rows
