"""Runs of flagged days: from one row per day to one row per event."""

# SQL is put together from the names of our own scratch tables.

from __future__ import annotations

#: Facts known in advance whose source does not say when it announced them count as announced so long before.
ANNOUNCED_DAYS = 56


def runs_query(days: str, *, place: str, kind: str) -> str:
    """Query for runs of consecutive flagged days, merged where all places share them.

    Parameters
    ----------
    days
        Relation with a row per place and day that the place reports: columns ``place`` and ``day``,
        flagged days with a text ``flag`` and others null, and ``step``, the number of the day among
        those that count for its place: runs go on over the days in between.
    place
        Name of the result's column with the place; null where all places share the run.
    kind
        Prefix of the events' ids.

    Returns
    -------
    str
        Query for ``id``, ``place``, ``flag``, ``starts_on``, ``ends_on``, ordered.
    """
    return f"""
        with flagged as (from {days}),
        runs as (
            select place, flag, min(day) as starts_on, max(day) as ends_on
            from (
                select place, flag, day,
                    step - row_number() over (partition by place, flag order by day) as island
                from flagged where flag is not null
            )
            group by place, flag, island
        ),
        reporting as (select day, count(*) as places from flagged group by day),
        shared as (
            select flag, starts_on, ends_on
            from (select flag, starts_on, ends_on, count(*) as places from runs group by all) as same
            join reporting as first on first.day = starts_on and first.places = same.places
            join reporting as last on last.day = ends_on and last.places = same.places
        )
        select '{kind}-' || flag || '-' || starts_on || coalesce('-' || place, '') as id, place as "{place}", flag,
            starts_on, ends_on
        from (
            select null::varchar as place, flag, starts_on, ends_on from shared
            union all
            from runs anti join shared using (flag, starts_on, ends_on)
        )
        order by id
    """


def announced(day: str) -> str:
    """SQL of the time at which an event that starts on ``day`` counts as announced."""
    return f"cast({day} as timestamp) - interval {ANNOUNCED_DAYS} day"
