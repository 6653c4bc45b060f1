"""Model card of a churn version: what it is, what it was judged on, where it should not be used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from models.evaluation.bootstrap import Interval
from models.evaluation.splits import Holdout
from models.evaluation.subgroups import Subgroup
from pipelines.usecases.churn.params import ChurnParams

if TYPE_CHECKING:
    from pipelines.usecases.churn.dataset import Training


def model_card(
    *,
    as_of: date,
    params: ChurnParams,
    chosen: Mapping[str, Any],
    training: Training,
    holdout: Holdout,
    metrics: Mapping[str, Mapping[str, Interval]],
    subgroups: Sequence[Subgroup],
    themes: Mapping[str, str],
) -> str:
    """Write the card as Markdown."""
    days = training.keys["as_of"]
    fitted, judged = days.iloc[holdout.train], days.iloc[holdout.test]
    share = float(training.churned.mean())
    by_theme: dict[str, list[str]] = {}
    for feature, theme in themes.items():
        by_theme.setdefault(theme, []).append(feature)
    lines = [
        f"# Churn within {params.snapshots.horizon_days} days, trained for {as_of}",
        "",
        "**Use**: ranks paying accounts by the probability that the running term ends within "
        f"{params.snapshots.horizon_days} days of the scoring day and is not renewed by then; three reasons "
        "and an action for customer success. **Not for**: trials, prices or credit decisions about an "
        "account, or as the measured effect of contacting it.",
        "",
        "## Data",
        f"- Fitted on {len(fitted):,} account snapshots, {fitted.min()} to {fitted.max()}; judged on "
        f"{len(judged):,} out of time, {judged.min()} to {judged.max()}; {holdout.purged:,} in between purged "
        "because their labels were not complete when judging begins.",
        f"- {share:.2%} of the snapshots churned. Lake versions: {training.versions}.",
        "- Every feature uses rows known before its snapshot only. Accounts are pseudonyms.",
        "",
        "## Model",
        "- Gradient-boosted trees (LightGBM), early stopping on forward folds, calibrated on their held-out "
        f"rows. Chosen: {dict(chosen) or 'the defaults'}.",
        "",
        f"## Out of time, with {params.gate.confidence:.0%} bootstrap intervals over accounts",
        "",
        *_table(metrics),
        "",
        "## Subgroups of the challenger",
        "",
        "| dimension | group | rows | churned | observed | mean score | AUC-ROC | AUC-PR | Recall@top20 % |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_subgroup(group) for group in subgroups),
        "",
        "## Features by theme",
        *(f"- **{theme}**: {', '.join(names)}" for theme, names in by_theme.items()),
        "",
        "## Limits",
        "- Churn without a trace in usage, support or billing (insolvency, a merger) is not foreseen.",
        "- A score says how likely an account is to leave, not how much contacting it helps.",
        "- Performance holds while customers and product stay alike; monitoring watches both.",
    ]
    return "\n".join(lines) + "\n"


def _table(metrics: Mapping[str, Mapping[str, Interval]]) -> list[str]:
    names = list(dict.fromkeys(name for found in metrics.values() for name in found))
    rows = ["| candidate | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for candidate, found in metrics.items():
        cells = [str(found[name]) if name in found else "" for name in names]
        rows.append(f"| {candidate} | " + " | ".join(cells) + " |")
    return rows


def _subgroup(group: Subgroup) -> str:
    cells = [
        str(group.metrics[name]) if group.enough else "too few events"
        for name in ("auc_roc", "auc_pr", "recall_at_top20")
    ]
    return (
        f"| {group.dimension} | {group.group} | {group.n:,} | {group.positives:,} | {group.rate:.2%} | "
        f"{group.mean_score:.2%} | " + " | ".join(cells) + " |"
    )
