"""Clustering, report: what commercial managers need of the groups, then what data scientists want to see."""

from __future__ import annotations

from datetime import date
from typing import Any

from pipelines.clustering import monitor, report_groups, report_operations, report_stores
from pipelines.clustering.contracts import USECASE
from pipelines.clustering.params import ClusteringParams
from pipelines.clustering.report_data import DayData
from pipelines.io.dbt import write_docs
from pipelines.io.lake import Lake
from pipelines.monitoring.stored import newest_monitored_day
from pipelines.reporting import control_room, sections
from pipelines.reporting.site import PAGES, Missing, Site
from pipelines.settings import Settings

PAGE = next(page for page in PAGES if page.file == "clustering.html")

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
    checked = newest_monitored_day(lake, USECASE, as_of)
    alarms = monitor.read_alarms(lake, checked) if checked else []
    return control_room.overview(lake, PAGE, alarms, report_operations.WATCHED, as_of, sink=None)


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
    lake, site = Lake.of(settings), Site(settings.report_dir)
    data = DayData(lake, settings, as_of, params)
    alarms = monitor.read_alarms(lake, as_of)
    gate = sections.gate_log(lake, USECASE, as_of)
    parts = {
        "groups": report_groups.groups(data),
        "heat_map": report_groups.heat_map(data),
        "store_map": report_groups.store_map(data),
        "moves": report_stores.moves(data),
        "strangers": report_stores.strangers(data),
        "stores": report_stores.store_list(data),
        "variables": report_operations.variables(data),
        "gate": gate,
        "findings": report_operations.findings(lake, as_of),
    }
    page = site.render(
        PAGE.file,
        "clustering.html.j2",
        {
            **parts,
            "as_of": as_of,
            "grid": report_stores.GRID,
            "found": report_groups.figures(data),
            "alarms": alarms,
            "checks": []
            if isinstance(gate, Missing)
            else sections.gate_checks(gate[0], report_operations.GATE_CHECKS),
            "out_of_scope": report_operations.out_of_scope(data),
            "tables": control_room.freshness(lake, report_operations.WATCHED, as_of),
            "glossary": GLOSSARY,
        },
    )
    write_docs(settings, settings.report_dir / "dbt_docs")
    index = control_room.write_index(site, settings, lake, as_of, shown=USECASE)
    return {
        "as_of": as_of.isoformat(),
        "page": str(page),
        "index": str(index),
        "missing": [name for name, section in parts.items() if isinstance(section, Missing)],
        "open_alarms": len(alarms),
    }
