"""Churn, monitoring: what was scored on a day, held against what the model was validated on."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset

from pipelines.io.lake import Lake
from pipelines.monitoring.alarms import Alarm, Sentence, raise_alarms
from pipelines.monitoring.checks import (
    check_features,
    check_performance,
    check_scores,
    check_scores_against,
    check_volume,
    no_reference,
)
from pipelines.monitoring.findings import Finding, percent
from pipelines.monitoring.params import MonitoringParams
from pipelines.monitoring.performance import matured_sample
from pipelines.monitoring.reference import Reference, load_reference
from pipelines.monitoring.schemas import ALL, SCORE, State
from pipelines.monitoring.stored import read_findings, store_findings
from pipelines.settings import Settings
from pipelines.usecases.churn.contracts import USECASE
from pipelines.usecases.churn.dataset import FEATURES, LABELS, SEGMENTS, WATCHED
from pipelines.usecases.churn.params import ChurnParams
from pipelines.usecases.churn.schemas import CONTRIBUTIONS, SCORES

log = logging.getLogger(__name__)


#: What an alarm means for whom, and the first thing to do, by metric.
_WORDS = {
    "predictions": (
        "Customer success may miss accounts, or see accounts that are not customers any more.",
        "Compare accounts in and out of scope with last week on the report page, then the row and "
        "quarantine counts of the last ingest.",
    ),
    "score_shift": (
        "Customer success would work a list that the model was not validated for: the bounds of the risk "
        "levels may no longer separate the accounts they used to.",
        "Open the feature shifts on the report page: if the one that moved most is a data fault, mend it, "
        "ingest and score again; if customers changed, run churn_train and let the gate decide.",
    ),
    "score_shift_weekly": (
        "This week's list differs more from the last weeks' than customers usually change in a week.",
        "Look for a late or partial delivery first: freshness on the control room page, then `millrace "
        "ingest churn` and score again.",
    ),
    "feature_shift": (
        "For data scientists: an input moved away from what the model was fitted on; scores rest on it in "
        "proportion to its impact.",
        "Check the feature's source for a changed unit, a renamed category or missing rows before "
        "retraining.",
    ),
    "auc_pr": (
        "Customer success contacts more accounts that would have stayed and misses more that leave than "
        "the gate promised.",
        "Run churn_train for the current month; if its challenger passes no gate, roll back to the last "
        "version that held (`millrace rollback churn --why ...`).",
    ),
}


def run(
    as_of: date, *, settings: Settings | None = None, params: ChurnParams | None = None
) -> dict[str, Any]:
    """Check the predictions of ``as_of`` and write ``ops/monitoring``.

    A repeated run replaces the day's rows. Missing inputs (no reference, no matured labels) are
    findings of their own, never silence.

    Returns
    -------
    ``as_of``, ``model_version``, ``alarms`` (see :meth:`Alarm.as_dict`) and the number of findings
    per state; small enough for XCom.
    """
    settings = settings or Settings.load()
    limits = (params or ChurnParams.load_default()).monitoring
    lake = Lake.of(settings)
    columns = ["account_key", "score", *SEGMENTS, "model_version"]
    field = pa_dataset.field
    scores = lake.read(SCORES, columns=columns, where=field("as_of") == as_of, missing_ok=True)
    version = scores["model_version"][0].as_py() if scores.num_rows else None

    findings = [check_volume(scores.num_rows, WATCHED, limits)]
    if version is not None:
        reference = load_reference(lake, USECASE, version)
        previous = _previous_weeks(lake, as_of, version, limits.previous_weeks)
        findings += _distribution(lake, as_of, scores, previous, reference, limits)
    sample = matured_sample(lake, SCORES, LABELS, as_of, outcome="churned", subject=WATCHED.subject)
    findings.append(check_performance(sample, WATCHED, limits))

    alarms = _alarms(as_of, findings)
    store_findings(lake, USECASE, as_of, findings, model_version=version, alarms=alarms)
    for alarm in alarms:
        log.warning("%s alarm, %s. %s", alarm.severity, alarm.title, alarm.first_step)
    return {
        "as_of": as_of.isoformat(),
        "model_version": version,
        "alarms": [alarm.as_dict() for alarm in alarms],
        "findings": {state.value: sum(f.state is state for f in findings) for state in State},
    }


def read_alarms(lake: Lake, as_of: date) -> list[Alarm]:
    """Word the alarms of a monitored day again, from the stored findings."""
    return _alarms(as_of, read_findings(lake, USECASE, as_of))


def _distribution(
    lake: Lake,
    as_of: date,
    scores: pa.Table,
    previous: Sequence[pa.Table],
    reference: Reference | None,
    params: MonitoringParams,
) -> list[Finding]:
    bins = reference.bins[SCORE] if reference else None
    weekly = check_scores_against(scores, previous, bins, WATCHED, params)
    if reference is None:
        version = scores["model_version"][0].as_py()
        return [no_reference("score_shift", SCORE, version, scores.num_rows, WATCHED), *weekly]
    found = [*check_scores(scores, reference, WATCHED, params), *weekly]
    if lake.exists(FEATURES):
        field = pa_dataset.field
        wanted = [*dict.fromkeys([*reference.features, *SEGMENTS])]
        available = lake.dataset(FEATURES).schema.names
        features = lake.read(
            FEATURES,
            columns=[name for name in wanted if name in available],
            where=(field("as_of") == as_of) & field("in_scope"),
        )
        if features.num_rows:
            found += check_features(features, reference, WATCHED, params, _importance(lake, as_of))
    return found


def _previous_weeks(lake: Lake, as_of: date, version: str, weeks: int) -> list[pa.Table]:
    """Scores of the newest earlier score days that the same version made, newest first."""
    field = pa_dataset.field
    earlier = (field("as_of") < as_of) & (field("model_version") == version)
    days = pc.unique(lake.read(SCORES, columns=["as_of"], where=earlier)["as_of"]).to_pylist()
    columns = ["score", *SEGMENTS]
    return [
        lake.read(SCORES, columns=columns, where=earlier & (field("as_of") == day))
        for day in sorted(days, reverse=True)[:weeks]
    ]


def _importance(lake: Lake, as_of: date) -> dict[str, float]:
    """Mean absolute contribution by feature, of the explained sample of the day."""
    rows = lake.read(
        CONTRIBUTIONS,
        columns=["feature", "contribution"],
        where=pa_dataset.field("as_of") == as_of,
        missing_ok=True,
    )
    sizes = rows.set_column(1, "contribution", pc.abs(rows["contribution"]))
    means = sizes.group_by("feature").aggregate([("contribution", "mean")]).to_pylist()
    return {row["feature"]: row["contribution_mean"] for row in means}


def _alarms(as_of: date, findings: Sequence[Finding]) -> list[Alarm]:
    return raise_alarms(USECASE, as_of, findings, _WORDS, _phrase)


def _phrase(speaker: Finding, raised: Sequence[Finding], of_metric: Sequence[Finding]) -> Sentence:
    """The finding on all accounts, with the segment that moved most beside it."""
    if speaker.segment_name != ALL:
        return Sentence(f"{speaker.segment_name}: {speaker.message}", speaker.segment_name)
    if speaker.metric == "feature_shift" and len(raised) > 1:
        return Sentence(f"{speaker.message}; and {len(raised) - 1} more features moved", ALL)
    segments = [f for f in of_metric if f.segment_name != ALL and f.value is not None]
    if not segments:
        return Sentence(speaker.message, ALL)
    worst = max(segments, key=lambda f: f.excess)
    moved = f"{worst.segment_name} moved most ({percent(worst.value or 0.0)})"
    return Sentence(f"{speaker.message}; {moved}", worst.segment_name)
