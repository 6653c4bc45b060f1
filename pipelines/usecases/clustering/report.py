"""Clustering, report: what commercial managers need of the groups, then what data scientists want to see."""

from __future__ import annotations

from datetime import date
from typing import Any

from pipelines.io.lake import Lake
from pipelines.reporting import control_room, sections
from pipelines.reporting.day_page import write_day_page
from pipelines.reporting.site import page_of
from pipelines.settings import Settings
from pipelines.usecases.clustering import monitor, report_groups, report_operations, report_stores
from pipelines.usecases.clustering.contracts import USECASE
from pipelines.usecases.clustering.params import ClusteringParams
from pipelines.usecases.clustering.report_data import DayData

PAGE = page_of(USECASE)

GLOSSARY = (
    (
        "Group",
        "Stores that resemble one another more than the others; its letter stays with it from run to run.",
    ),
    (
        "Typical store",
        "Nearest to the middle of its group: the one to visit in order to understand the group.",
    ),
    (
        "Store that does not fit",
        "Much more different from the stores of its group than those are from each other: a policy for the group may "
        "be wrong for it.",
    ),
    (
        "Fit",
        "Share of the stores of the group that are as different from it or more; near 0 the store is unlike all.",
    ),
    (
        "Distance",
        "Gower's: the mean over the variables known of both stores of their difference, as a share of the largest.",
    ),
    ("Theme", "Variables that tell of the same thing; a theme weighs the same however many there are."),
    (
        "Test value",
        "How far a group's mean is from that of a random draw of as many stores; beyond 2 it is not chance.",
    ),
    (
        "Silhouette",
        "How much nearer a store is to its own group than to the next: 1 is far from all others, 0 between.",
    ),
    (
        "Stability",
        "Mean overlap (Jaccard) of a group with its likeness among stores drawn anew; from 75 % on it is stable, below "
        "60 % not to be trusted.",
    ),
    (
        "Explained by a split",
        "Share of all differences that one more group takes out of the groups (inertia).",
    ),
)


def overview(lake: Lake, as_of: date) -> control_room.Overview:
    """Part of the use case in the control room, with the alarms of its newest day."""
    return control_room.overview(lake, PAGE, monitor.read_alarms, report_operations.WATCHED, as_of, sink=None)


def run(
    as_of: date, *, settings: Settings | None = None, params: ClusteringParams | None = None
) -> dict[str, Any]:
    """Write ``clustering.html`` and the control room as of a day.

    A part whose data is missing says so and names the command that makes it; the page is written in any case.

    Returns
    -------
    ``as_of``, paths of the pages, the sections that are missing and the number of `open_alarms`.
    """
    settings, params = settings or Settings.load(), params or ClusteringParams.load_default()
    lake = Lake.of(settings)
    data = DayData(lake, settings, as_of, params)
    parts = {
        "groups": report_groups.groups(data),
        "heat_map": report_groups.heat_map(data),
        "store_map": report_groups.store_map(data),
        "moves": report_stores.moves(data),
        "strangers": report_stores.strangers(data),
        "stores": report_stores.store_list(data),
        "variables": report_operations.variables(data),
        "gate": sections.gate_log(lake, USECASE, as_of),
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
        check_styles=report_operations.GATE_CHECKS,
        glossary=GLOSSARY,
        grid=report_stores.GRID,
        found=report_groups.figures(data),
        out_of_scope=report_operations.out_of_scope(data),
    )
