"""Report: the page of a use case, and the control room of all."""

from __future__ import annotations

import logging
from datetime import date
from pathlib import Path
from typing import Any

from pipelines.discovery import every
from pipelines.errors import MillraceError
from pipelines.io.lake import Lake
from pipelines.io.promotions import read_promotions
from pipelines.io.runs import STEP_RUNS
from pipelines.monitoring.completeness import hand_overs
from pipelines.monitoring.stored import newest_monitored_day, read_findings
from pipelines.reporting import control_room, sections
from pipelines.reporting.page import Missing, Watched
from pipelines.reporting.site import Page, Site
from pipelines.settings import Settings
from pipelines.steps import Step
from pipelines.usecase import D, M, P, Record, UseCase

log = logging.getLogger(__name__)

#: Template of a use case's own, in its folder.
_TEMPLATE = "page.html.j2"


def run(
    usecase: UseCase[P, D, M], as_of: date, *, settings: Settings | None = None, params: P | None = None
) -> Record:
    """Write the page of a use case, and the control room, as of a day.

    A part whose data is missing says so and names the command that makes it; the page is written in any case.

    Returns ``as_of``, paths of the pages, the sections that are missing and the number of ``open_alarms``.
    """
    here = usecase.run(as_of, settings, params)
    lake, site, page = here.lake, Site(here.settings.report_dir), Page.of(usecase)
    gate = sections.gate_log(lake, usecase.name, as_of)
    parts = {
        **usecase.sections(here),
        "gate": gate,
        "findings": sections.findings(lake, usecase.name, as_of, usecase.page.findings),
    }
    if usecase.targets:
        parts["publication"] = sections.publication(lake, usecase.name, usecase.targets, as_of)
    alarms = usecase.word_alarms(as_of, read_findings(lake, usecase.name, as_of))
    written = site.render(
        page.file,
        f"{usecase.name}/{_TEMPLATE}" if (usecase.folder / _TEMPLATE).exists() else "usecase.html.j2",
        {
            **parts,
            "usecase": usecase,
            "as_of": as_of,
            "alarms": alarms,
            "checks": [] if isinstance(gate, Missing) else sections.gate_checks(gate[0], usecase.page.checks),
            "tables": control_room.freshness(lake, usecase.name, _watched(usecase, lake), as_of),
            "glossary": usecase.words.glossary,
        },
    )
    index = write_index(site, here.settings, lake, as_of, shown=usecase.name)
    return {
        "as_of": as_of.isoformat(),
        "page": str(written),
        "index": str(index),
        "missing": [name for name, section in parts.items() if isinstance(section, Missing)],
        "open_alarms": len(alarms),
    }


def write_index(site: Site, settings: Settings, lake: Lake, as_of: date, *, shown: str) -> Path:
    """Write ``index.html`` about every use case that has run, and ``shown`` in any case.

    The page is about the newest day that any step ran for, so a backfill of an old day does not turn the control
    room back. A use case that cannot be read is told there and keeps nobody else from the page.
    """
    as_of = max([as_of, *lake.read(STEP_RUNS, columns=["as_of"], missing_ok=True)["as_of"].to_pylist()])
    found: list[control_room.Overview] = []
    broken: list[tuple[str, str]] = []
    for usecase in every():
        try:
            part = overview(usecase, lake, as_of)
        except (MillraceError, OSError, ValueError, KeyError) as error:
            log.error("the control room lacks %s: %s", usecase.name, error)
            broken.append((usecase.title, f"{type(error).__name__}: {error}"))
        else:
            if usecase.name == shown or part.exists:
                found.append(part)
    steps = control_room.step_runs(lake, as_of)
    return control_room.build(site, settings, as_of, found, steps=steps, broken=broken)


def overview(usecase: UseCase[P, D, M], lake: Lake, as_of: date) -> control_room.Overview:
    """Part of a use case in the control room, with the alarms of its newest monitored day."""
    checked = newest_monitored_day(lake, usecase.name, as_of)
    watched, log = _watched(usecase, lake), read_promotions(lake, usecase.name, until=as_of)
    runs = control_room.newest_runs(lake, usecase.targets, as_of)
    steps = [step for step in Step if step is not Step.PUBLISH or usecase.targets]
    arrivals = [(one.table, one.column) for one in watched if one.each_day]
    return control_room.Overview(
        page=Page.of(usecase),
        verdict=log[-1] if log else None,
        publish=runs[0] if runs else None,
        alarms=usecase.word_alarms(checked, read_findings(lake, usecase.name, checked)) if checked else [],
        publishes=bool(usecase.targets),
        tables=control_room.freshness(lake, usecase.name, watched, as_of),
        quarantined=control_room.quarantine(lake, usecase.name),
        hand_overs=hand_overs(lake, usecase.name, steps, as_of, arrivals=arrivals),
    )


def _watched(usecase: UseCase[Any, Any, Any], lake: Lake) -> list[Watched]:
    """Tables whose freshness counts in this deployment: what it may lack is late only once it has come."""
    optional = {usecase.raw(name).name for name in usecase.optional}
    return [one for one in usecase.watched if one.table not in optional or lake.exists(one.table)]
