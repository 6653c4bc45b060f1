"""Repurchase, report: who comes this week and with what, then how far that can be trusted."""

from __future__ import annotations

from datetime import date
from typing import Any

from pipelines.io.lake import Lake
from pipelines.reporting import control_room, sections
from pipelines.reporting.day_page import write_day_page
from pipelines.reporting.site import page_of
from pipelines.settings import Settings
from pipelines.sinks.salesforce.outbound import SINK
from pipelines.usecases.repurchase import monitor, report_model, report_operations
from pipelines.usecases.repurchase.contracts import USECASE
from pipelines.usecases.repurchase.params import RepurchaseParams
from pipelines.usecases.repurchase.publish import OBJECT
from pipelines.usecases.repurchase.report_list import GRID, headline

PAGE = page_of(USECASE)

GLOSSARY = (
    (
        "Chance of an order",
        "Calibrated probability that the customer orders within the horizon from the day on.",
    ),
    (
        "Expected on",
        "Day around which the customer comes, if at all within the horizon: before it is as likely as after it.",
    ),
    ("Window", "Days that hold 80 % of the orders of such customers: a tenth comes earlier, a tenth later."),
    (
        "List",
        "Products whose list has the highest expected F1 for this customer; it may be empty: then nothing again is the "
        "best guess.",
    ),
    (
        "F1",
        "Between 0 and 1: the harmonic mean of precision (how much of the list was bought) and recall (how much of "
        "what was bought again is on the list). An empty list scores 1 if nothing was bought again.",
    ),
    ("Bought again", "Products of an order that the customer had bought before; only these can be foretold."),
    (
        "Censored",
        "A customer who had not come back when observation ended: it took longer, we do not know how long.",
    ),
    ("Out of time", "Judged on days that lie after everything the model was fitted on."),
    ("Median gap", "Simple rule: the customer comes after the median of the days between the orders so far."),
    (
        "BG/NBD",
        "Classic model of repeat buying: customers buy at their own rate until they silently drop out.",
    ),
    ("Gains", "Share of all hits among the likeliest so many percent."),
    ("Challenger, champion", "The newest trained model; the one that serves."),
    ("Dead letter", "A row that the CRM refused for good, or too often; it needs a person."),
)


def overview(lake: Lake, as_of: date) -> control_room.Overview:
    """Part of the use case in the control room, with the alarms of its newest day."""
    watched = report_operations.watched(lake)
    return control_room.overview(lake, PAGE, monitor.read_alarms, watched, as_of, sink=SINK, object_=OBJECT)


def run(
    as_of: date, *, settings: Settings | None = None, params: RepurchaseParams | None = None
) -> dict[str, Any]:
    """Write ``repurchase.html`` and the control room as of a day.

    A part whose data is missing says so and names the command that makes it; the page is written
    in any case.

    Returns
    -------
    ``as_of``, paths of the pages, the sections that are missing and the number of `open_alarms`.
    """
    settings, params = settings or Settings.load(), params or RepurchaseParams.load_default()
    lake = Lake.of(settings)
    parts = {
        "headline": headline(lake, as_of),
        "realised": report_operations.realised(lake, as_of),
        "gate": sections.gate_log(lake, USECASE, as_of),
        "validation": report_model.validation(lake, as_of),
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
        check_styles=report_model.GATE_CHECKS,
        glossary=GLOSSARY,
        horizon=params.horizon_days,
        grid=GRID,
        nominal=report_model.NOMINAL,
    )
