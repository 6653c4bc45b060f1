"""Demand, report: what planners need at eight, then what data scientists want to see."""

from __future__ import annotations

from datetime import date
from typing import Any

from pipelines.io.lake import Lake
from pipelines.reporting import control_room, sections
from pipelines.reporting.day_page import write_day_page
from pipelines.reporting.site import Missing, page_of
from pipelines.settings import Settings
from pipelines.sinks.dynamodb.outbound import SINK
from pipelines.usecases.demand import monitor, report_accuracy, report_models, report_operations
from pipelines.usecases.demand.contracts import USECASE
from pipelines.usecases.demand.params import DemandParams
from pipelines.usecases.demand.report_changes import Changes, changes, interesting_rows
from pipelines.usecases.demand.report_data import DayData
from pipelines.usecases.demand.report_outlook import fan_chart, headline
from pipelines.usecases.demand.report_weekly import GRID, weeks
from pipelines.usecases.demand.report_worst import worst_series

PAGE = page_of(USECASE)

#: Series with a chart of their own because they changed or erred most.
_CHOSEN = 30

GLOSSARY = (
    ("As of, J", "The day on which the forecast was made, before its first sale; J+1 is the day after."),
    ("Forecast for orders", "Best model of each series; totals are sums of the series (bottom-up)."),
    (
        "Forecast for plans",
        "National forecast, split over regions, stores and products by their share of the forecasts "
        "(top-down).",
    ),
    ("Series", "A product in a store."),
    (
        "Segment",
        "Kind of series: new (short history), promo (sells much in promotion), seasonal (strong week or "
        "year), stable.",
    ),
    ("MAPE", "Mean absolute percentage error of days with sales; each day weighs the same."),
    ("WAPE", "Sum of absolute errors over sum of sales; each unit weighs the same."),
    ("RMSSE", "Root mean squared error over that of taking the day before; below 1 is better than it."),
    ("Bias", "Sum of errors over sum of sales; above zero, too much was forecast."),
    ("80 % interval", "Holds the sales of 80 of 100 days, if its coverage is right."),
    (
        "Out of stock",
        "A day on which less was sold than wanted: the series is not judged by it, and in totals it counts "
        "as at least what was sold.",
    ),
    ("Champion", "Model that serves a group of series, by the weekly backtest and by its cost."),
    ("Reference model", "Model that the use case was specified with; it always competes."),
    ("Fallback", "Simple rule for series that leave nothing to learn: never sold, constant, too short."),
    (
        "Certificate",
        "What was checked of the totals, apart from their computation; a day without it is not published.",
    ),
)


def overview(lake: Lake, as_of: date) -> control_room.Overview:
    """Part of the use case in the control room, with the alarms of its newest day."""
    watched = report_operations.watched(lake)
    object_ = report_operations.OBJECT
    return control_room.overview(lake, PAGE, monitor.read_alarms, watched, as_of, sink=SINK, object_=object_)


def run(
    as_of: date, *, settings: Settings | None = None, params: DemandParams | None = None
) -> dict[str, Any]:
    """Write ``demand.html`` and the control room as of a day.

    A part whose data is missing says so and names the command that makes it; the page is written
    in any case.

    Returns
    -------
    ``as_of``, paths of the pages, the sections that are missing and the number of `open_alarms`.
    """
    settings, params = settings or Settings.load(), params or DemandParams.load_default()
    lake = Lake.of(settings)
    data = DayData(lake, as_of, params)
    changed, worst = changes(data), worst_series(data)
    chosen = interesting_rows(
        [
            changed.rows if isinstance(changed, Changes) else [],
            [] if isinstance(worst, Missing) else worst.rows,
        ],
        _CHOSEN,
    )
    parts = {
        "headline": headline(data),
        "fan": fan_chart(data, chosen),
        "changes": changed,
        "weeks": weeks(data),
        "accuracy": report_accuracy.accuracy(data),
        "worst": worst,
        "competition": report_models.competition(data),
        "gate": sections.gate_log(lake, USECASE, as_of),
        "findings": report_operations.findings(lake, as_of),
        "publication": report_operations.publication(lake, as_of),
    }
    return write_day_page(
        PAGE,
        as_of,
        settings=settings,
        lake=lake,
        parts=parts,
        alarms=monitor.read_alarms(lake, as_of),
        watched=report_operations.watched(lake),
        check_styles=report_models.GATE_CHECKS,
        glossary=GLOSSARY,
        grid=GRID,
        tolerance=params.backtest.tolerance,
        models=report_models.models_in_use(data),
        out_of_scope=report_operations.out_of_scope(lake, as_of),
    )
