"""Days for which feature rows are built: the spine of training sets."""

from __future__ import annotations

from datetime import date, timedelta

MONDAY = 0


def first_monday(year: int, month: int) -> date:
    """First Monday of a month."""
    first = date(year, month, 1)
    return first + timedelta(days=(MONDAY - first.weekday()) % 7)


def monthly_snapshots(as_of: date, *, months: int, horizon_days: int) -> list[date]:
    """First Mondays of the newest ``months`` months whose labels are complete at ``as_of``.

    The label of day D is complete when the whole day ``D + horizon_days`` is over, that is when
    ``D + horizon_days < as_of``.

    Returns
    -------
    list of date
        Oldest first.
    """
    found: list[date] = []
    year, month = as_of.year, as_of.month
    while len(found) < months:
        day = first_monday(year, month)
        if day + timedelta(days=horizon_days) < as_of:
            found.append(day)
        year, month = (year, month - 1) if month > 1 else (year - 1, 12)
    return found[::-1]


def matured_mondays(as_of: date, *, weeks: int, horizon_days: int) -> list[date]:
    """Newest ``weeks`` Mondays before ``as_of`` whose labels are complete, oldest first."""
    newest = as_of - timedelta(days=horizon_days + 1)
    newest -= timedelta(days=(newest.weekday() - MONDAY) % 7)
    return [newest - timedelta(weeks=week) for week in range(weeks)][::-1]


def past_origins(as_of: date, *, origins: int, spacing_days: int, horizon_days: int) -> list[date]:
    """Newest ``origins`` days before ``as_of``, ``spacing_days`` apart, whose forecast days are all over.

    The forecast of day D covers ``D .. D + horizon_days``, which is over when ``D + horizon_days < as_of``.

    Returns
    -------
    list of date
        Oldest first.
    """
    newest = as_of - timedelta(days=horizon_days + 1)
    return [newest - timedelta(days=spacing_days * index) for index in range(origins)][::-1]
