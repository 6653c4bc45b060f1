"""Report, third part: weeks, alarms, deliveries, scope and data versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset

from pipelines.io.lake import Lake
from pipelines.reporting import sections
from pipelines.reporting.control_room import Watched, publish_runs
from pipelines.reporting.figure import Figure
from pipelines.reporting.site import Missing
from pipelines.sinks.ledger import dead_letters
from pipelines.sinks.salesforce.outbound import SINK
from pipelines.usecases.churn import plots_weekly
from pipelines.usecases.churn.contracts import USECASE
from pipelines.usecases.churn.params import ChurnParams
from pipelines.usecases.churn.report_list import account_names
from pipelines.usecases.churn.schemas import OUT_OF_SCOPE, SCORES

#: Rows of this use case in tables that all share.
_OURS = {"usecase": USECASE}
OBJECT = "Churn_Score__c"
_PUBLISHED = {"sink": SINK, "object": OBJECT}

#: Tables of churn with how often they are renewed.
WATCHED = (
    Watched("raw/churn_accounts", "Accounts", "known_at", 31, "millrace ingest churn"),
    Watched("raw/churn_subscriptions", "Subscriptions", "known_at", 7, "millrace ingest churn"),
    Watched("raw/churn_usage_events", "Usage events", "known_at", 2, "millrace ingest churn"),
    Watched("raw/churn_invoices", "Invoices", "known_at", 7, "millrace ingest churn"),
    Watched("raw/churn_support_tickets", "Support tickets", "known_at", 7, "millrace ingest churn"),
    Watched("features/churn", "Features", "as_of", 7, "millrace score churn"),
    Watched("predictions/churn_validation", "Out-of-time predictions", "as_of", 35, "millrace train churn"),
    Watched("ops/promotions", "Promotion log", "as_of", 35, "millrace train churn", _OURS),
    Watched("predictions/churn_scores", "Scores", "as_of", 7, "millrace score churn"),
    Watched("ops/monitoring", "Monitoring", "as_of", 7, "millrace monitor churn", _OURS),
    Watched("ops/publish_runs", "Publish ledger", "as_of", 7, "millrace publish churn", _PUBLISHED),
)

_WEEKS = 12
_BANDS = (0.0, 0.02, 0.05, 0.10, 0.20, 0.40, 0.65, 1.0)
_DEAD_SHOWN = 50

_SCOPE_WORDS = {
    "trial": "On an unpaid trial: there is no term to renew yet.",
    "churned": "Left more than 30 days ago.",
    "lapsed": "The paid term ended within the last 30 days and was not renewed so far.",
    "not_started": "Signed, but the first paid term has not started.",
}


@dataclass(frozen=True)
class Ledger:
    """Publish runs, newest first, and the rows that failed for good in the newest one.

    Attributes
    ----------
    dead
        Rows of the newest run, by pseudonym where the account is known, at most 50.
    dead_total
        How many there are.
    """

    runs: list[dict[str, Any]]
    dead: list[dict[str, Any]]
    dead_total: int


def weekly_figures(lake: Lake, as_of: date, params: ChurnParams) -> list[Figure] | Missing:
    """Score histogram and volume of the last weeks."""
    field = pa_dataset.field
    if not lake.exists(SCORES.name):
        return Missing("No account was scored yet.", f"millrace score churn --as-of {as_of}")
    days = pc.unique(lake.read(SCORES, columns=["as_of"], where=field("as_of") <= as_of)["as_of"])
    weeks = sorted(days.to_pylist())[-_WEEKS:]
    if not weeks:
        return Missing("No account was scored yet.", f"millrace score churn --as-of {as_of}")
    counts = []
    for week in weeks:
        scores = lake.read(SCORES, columns=["score"], where=field("as_of") == week)["score"].to_numpy()
        counts.append(np.histogram(scores, bins=_BANDS)[0])
    table = np.array(counts, dtype=np.float64)
    limits = params.monitoring
    return [
        plots_weekly.scores_by_week(weeks, _BANDS, table / table.sum(axis=1, keepdims=True)),
        plots_weekly.volume_by_week(
            weeks,
            [int(total) for total in table.sum(axis=1)],
            low=limits.min_predictions,
            high=limits.max_predictions,
        ),
    ]


def findings(lake: Lake, as_of: date) -> list[dict[str, Any]] | Missing:
    """Findings of the day's monitoring, most urgent first; of the features, the ones that moved most."""
    rows = sections.findings(
        lake, USECASE, as_of, counts=("predictions",), named=("feature_shift",), what="The scores"
    )
    if isinstance(rows, Missing):
        return rows
    features = [row for row in rows if row["metric"] == "feature_shift" and row["state"] == "ok"]
    hidden = {id(row) for row in features[10:]}
    return [row for row in rows if id(row) not in hidden]


def ledger(lake: Lake, as_of: date) -> Ledger | Missing:
    """Publish runs and dead letters; accounts by pseudonym."""
    runs = publish_runs(lake, as_of, sink=SINK, object_=OBJECT)[:10]
    if not runs:
        return Missing("Nothing was published yet.", f"millrace publish churn --as-of {as_of}")
    dead = dead_letters(lake, runs[0]["sink"], runs[0]["object"]).to_dicts()
    names = account_names(lake, as_of)
    pseudonyms = dict(zip(names["account_id"].to_pylist(), names["account_key"].to_pylist(), strict=True))
    for row in dead:
        row["account"] = pseudonyms.get(row["external_id"], row["external_id"])
    return Ledger(runs, dead[:_DEAD_SHOWN], len(dead))


def out_of_scope(lake: Lake, as_of: date) -> Sequence[tuple[str, str, int]]:
    """Reason, what it means and number of accounts without a score."""
    rows = lake.read(
        OUT_OF_SCOPE,
        columns=["scope_reason"],
        where=pa_dataset.field("as_of") == as_of,
        missing_ok=True,
    )
    counted = pc.value_counts(rows["scope_reason"]).to_pylist()
    counted.sort(key=lambda row: -row["counts"])
    return [(row["values"], _SCOPE_WORDS.get(row["values"], ""), row["counts"]) for row in counted]
