"""Demand, report: what planners need at eight, then what data scientists want to see."""

from __future__ import annotations

from datetime import date

from pipelines.demand import report_operations
from pipelines.io.lake import Lake
from pipelines.reporting import control_room
from pipelines.reporting.site import PAGES

PAGE = next(page for page in PAGES if page.file == "demand.html")


def overview(lake: Lake, as_of: date) -> control_room.Overview:
    """Part of the use case in the control room."""
    return control_room.overview(
        lake, PAGE, [], report_operations.WATCHED, as_of, sink=report_operations.SINK
    )
