"""Report, third part: what became of past predictions, checks, publication and the tables behind the page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow.dataset as pa_dataset

from pipelines.io.lake import Lake
from pipelines.reporting import sections
from pipelines.reporting.control_room import Watched, publish_runs
from pipelines.reporting.figure import Figure
from pipelines.reporting.site import Missing
from pipelines.sinks.dynamodb.outbound import SINK as DYNAMODB
from pipelines.sinks.ledger import dead_letters
from pipelines.sinks.salesforce.outbound import SINK as SALESFORCE
from pipelines.usecases.repurchase import plots as plots_repurchase
from pipelines.usecases.repurchase.contracts import OPTIONAL_TABLES, USECASE
from pipelines.usecases.repurchase.publish import NAMESPACE, OBJECT
from pipelines.usecases.repurchase.schemas import NEXT_ORDERS, REALISED, TIMING_VALIDATION

#: Rows of this use case in tables that all share.
_OURS = {"usecase": USECASE}

#: Where it publishes, as in ``ops/publish_runs``; DynamoDB's table is the deployment's.
PUBLISHED = ((SALESFORCE, OBJECT), (DYNAMODB, f"*/{NAMESPACE}"))

#: Tables of repurchase with how often they are renewed.
WATCHED = (
    Watched("raw/repurchase_orders", "Orders", "known_at", 2, "millrace ingest repurchase"),
    Watched("raw/repurchase_order_lines", "Order lines", "known_at", 2, "millrace ingest repurchase"),
    Watched("features/repurchase_customers", "Features", "as_of", 1, "millrace score repurchase"),
    Watched(TIMING_VALIDATION.name, "Out-of-time predictions", "as_of", 35, "millrace train repurchase"),
    Watched("ops/promotions", "Promotion log", "as_of", 35, "millrace train repurchase", _OURS),
    Watched(NEXT_ORDERS.name, "Predictions", "as_of", 1, "millrace score repurchase"),
    Watched("ops/monitoring", "Monitoring", "as_of", 1, "millrace monitor repurchase", _OURS),
    *(
        Watched(
            "ops/publish_runs", f"Publish ledger, {sink}", "as_of", 1, "millrace publish repurchase",
            {"sink": sink, "object": object_},
        )
        for sink, object_ in PUBLISHED
    ),
)  # fmt: skip

_DAYS = 60
_DEAD_SHOWN = 50


@dataclass(frozen=True)
class Publication:
    """Publish runs to both systems, newest first, and rows that failed for good.

    Attributes
    ----------
    dead
        Rows of the newest run to Salesforce, at most 50, without the customer.
    dead_total
        How many there are.
    """

    runs: list[dict[str, Any]]
    dead: list[dict[str, Any]]
    dead_total: int


def watched(lake: Lake) -> list[Watched]:
    """Tables whose freshness counts in this deployment: a shop may lack lines."""
    return [one for one in WATCHED if one.table not in OPTIONAL_TABLES or lake.exists(one.table)]


def publication(lake: Lake, as_of: date) -> Publication | Missing:
    """Publish runs and dead letters."""
    runs = [
        run
        for sink, object_ in PUBLISHED
        for run in publish_runs(lake, as_of, sink=sink, object_=object_)[:7]
    ]
    if not runs:
        return Missing("Nothing was published yet.", f"millrace publish repurchase --as-of {as_of}")
    runs.sort(key=lambda run: (run["as_of"], run["sink"]), reverse=True)
    dead = dead_letters(lake, SALESFORCE, OBJECT).drop("external_id", strict=False).to_dicts()
    return Publication(runs, dead[:_DEAD_SHOWN], len(dead))


def findings(lake: Lake, as_of: date) -> list[dict[str, Any]] | Missing:
    """Findings of the day's monitoring, most urgent first."""
    return sections.findings(
        lake, USECASE, as_of, counts=("predictions",), named=("feature_shift",), what="The predictions"
    )


def realised(lake: Lake, as_of: date) -> list[Figure] | Missing:
    """What became of the predictions of the last days whose horizon is over."""
    field = pa_dataset.field
    where = (field("as_of") <= as_of) & (field("group") == "all")
    rows = lake.read(REALISED, where=where, missing_ok=True).sort_by("as_of").to_pylist()[-_DAYS:]
    rows = [row for row in rows if row["customers"]]
    if not rows:
        return Missing(
            "No predictions are old enough yet to say what became of them: their horizon must be over.",
            f"millrace monitor repurchase --as-of {as_of}",
        )

    def share(part: str, whole: str) -> Any:
        return np.array([row[part] / row[whole] if row[whole] else np.nan for row in rows], dtype=np.float64)

    found = {
        "returned": share("returned", "customers"),
        "expected": share("expected_returns", "customers"),
        "in_window": share("in_window", "returned"),
        "f1": share("f1_sum", "judged_lists"),
        "expected_f1": share("expected_f1_sum", "judged_lists"),
    }
    return plots_repurchase.realised([row["as_of"] for row in rows], found)
