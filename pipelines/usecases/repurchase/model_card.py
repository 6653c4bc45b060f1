"""Model card of a repurchase version: what it is, what it was judged on, where it should not be used."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from pipelines.usecases.repurchase.dataset import Pairs, Waits
from pipelines.usecases.repurchase.judging import Outcome
from pipelines.usecases.repurchase.params import RepurchaseParams

#: Metrics shown, with their format.
_SHOWN = {
    "mae_days": "{:.2f}",
    "coverage": "{:.1%}",
    "window_days": "{:.1f}",
    "return_bias": "{:+.1%}",
    "f1": "{:.3f}",
    "precision": "{:.3f}",
    "recall": "{:.3f}",
    "named": "{:.1f}",
    "product_bias": "{:+.1%}",
}


def model_card(
    *,
    as_of: date,
    params: RepurchaseParams,
    first_judged: date,
    waits: Waits,
    pairs: Pairs,
    outcome: Outcome,
    metrics: Mapping[str, Mapping[str, float]],
    versions: Mapping[str, int],
) -> str:
    """Write the card as Markdown."""
    days = waits.keys["as_of"]
    nothing = int((outcome.orders["repeated"] == 0).sum()) if len(outcome.orders) else 0
    lines = [
        f"# Next order within {params.horizon_days} days, trained for {as_of}",
        "",
        "**Use**: for each customer the probability of an order within the horizon, the day it is expected on, a "
        f"window that holds {params.training.window:.0%} of such returns, and a list of products bought before that "
        "the order will likely repeat. **Not for**: products a customer never bought, prices, or the effect of a "
        "message.",
        "",
        "## Data",
        f"- Dates: {len(waits):,} customers on past days, {days.min()} to {days.max()}; {waits.censored.mean():.0%} "
        f"had not come back by {first_judged} and count as waiting at least so long.",
        f"- Lists: {len(pairs):,} candidates of customers who had, {pairs.bought.mean() if len(pairs) else 0:.1%} of "
        "them bought.",
        f"- Judged on {len(outcome.waits):,} customers on snapshots from {first_judged} on, of whom "
        f"{int(outcome.back.sum()):,} came back, and on {len(outcome.orders):,} orders, of which {nothing:,} repeated "
        f"nothing. Lake versions: {dict(versions)}.",
        "- Every feature uses rows known before its snapshot only. Customers are pseudonyms.",
        "",
        "## Models",
        "- Dates: XGBoost, accelerated failure time; the spread of waits by Kaplan-Meier on held-out customers.",
        "- Lists: one XGBoost classifier over all pairs of customer and product, calibrated on the judged snapshots, "
        "where each half of the customers is judged by the calibration of the other half; of each customer the list "
        "with the largest expected F1, the empty one included.",
        "",
        "## Out of time",
        "",
        *_table(metrics),
        "",
        "## Limits",
        "- First purchases are not foretold: lists are judged by the products that an order repeats.",
        "- The expected day is that of customers who come back within the horizon; whether they do is the "
        "probability beside it.",
        "- Lists learn from customers who came back soon enough to be known; late ones may buy differently.",
    ]
    return "\n".join(lines) + "\n"


def _table(metrics: Mapping[str, Mapping[str, float]]) -> list[str]:
    names = [name for name in _SHOWN if any(name in found for found in metrics.values())]
    rows = ["| candidate | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for candidate, found in metrics.items():
        cells = [_SHOWN[name].format(found[name]) if name in found else "" for name in names]
        rows.append(f"| {candidate} | " + " | ".join(cells) + " |")
    return rows
