"""Report, last part: checks, publication, what is out of scope, and the tables behind the page."""

from __future__ import annotations

from pipelines.reporting.control_room import Watched
from pipelines.usecases import UseCase

USECASE = UseCase.DEMAND.value

#: Sink of the use case, as in ``ops/publish_runs``.
SINK = "dynamodb"

#: Rows of this use case in tables that all share.
_OURS = {"usecase": USECASE}

#: Tables of demand with how often they are renewed. Promotions and weather are delivered in advance.
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
    Watched("ops/publish_runs", "Publish ledger", "as_of", 1, "millrace publish demand", {"sink": SINK}),
)
