"""Report, last part: checks, publication, what is out of scope, and the tables behind the page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset

from pipelines.io.lake import Lake
from pipelines.reporting import sections
from pipelines.reporting.control_room import Watched, publish_runs
from pipelines.reporting.site import Missing
from pipelines.sinks.dynamodb.outbound import SINK
from pipelines.sinks.flips import read_flips
from pipelines.usecases.demand.contracts import OPTIONAL_TABLES, USECASE

#: Rows of this use case in tables that all share.
_OURS = {"usecase": USECASE}
#: Whatever the table of the deployment is called.
OBJECT = f"*/{USECASE}"
_PUBLISHED = {"sink": SINK, "object": OBJECT}

#: Tables of demand with how often they are renewed. Promotions are delivered in advance.
WATCHED = (
    Watched("raw/demand_sales", "Sales", "known_at", 2, "millrace ingest demand"),
    Watched("raw/demand_promotions", "Promotions", "announced_at", 31, "millrace ingest demand"),
    Watched("raw/demand_weather_forecasts", "Weather forecasts", "issued_at", 2, "millrace ingest demand"),
    Watched("features/demand_panel", "Daily history", "as_of", 1, "millrace score demand"),
    Watched("features/demand_profile", "Profiles of the series", "as_of", 1, "millrace score demand"),
    Watched("predictions/demand_series", "Models by series", "as_of", 8, "millrace train demand"),
    Watched("ops/promotions", "Promotion log of models", "as_of", 8, "millrace train demand", _OURS),
    Watched("predictions/demand_forecasts", "Forecasts", "as_of", 1, "millrace score demand"),
    Watched("predictions/demand_certificates", "Certificates", "as_of", 1, "millrace score demand"),
    Watched("ops/monitoring", "Monitoring", "as_of", 1, "millrace monitor demand", _OURS),
    Watched("ops/publish_runs", "Publish ledger", "as_of", 1, "millrace publish demand", _PUBLISHED),
)

#: Tables in :data:`WATCHED` that a chain may lack: they are late once they have come.
_OPTIONAL = frozenset(OPTIONAL_TABLES)

OUT_OF_SCOPE = "features/demand_out_of_scope"

SCOPE_WORDS = {
    "store_closed": "The store's last day of trade is over.",
    "delisted": "The product's last day on sale is over.",
    "not_sold": "No sale and no stock-out for so long that the series is taken as gone.",
}

_COUNTS = ("series",)
_SHARES = ("mape", "wape", "bias", "coverage_80", "coverage_95", "volume", "volume_sales", "fallbacks")
_NAMED = ("mape", "wape", "bias")


@dataclass(frozen=True)
class Publication:
    """What the order system holds.

    Attributes
    ----------
    runs
        Publish runs, newest first.
    flips
        Moves of the pointer to the version that serves, newest first.
    is_today
        Whether the version that serves is the day's.
    """

    runs: list[dict[str, Any]]
    flips: list[dict[str, Any]]
    is_today: bool


def watched(lake: Lake) -> list[Watched]:
    """Tables whose freshness counts in this deployment."""
    return [one for one in WATCHED if one.table not in _OPTIONAL or lake.exists(one.table)]


def publication(lake: Lake, as_of: date) -> Publication | Missing:
    """Publish runs and the version that serves."""
    runs = publish_runs(lake, as_of, sink=SINK, object_=OBJECT)[:10]
    if not runs:
        return Missing("Nothing was published yet.", f"millrace publish demand --as-of {as_of}")
    flips = read_flips(lake, SINK, runs[0]["object"]).to_dicts()[::-1]
    flips = [flip for flip in flips if flip["as_of"] <= as_of]
    return Publication(runs, flips[:10], bool(flips) and flips[0]["as_of"] == as_of)


def findings(lake: Lake, as_of: date) -> list[dict[str, Any]] | Missing:
    """Findings of the day's monitoring, most urgent first."""
    return sections.findings(
        lake, USECASE, as_of, counts=_COUNTS, shares=_SHARES, named=_NAMED, what="The forecasts"
    )


def out_of_scope(lake: Lake, as_of: date) -> list[tuple[str, str, int]]:
    """Reason, what it means and number of series that get no forecast."""
    if not lake.exists(OUT_OF_SCOPE):
        return []
    where = pa_dataset.field("as_of") == as_of
    rows = lake.read(OUT_OF_SCOPE, columns=["scope_reason"], where=where)
    counted = pc.value_counts(rows["scope_reason"]).to_pylist()
    counted.sort(key=lambda row: -row["counts"])
    return [(row["values"], SCOPE_WORDS.get(row["values"], ""), row["counts"]) for row in counted]
