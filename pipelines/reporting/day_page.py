"""What the pages of all use cases share: the frame around their own parts, and what goes with a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from pipelines.io.dbt import write_docs
from pipelines.io.lake import Lake
from pipelines.monitoring.alarms import Alarm
from pipelines.reporting import control_room, sections
from pipelines.reporting.site import Missing, Page, Site
from pipelines.settings import Settings


def write_day_page(
    page: Page,
    as_of: date,
    *,
    settings: Settings,
    lake: Lake,
    parts: Mapping[str, Any],
    alarms: Sequence[Alarm],
    watched: Sequence[control_room.Watched],
    check_styles: Mapping[str, sections.CheckStyle],
    glossary: Sequence[tuple[str, str]],
    **more: Any,
) -> dict[str, Any]:
    """Write the page of a use case, the documentation of its SQL, and the control room.

    Parameters
    ----------
    parts
        Sections by name, those that cannot be shown yet as :class:`Missing`; among them ``gate``, see
        :func:`pipelines.reporting.sections.gate_log`.
    check_styles
        How the checks of the gate are called.
    more
        What else the template of the page takes.

    Returns
    -------
    ``as_of``, paths of the pages, the sections that are missing and the number of `open_alarms`.
    """
    site, gate = Site(settings.report_dir), parts["gate"]
    written = site.render(
        page.file,
        f"{page.usecase}/page.html.j2",
        {
            **parts,
            **more,
            "as_of": as_of,
            "alarms": alarms,
            "checks": [] if isinstance(gate, Missing) else sections.gate_checks(gate[0], check_styles),
            "tables": control_room.freshness(lake, watched, as_of),
            "glossary": glossary,
        },
    )
    write_docs(settings, settings.report_dir / "dbt_docs")
    index = control_room.write_index(site, settings, lake, as_of, shown=page.usecase)
    return {
        "as_of": as_of.isoformat(),
        "page": str(written),
        "index": str(index),
        "missing": [name for name, section in parts.items() if isinstance(section, Missing)],
        "open_alarms": len(alarms),
    }
