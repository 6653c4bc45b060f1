"""Churn, monitoring: what was scored on a day, held against what the model was validated on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset

from pipelines.io.lake import Lake, before_day, on_day
from pipelines.monitoring.checks import (
    check_features,
    check_performance,
    check_scores,
    check_scores_against,
    check_volume,
    no_reference,
)
from pipelines.monitoring.findings import Finding
from pipelines.monitoring.performance import matured_sample
from pipelines.monitoring.reference import Reference, load_reference
from pipelines.monitoring.schemas import SCORE
from pipelines.usecase import Checked, Run
from pipelines.usecases.churn.dataset import FEATURES, LABELS, SEGMENTS, SUBJECTS
from pipelines.usecases.churn.params import ChurnParams
from pipelines.usecases.churn.schemas import CONTRIBUTIONS, SCORES


def check(run: Run[ChurnParams]) -> Checked:
    """Check volume, scores and features of the day, and the performance on matured labels."""
    lake, as_of, limits = run.lake, run.as_of, run.params.monitoring
    columns = ["account_key", "score", *SEGMENTS, "model_version"]
    scores = lake.read(SCORES, columns=columns, where=on_day(as_of), missing_ok=True)
    version = scores["model_version"][0].as_py() if scores.num_rows else None
    findings = [check_volume(scores.num_rows, SUBJECTS, limits)]
    if version is not None:
        reference = load_reference(lake, run.usecase, version)
        previous = _previous_weeks(lake, as_of, version, limits.previous_weeks)
        findings += _distribution(run, scores, previous, reference)
    sample = matured_sample(lake, SCORES, LABELS, as_of, outcome="churned", subject=SUBJECTS.column)
    findings.append(check_performance(sample, SUBJECTS, limits))
    return Checked(findings, version)


def _distribution(
    run: Run[ChurnParams], scores: pa.Table, previous: Sequence[pa.Table], reference: Reference | None
) -> list[Finding]:
    lake, as_of, params = run.lake, run.as_of, run.params.monitoring
    bins = reference.bins[SCORE] if reference else None
    weekly = check_scores_against(scores, previous, bins, SUBJECTS, params)
    if reference is None:
        version = scores["model_version"][0].as_py()
        return [no_reference("score_shift", SCORE, run.usecase, version, scores.num_rows), *weekly]
    found = [*check_scores(scores, reference, SUBJECTS, params), *weekly]
    if lake.exists(FEATURES):
        wanted = [*dict.fromkeys([*reference.features, *SEGMENTS])]
        available = lake.dataset(FEATURES).schema.names
        features = lake.read(
            FEATURES,
            columns=[name for name in wanted if name in available],
            where=on_day(as_of) & pa_dataset.field("in_scope"),
        )
        if features.num_rows:
            found += check_features(features, reference, SUBJECTS, params, _importance(lake, as_of))
    return found


def _previous_weeks(lake: Lake, as_of: date, version: str, weeks: int) -> list[pa.Table]:
    """Scores of the newest earlier score days that the same version made, newest first."""
    earlier = before_day(as_of) & (pa_dataset.field("model_version") == version)
    days = pc.unique(lake.read(SCORES, columns=["as_of"], where=earlier)["as_of"]).to_pylist()
    columns = ["score", *SEGMENTS]
    return [
        lake.read(SCORES, columns=columns, where=earlier & on_day(day))
        for day in sorted(days, reverse=True)[:weeks]
    ]


def _importance(lake: Lake, as_of: date) -> dict[str, float]:
    """Mean absolute contribution by feature, of the explained sample of the day."""
    rows = lake.read(CONTRIBUTIONS, columns=["feature", "contribution"], where=on_day(as_of), missing_ok=True)
    sizes = rows.set_column(1, "contribution", pc.abs(rows["contribution"]))
    means = sizes.group_by("feature").aggregate([("contribution", "mean")]).to_pylist()
    return {row["feature"]: row["contribution_mean"] for row in means}
