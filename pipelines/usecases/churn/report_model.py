"""Report, second part: how good the model is, for whom, and what drives it."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset

from models.evaluation.bootstrap import Interval, bootstrap_metrics
from models.evaluation.curves import calibration_curve, gain_curve, precision_recall_curve
from models.evaluation.subgroups import Subgroup, subgroup_table
from pipelines.io.lake import Lake
from pipelines.reporting.figure import Figure
from pipelines.reporting.sections import CheckStyle
from pipelines.reporting.site import Missing
from pipelines.usecases.churn import plots
from pipelines.usecases.churn.params import ChurnParams
from pipelines.usecases.churn.schemas import CONTRIBUTIONS, VALIDATION

_CANDIDATES = ("challenger", "champion", "logistic", "usage_trend")
_SEGMENTS = ("plan_tier", "size_band", "sector")

#: Enough for the second digit of an interval's ends; the gate itself uses more.
_REPLICATES = 100
_BEESWARM_FEATURES = 14
_BEESWARM_ACCOUNTS = 350

#: Checks of the gate as people call them; the rest keep their name.
GATE_CHECKS = {
    "positives": CheckStyle("Accounts that churned", 0, "\u2265"),
    "auc_pr": CheckStyle("AUC-PR"),
    "recall_at_top20": CheckStyle("Recall@top 20 %"),
    "scoring_seconds": CheckStyle("Seconds to score 15,000 accounts", 1, "<"),
    "auc_pr_against_logistic": CheckStyle("AUC-PR gain over logistic regression"),
    "auc_pr_against_usage_trend": CheckStyle("AUC-PR gain over usage trend alone"),
    "auc_pr_against_champion": CheckStyle("AUC-PR gain over the champion"),
    "recall_at_top20_against_champion": CheckStyle("Recall gain over the champion"),
}


@dataclass(frozen=True)
class Validation:
    """Out-of-time evaluation of a training run.

    Attributes
    ----------
    trained_for
        ``as_of`` of the training run.
    snapshots
        Days that were predicted out of time.
    rows, churned
        Account-snapshots and how many of them churned.
    metrics
        By candidate and metric.
    figures
        Curves.
    """

    trained_for: date
    snapshots: list[date]
    rows: int
    churned: int
    metrics: Mapping[str, Mapping[str, Interval]]
    subgroups: list[Subgroup]
    figures: list[Figure]

    @property
    def dimensions(self) -> dict[str, list[Subgroup]]:
        """Subgroups by dimension, in the order of the table."""
        found: dict[str, list[Subgroup]] = {}
        for group in self.subgroups:
            found.setdefault(group.dimension, []).append(group)
        return found


def validation(lake: Lake, as_of: date, params: ChurnParams) -> Validation | Missing:
    """Evaluate the newest training run up to a day from its stored out-of-time predictions."""
    field = pa_dataset.field
    missing = Missing("There are no out-of-time predictions.", f"millrace train churn --as-of {as_of}")
    if not lake.exists(VALIDATION.name):
        return missing
    days = lake.read(VALIDATION, columns=["as_of"], where=field("as_of") <= as_of)["as_of"]
    if not len(days):
        return missing
    trained_for = pc.max(days).as_py()
    rows = lake.read(VALIDATION, where=field("as_of") == trained_for)
    present = set(pc.unique(rows["candidate"]).to_pylist())
    order = [("snapshot", "ascending"), ("account_key", "ascending")]
    tables = {
        name: rows.filter(pc.equal(rows["candidate"], name)).sort_by(order)
        for name in _CANDIDATES
        if name in present
    }
    first = tables.get("challenger") or next(iter(tables.values()))
    churned = first["churned"].to_numpy()
    metrics = {name: _metrics(name, table) for name, table in tables.items()}
    return Validation(
        trained_for=trained_for,
        snapshots=sorted(pc.unique(first["snapshot"]).to_pylist()),
        rows=first.num_rows,
        churned=int(churned.sum()),
        metrics=metrics,
        subgroups=sorted(
            subgroup_table(
                churned,
                first["score"].to_numpy(),
                _text(first["account_key"]),
                {name: _text(first[name]) for name in _SEGMENTS},
                n_replicates=_REPLICATES,
            ),
            key=lambda group: (_SEGMENTS.index(group.dimension), _natural(group.group)),
        ),
        figures=_figures(tables, {name: found["auc_pr"].value for name, found in metrics.items()}, params),
    )


def beeswarm(lake: Lake, as_of: date) -> Figure | Missing:
    """SHAP contributions of the explained sample of the day."""
    rows = lake.read(CONTRIBUTIONS, where=pa_dataset.field("as_of") == as_of, missing_ok=True)
    if not rows.num_rows:
        return Missing(
            f"There are no stored contributions of {as_of}.", f"millrace score churn --as-of {as_of}"
        )
    sizes = rows.append_column("size", pc.abs(rows["contribution"]))
    means = sizes.group_by("feature").aggregate([("size", "mean")]).sort_by([("size_mean", "descending")])
    features = means["feature"].to_pylist()[:_BEESWARM_FEATURES]
    accounts = np.sort(_text(pc.unique(rows["account_key"])))
    # Pseudonyms are hashes: every k-th of them is a random sample, the same one each time.
    shown = accounts[:: max(1, accounts.size // _BEESWARM_ACCOUNTS)][:_BEESWARM_ACCOUNTS]
    sample = rows.filter(pc.is_in(rows["account_key"], value_set=pa.array(shown)))
    values, contributions = [], []
    for feature in features:
        of_feature = sample.filter(pc.equal(sample["feature"], feature))
        values.append(_ranks(of_feature["value"].to_numpy().astype(np.float64)))
        contributions.append(of_feature["contribution"].to_numpy().astype(np.float64))
    return plots.beeswarm(features, values, contributions, accounts=int(shown.size))


def _metrics(name: str, table: pa.Table) -> dict[str, Interval]:
    return bootstrap_metrics(
        table["churned"].to_numpy(),
        table["score"].to_numpy(),
        _text(table["account_key"]),
        probability=name != "usage_trend",
        n_replicates=_REPLICATES,
    )


def _figures(
    tables: Mapping[str, pa.Table], auc_pr: Mapping[str, float], params: ChurnParams
) -> list[Figure]:
    pairs = {name: (t["churned"].to_numpy(), t["score"].to_numpy()) for name, t in tables.items()}
    rate = float(next(iter(pairs.values()))[0].mean())
    gains = {name: gain_curve(*pair) for name, pair in pairs.items()}
    operating = {}
    for name, curve in gains.items():
        recall = float(np.interp(0.2, curve["share"], curve["recall"]))
        operating[name] = (recall, recall * rate / 0.2)
    probabilities = {n: calibration_curve(*pairs[n]) for n in ("challenger", "champion") if n in pairs}
    return [
        plots.precision_recall(
            {name: precision_recall_curve(*pair) for name, pair in pairs.items()},
            min_auc_pr=params.gate.min_auc_pr,
            min_recall=params.gate.min_recall_at_top20,
            operating=operating,
            auc_pr=auc_pr,
            rate=rate,
        ),
        plots.gain(gains, min_recall=params.gate.min_recall_at_top20),
        plots.lift(gains),
        plots.calibration(probabilities),
    ]


def _natural(text: str) -> tuple[int, str]:
    """Sort key that puts `50-249` before `250+`, and words after numbers."""
    digits = re.match(r"\d+", text)
    return (int(digits.group()) if digits else sys.maxsize, text)


def _text(column: pa.ChunkedArray | pa.Array) -> npt.NDArray[np.str_]:
    found: npt.NDArray[np.str_] = column.to_numpy(zero_copy_only=False).astype(np.str_)
    return found


def _ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Ranks in [0, 1] with ties in the middle, NaN where missing: one outlier must not take the scale."""
    ranks = np.full(values.shape, np.nan)
    known = ~np.isnan(values)
    ordered = np.sort(values[known])
    if ordered.size > 1:
        low = np.searchsorted(ordered, values[known], side="left")
        high = np.searchsorted(ordered, values[known], side="right") - 1
        ranks[known] = (low + high) / 2 / (ordered.size - 1)
    return ranks
