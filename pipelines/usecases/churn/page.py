"""Churn, page: the list customer success works from, then what data scientists want to see."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from models.evaluation.bootstrap import Interval, bootstrap_metrics
from models.evaluation.curves import calibration_curve, gain_curve, precision_recall_curve
from models.evaluation.subgroups import Subgroup, subgroup_table
from pipelines.io.frames import by_candidate
from pipelines.io.lake import Lake, on_day, until_day
from pipelines.io.newest import newest_known
from pipelines.reporting import sections as shared
from pipelines.reporting.figure import Figure
from pipelines.reporting.page import Missing
from pipelines.reporting.tables import Grid, GridColumn
from pipelines.usecase import Run
from pipelines.usecases.churn import plots
from pipelines.usecases.churn.dataset import SEGMENTS
from pipelines.usecases.churn.params import ChurnParams
from pipelines.usecases.churn.schemas import CONTRIBUTIONS, OUT_OF_SCOPE, RISK_LEVELS, SCORES, VALIDATION

#: Enough for the second digit of an interval's ends; the gate itself uses more.
_REPLICATES = 100
_BEESWARM_FEATURES = 14
_BEESWARM_ACCOUNTS = 350

_WEEKS = 12
_BANDS = (0.0, 0.02, 0.05, 0.10, 0.20, 0.40, 0.65, 1.0)

_SCOPE_WORDS = {
    "trial": "On an unpaid trial: there is no term to renew yet.",
    "churned": "Left more than 30 days ago.",
    "lapsed": "The paid term ended within the last 30 days and was not renewed so far.",
    "not_started": "Signed, but the first paid term has not started.",
}

ACCOUNTS = "raw/churn_accounts"

_EXPORTED = (
    "account_id", "account_name", "rank", "score", "risk_level", "reason_1", "reason_2", "reason_3", "action",
    "mrr_eur", "days_to_renewal", "plan_tier", "size_band", "sector",
)  # fmt: skip

GRID = Grid(
    name="churn-list",
    caption="Accounts in scope, highest score first. A score of 30 % means: of 100 such accounts, 30 leave.",
    columns=(
        GridColumn("Account", "two_lines", ("account_name", "account_line"), "17%"),
        GridColumn("Risk", "level", ("score", "risk_level"), "12%", "Risk"),
        GridColumn("Why", "list", ("reason_1", "reason_2", "reason_3"), "35%"),
        GridColumn("What to do", "text", ("action",), "18%"),
        GridColumn("Revenue a month", "euros", ("mrr_eur",), "10%", "Revenue"),
        GridColumn("Renewal in", "days", ("days_to_renewal",), "8%", "Renewal"),
    ),
    filters={
        "risk_level": ("Risk level", tuple(reversed(RISK_LEVELS))),
        "plan_tier": ("Plan", None),
        "sector": ("Sector", None),
    },
    search=("account_name", "account_id", "reason_1", "reason_2", "reason_3", "action"),
    export={name: name for name in _EXPORTED},
)


def sections(run: Run[ChurnParams]) -> Mapping[str, object]:
    """What ``page.html.j2`` shows."""
    lake, as_of = run.lake, run.as_of
    return {
        "worklist": work_list(lake, as_of),
        "grid": GRID,
        "validation": validation(lake, as_of, run.params),
        "beeswarm": beeswarm(lake, as_of),
        "weeks": weekly_figures(lake, as_of, run.params),
        "out_of_scope": shared.scope_reasons(lake, OUT_OF_SCOPE, as_of, _SCOPE_WORDS),
        "pseudonyms": _pseudonyms(lake, as_of),
    }


def _pseudonyms(lake: Lake, as_of: date) -> dict[str, str]:
    """Pseudonym by natural id, for the rows that the CRM refused."""
    names = account_names(lake, as_of)
    return dict(zip(names["account_id"].to_pylist(), names["account_key"].to_pylist(), strict=True))


@dataclass(frozen=True)
class WorkList:
    """The list and the figures above it."""

    #: Data of the grid.
    payload: dict[str, Any]
    scored: int
    model_version: str
    #: Sum of the scores; sum of score times monthly revenue.
    expected_churners: float
    expected_loss_eur: float
    #: Accounts by risk level, most urgent first.
    levels: Mapping[str, int]


def work_list(lake: Lake, as_of: date) -> WorkList | Missing:
    """Scores of the day with the names of the accounts, as far as they were known that day."""
    scores = lake.read(SCORES, where=on_day(as_of), missing_ok=True).sort_by("rank")
    if not scores.num_rows:
        return Missing(f"There are no scores of {as_of}.", f"millrace score churn --as-of {as_of}")
    named = _with_names(lake, scores, as_of)
    counted = pc.value_counts(scores["risk_level"]).to_pylist()
    counts = {row["values"]: row["counts"] for row in counted}
    return WorkList(
        payload=GRID.payload(named),
        scored=scores.num_rows,
        model_version=scores["model_version"][0].as_py(),
        expected_churners=pc.sum(scores["score"]).as_py(),
        expected_loss_eur=pc.sum(pc.multiply(scores["score"], scores["mrr_eur"])).as_py(),
        levels={level: counts.get(level, 0) for level in reversed(RISK_LEVELS)},
    )


def account_names(lake: Lake, as_of: date) -> pa.Table:
    """Natural id and newest name of every account known before ``as_of``, by pseudonym."""
    return newest_known(lake, ACCOUNTS, "account_key", ["account_id", "account_name"], as_of)


def _with_names(lake: Lake, scores: pa.Table, as_of: date) -> pa.Table:
    joined = scores.join(account_names(lake, as_of), keys="account_key").sort_by("rank")
    # An account without a profile is shown by its pseudonym rather than left out.
    identity = pc.coalesce(joined["account_id"], joined["account_key"])
    name = pc.coalesce(joined["account_name"], identity)
    line = pc.binary_join_element_wise(identity, joined["plan_tier"], joined["sector"], " · ")
    joined = joined.set_column(joined.column_names.index("account_id"), "account_id", identity)
    joined = joined.set_column(joined.column_names.index("account_name"), "account_name", name)
    return joined.append_column("account_line", line)


@dataclass(frozen=True)
class Validation:
    """Out-of-time evaluation of a training run."""

    #: ``as_of`` of the training run, and the days that were predicted.
    trained_for: date
    snapshots: list[date]
    #: Account-snapshots and how many of them churned.
    rows: int
    churned: int
    #: By candidate and metric.
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
    trained_for = lake.newest_day(VALIDATION, as_of)
    if trained_for is None:
        return Missing("There are no out-of-time predictions.", f"millrace train churn --as-of {as_of}")
    tables = by_candidate(lake.read(VALIDATION, where=on_day(trained_for)), ("snapshot", "account_key"))
    first = next(iter(tables.values()))
    churned = first["churned"].to_numpy()
    metrics = {
        name: bootstrap_metrics(
            table["churned"].to_numpy(),
            table["score"].to_numpy(),
            _text(table["account_key"]),
            probability=name != "usage_trend",
            n_replicates=_REPLICATES,
        )
        for name, table in tables.items()
    }
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
                {name: _text(first[name]) for name in SEGMENTS},
                n_replicates=_REPLICATES,
            ),
            key=lambda group: (SEGMENTS.index(group.dimension), _natural(group.group)),
        ),
        figures=_figures(tables, {name: found["auc_pr"].value for name, found in metrics.items()}, params),
    )


def beeswarm(lake: Lake, as_of: date) -> Figure | Missing:
    """SHAP contributions of the explained sample of the day."""
    rows = lake.read(CONTRIBUTIONS, where=on_day(as_of), missing_ok=True)
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
        # One outlier must not take the scale of colours; what is missing stays NaN.
        ranks = of_feature["value"].to_pandas().rank()
        values.append(((ranks - 1) / (ranks.count() - 1)).to_numpy())
        contributions.append(of_feature["contribution"].to_numpy().astype(np.float64))
    return plots.beeswarm(features, values, contributions, accounts=int(shown.size))


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


def weekly_figures(lake: Lake, as_of: date, params: ChurnParams) -> list[Figure] | Missing:
    """Score histogram and volume of the last weeks."""
    days = pc.unique(lake.read(SCORES, columns=["as_of"], where=until_day(as_of), missing_ok=True)["as_of"])
    weeks = sorted(days.to_pylist())[-_WEEKS:]
    if not weeks:
        return Missing("No account was scored yet.", f"millrace score churn --as-of {as_of}")
    counts = []
    for week in weeks:
        scores = lake.read(SCORES, columns=["score"], where=on_day(week))["score"].to_numpy()
        counts.append(np.histogram(scores, bins=_BANDS)[0])
    table = np.array(counts, dtype=np.float64)
    limits = params.monitoring
    return [
        plots.scores_by_week(weeks, _BANDS, table / table.sum(axis=1, keepdims=True)),
        plots.volume_by_week(
            weeks,
            [int(total) for total in table.sum(axis=1)],
            low=limits.min_predictions,
            high=limits.max_predictions,
        ),
    ]
