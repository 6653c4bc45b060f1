"""Performance of a serving model: measured when labels have matured, expected before that."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset

from features.schemas import Table
from pipelines.io.lake import Lake, on_day

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LabelledSample:
    """Past predictions whose outcome is known by now."""

    #: Score day of the sample.
    scored_on: date
    #: Shape (n,): subject, predicted probability, and whether it happened.
    subjects: npt.NDArray[np.str_]
    scores: FloatArray
    outcomes: npt.NDArray[np.bool_]
    #: Version that made the predictions.
    model_version: str

    @property
    def positives(self) -> int:
        """Rows in which it happened."""
        return int(self.outcomes.sum())


def matured_sample(
    lake: Lake, predictions: Table, labels: str, as_of: date, *, outcome: str, subject: str
) -> LabelledSample | None:
    """Join the latest score day whose outcomes could be known at the start of ``as_of`` with them.

    None if there is no such day: no predictions old enough, or their labels were never built. ``predictions``
    has ``as_of``, the subject, ``score`` and ``model_version``; the table ``labels`` has ``as_of``, the
    subject, the column ``outcome`` and ``label_known_on``, the first day on which it could be known.
    """
    if not (lake.exists(predictions.name) and lake.exists(labels)):
        return None
    field = pa_dataset.field
    known = lake.read(
        labels,
        columns=["as_of", subject, outcome],
        where=(field("as_of") < as_of) & (field("label_known_on") <= as_of) & field(outcome).is_valid(),
    )
    days = set(pc.unique(known["as_of"]).to_pylist())
    if not days:
        return None
    scored = lake.read(predictions, columns=["as_of"], where=field("as_of").isin(sorted(days)))
    shared = pc.unique(scored["as_of"]).to_pylist()
    if not shared:
        return None
    day = max(shared)
    rows = lake.read(predictions, columns=[subject, "score", "model_version"], where=on_day(day)).join(
        known.filter(on_day(day)).drop_columns("as_of"), keys=subject, join_type="inner"
    )
    rows = rows.sort_by(subject)
    if not rows.num_rows:
        return None
    return LabelledSample(
        scored_on=day,
        subjects=rows[subject].to_numpy().astype(np.str_),
        scores=rows["score"].to_numpy().astype(np.float64),
        outcomes=rows[outcome].to_numpy().astype(bool),
        model_version=rows["model_version"][0].as_py(),
    )


def expected_auc_pr(scores: FloatArray) -> float:
    """AUC-PR (average precision) to expect if every score is the probability it claims to be; 0 if all are 0.

    The expectation of each positive's precision, given that it is positive: ``sum_i p_i (1 + sum_{j ranked with
    or above i, j != i} p_j) / n_i / sum_i p_i`` with ``n_i`` the rows ranked with or above *i*. The idea is
    NannyML's CBPE. It sees a change in *who* is scored, not one in how they behave: that shows only when labels
    mature.
    """
    ordered = np.sort(scores)[::-1]
    # Tied rows share one threshold, so each counts all of its ties.
    last = np.searchsorted(-ordered, -ordered, side="right")
    above = np.cumsum(ordered)[last - 1]
    total = ordered.sum()
    return float((ordered * (above + 1 - ordered) / last).sum() / total) if total > 0 else 0.0
