"""Imputation, report: what process engineers want to see of a day, then what data scientists ask."""

from __future__ import annotations

from datetime import date
from typing import Any

from pipelines.io.lake import Lake
from pipelines.reporting import control_room, sections
from pipelines.reporting.day_page import write_day_page
from pipelines.reporting.site import page_of
from pipelines.settings import Settings
from pipelines.usecases.imputation import monitor, report_model, report_operations, report_quality
from pipelines.usecases.imputation.contracts import USECASE
from pipelines.usecases.imputation.params import ImputationParams
from pipelines.usecases.imputation.report_lines import lines
from pipelines.usecases.imputation.report_missing import missingness

PAGE = page_of(USECASE)

GLOSSARY = (
    ("Cell", "What one sensor says of one part; measured, beyond a limit, or missing."),
    (
        "Completed data set",
        "The day's table with every missing cell drawn once. Several differ in the drawn cells only; how far they "
        "differ is what is not known.",
    ),
    (
        "Pooled",
        "An analysis run on each completed data set, its answers put together by Rubin's rules: the interval holds what "
        "the missing cells make uncertain.",
    ),
    (
        "Overimputation",
        "Cells that were measured are taken out and imputed; the share that lies within the 90\u202f% intervals tells "
        "whether the intervals are right.",
    ),
    ("Missing completely at random", "Whether a cell is missing has nothing to do with any value."),
    (
        "Missing at random",
        "Whether a cell is missing depends on what was measured elsewhere, and on the line. Imputation is right then.",
    ),
    (
        "Missing not at random",
        "It depends on the missing value itself. Nothing in the data can show that; the sensitivity section tells how "
        "large the dependence must be to change a conclusion.",
    ),
    (
        "Fraction of missing information",
        "Share of what complete data would tell of a sensor's mean that is lost; less than the share of missing cells "
        "where other sensors tell much of them.",
    ),
    ("Ridge", "Rows without any correlation, added where the parts are too few for the sensors."),
    (
        "Condition number",
        "How nearly some sensors follow from others; beyond a million, look at the sensors named.",
    ),
    ("As of", "The day of the decision. Nothing that became known on or after it is used."),
)


def overview(lake: Lake, as_of: date) -> control_room.Overview:
    """Part of the use case in the control room, with the alarms of its newest day."""
    return control_room.overview(lake, PAGE, monitor.read_alarms, report_operations.WATCHED, as_of)


def run(
    as_of: date, *, settings: Settings | None = None, params: ImputationParams | None = None
) -> dict[str, Any]:
    """Write ``imputation.html`` and the control room as of a day.

    A part whose data is missing says so and names the command that makes it; the page is written
    in any case.

    Returns
    -------
    ``as_of``, paths of the pages, the sections that are missing and the number of `open_alarms`.
    """
    settings, params = settings or Settings.load(), params or ImputationParams.load_default()
    lake = Lake.of(settings)
    parts = {
        "headline": report_operations.headline(lake, as_of),
        "lines": lines(lake, as_of),
        "missingness": missingness(lake, as_of, params),
        "quality": report_quality.quality(lake, as_of),
        "densities": report_quality.densities(lake, as_of),
        "gate": sections.gate_log(lake, USECASE, as_of),
        "basis": report_model.basis(lake, as_of, params),
        "findings": report_operations.findings(lake, as_of),
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
        out_of_scope=report_operations.out_of_scope(lake, as_of),
    )
