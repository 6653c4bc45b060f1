"""Churn, report: the list customer success works from, then what data scientists want to see."""

from __future__ import annotations

from datetime import date
from typing import Any

from pipelines.io.lake import Lake
from pipelines.reporting import control_room, sections
from pipelines.reporting.day_page import write_day_page
from pipelines.reporting.site import page_of
from pipelines.settings import Settings
from pipelines.sinks.salesforce.outbound import SINK
from pipelines.usecases.churn import monitor, report_model, report_operations
from pipelines.usecases.churn.contracts import USECASE
from pipelines.usecases.churn.params import ChurnParams
from pipelines.usecases.churn.report_list import GRID, work_list

PAGE = page_of(USECASE)

GLOSSARY = (
    (
        "Score",
        "Probability that the account does not renew a term that ends within the 30 days from the score "
        "day, from what was known before that day.",
    ),
    ("Risk level", "Band of the score; the bounds are in params.yaml and are the same every week."),
    ("As of", "The day of the decision. Nothing that became known on or after it is used."),
    ("Out of time", "Judged on months that lie after everything the model was fitted on."),
    (
        "AUC-PR",
        "Mean precision over all recalls, between 0 and 1; guessing gives the share of churners. It says "
        "more than AUC-ROC when few accounts leave.",
    ),
    ("AUC-ROC", "Chance that an account that leaves has a higher score than one that stays."),
    ("Recall@top 20 %", "Share of all churners among the fifth of the accounts with the highest scores."),
    ("Lift", "How many times more churners a group holds than a random group of its size."),
    ("Calibration error", "Mean gap between predicted and observed churn over tenths of the scores."),
    ("Brier score", "Mean squared difference between probability and outcome; lower is better."),
    (
        "Interval",
        "90 % bootstrap interval: accounts are drawn with replacement and the figure is computed again.",
    ),
    ("Challenger, champion", "The newest trained model; the one that serves."),
    (
        "Shift",
        "Share of accounts that sit in another bin than in the reference (total variation distance).",
    ),
    ("SHAP contribution", "What a feature added to the log-odds of churn of one account."),
    ("Dead letter", "A row that the CRM refused for good, or too often; it needs a person."),
    ("Pseudonym", "Keyed hash that stands for an account everywhere but in the list above."),
)


def overview(lake: Lake, as_of: date) -> control_room.Overview:
    """Part of the use case in the control room, with the alarms of its newest score day."""
    watched, object_ = report_operations.WATCHED, report_operations.OBJECT
    return control_room.overview(lake, PAGE, monitor.read_alarms, watched, as_of, sink=SINK, object_=object_)


def run(
    as_of: date, *, settings: Settings | None = None, params: ChurnParams | None = None
) -> dict[str, Any]:
    """Write ``churn.html`` and the control room as of a day.

    A part whose data is missing says so and names the command that makes it; the page is written
    in any case.

    Returns
    -------
    ``as_of``, paths of the pages, the sections that are missing and the number of `open_alarms`.
    """
    settings, params = settings or Settings.load(), params or ChurnParams.load_default()
    lake = Lake.of(settings)
    parts = {
        "worklist": work_list(lake, as_of),
        "gate": sections.gate_log(lake, USECASE, as_of),
        "validation": report_model.validation(lake, as_of, params),
        "beeswarm": report_model.beeswarm(lake, as_of),
        "weeks": report_operations.weekly_figures(lake, as_of, params),
        "findings": report_operations.findings(lake, as_of),
        "ledger": report_operations.ledger(lake, as_of),
    }
    return write_day_page(
        PAGE,
        as_of,
        settings=settings,
        lake=lake,
        parts=parts,
        alarms=monitor.read_alarms(lake, as_of),
        watched=report_operations.WATCHED,
        check_styles=report_model.GATE_CHECKS,
        glossary=GLOSSARY,
        grid=GRID,
        out_of_scope=report_operations.out_of_scope(lake, as_of),
    )
