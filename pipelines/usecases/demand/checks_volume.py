"""The checks of the newest forecasts: their total, the number of series, and how many are fallbacks."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset

from pipelines.io.lake import Lake
from pipelines.monitoring.findings import Finding, percent
from pipelines.monitoring.schemas import Severity, State
from pipelines.reporting.words import join
from pipelines.usecases.demand.params import DemandParams
from pipelines.usecases.demand.realised_levels import MAX_UNKNOWN
from pipelines.usecases.demand.recent import Recent, Series, dates, narrowed
from pipelines.usecases.demand.schemas import AGGREGATES, FORECASTS

#: Earlier forecasts older than this are not compared with.
_PREVIOUS_DAYS = 7

#: Share of the series that may be gone from one day to the next: assortments change slowly.
_MAX_LOSS = 0.1

#: A share of fallbacks is an alarm if it grew to more than twice the day before, by at least this much.
_FALLBACK_GROWTH = 0.05


def national_forecast(lake: Lake, as_of: date) -> dict[date, float]:
    """Units forecast for the nation by day, in order; empty without forecasts of ``as_of``."""
    field = pa_dataset.field
    where = (field("as_of") == as_of) & (field("level") == "national")
    rows = lake.read(AGGREGATES, columns=["ds", "operational"], where=where, missing_ok=True).sort_by("ds")
    return dict(zip(rows["ds"].to_pylist(), rows["operational"].to_pylist(), strict=True))


def previous_day(lake: Lake, as_of: date, *, within_days: int = _PREVIOUS_DAYS) -> date | None:
    """Newest earlier day with forecasts, not older than a week; None if there is none."""
    field = pa_dataset.field
    near = (field("as_of") < as_of) & (field("as_of") >= as_of - timedelta(days=within_days))
    where = near & (field("level") == "national")
    days = lake.read(AGGREGATES, columns=["as_of"], where=where, missing_ok=True)["as_of"]
    newest: date | None = pc.max(days).as_py() if len(days) else None
    return newest


def check_volume(lake: Lake, as_of: date, params: DemandParams) -> Finding:
    """Hold the total against what the newest earlier forecasts said of the same days."""
    now, before = national_forecast(lake, as_of), previous_day(lake, as_of)
    earlier = national_forecast(lake, before) if before else {}
    shared = [day for day in now if day in earlier]
    was = sum(earlier[day] for day in shared)
    if not was:
        words = "no forecasts of this day" if not now else "no forecasts of the week before for the same days"
        return Finding("volume", "total", State.NOT_ENOUGH_DATA, f"not enough days yet: {words}")
    change = sum(now[day] for day in shared) / was - 1
    return _volume(
        "volume",
        change,
        params,
        len(shared),
        f"the total of {len(shared)} days is {_moved(change)} the forecasts of {before} for the same days",
    )


def check_volume_against_sales(
    lake: Lake, as_of: date, recent: Recent | None, params: DemandParams
) -> Finding:
    """Hold the total against the sales of the same weekdays in the weeks before."""
    now = national_forecast(lake, as_of)
    usual = usual_weekdays(recent) if recent is not None else {}
    shared = [day for day in now if day.weekday() in usual]
    expected = sum(usual[day.weekday()] for day in shared)
    if not expected:
        words = "no forecasts of this day" if not now else "no weekday with reported sales"
        return Finding("volume_sales", "total", State.NOT_ENOUGH_DATA, f"not enough days yet: {words}")
    change = sum(now[day] for day in shared) / expected - 1
    ratios = {day: now[day] / usual[day.weekday()] - 1 for day in shared if usual[day.weekday()]}
    odd = sorted(ratios, key=lambda day: -abs(ratios[day]))[:2]
    words = join([f"{day} {ratios[day]:+.0%}" for day in odd]).replace("%", " %")
    return _volume(
        "volume_sales",
        change,
        params,
        len(shared),
        f"the total of {len(shared)} days is {_moved(change)} the sales of the same weekdays in the weeks "
        f"before (most apart: {words})",
    )


def usual_weekdays(recent: Recent) -> dict[int, float]:
    """Mean units sold by the whole chain on each weekday (0 is Monday) of the days of ``recent``.

    Days of which an open store has not reported a notable part are left out.
    """
    sold = np.nansum(recent.sold, axis=0)
    weight = recent.profile["mean_quantity"].to_numpy()[:, None]
    # A series that was not on sale yet weighs as if unreported; there are few.
    unknown = (weight * recent.unknown).sum(axis=0) / max(float(weight.sum()), 1e-9)
    weekday = np.array([day.weekday() for day in dates(recent.days)])
    usable = unknown <= MAX_UNKNOWN
    return {
        day: float(sold[usable & (weekday == day)].mean())
        for day in range(7)
        if (usable & (weekday == day)).any()
    }


def check_series(rows: pa.Table, active: int | None, previous: pa.Table | None) -> Finding:
    """Whether every active series has its forecast, and whether many are gone since the last time.

    Parameters
    ----------
    rows
        One row per series that was forecast.
    active
        Series in the profile of the day; None if it is not known.
    previous
        The same of the newest earlier day; None if there is none.
    """
    count = rows.num_rows
    missing = 0 if active is None else active - count
    before = 0 if previous is None else previous.num_rows
    incomplete, shrunk = count == 0 or missing > 0, count < (1 - _MAX_LOSS) * before
    words = f"{count:,} series forecast"
    if active is not None:
        words += f" of {active:,} active ones"
    if previous is not None:
        words += f", {before:,} the last time"
    severity = Severity.CRITICAL if incomplete else Severity.WARNING if shrunk else None
    return Finding(
        metric="series",
        subject="forecasts",
        state=State.ALARM if severity else State.OK,
        severity=severity,
        value=float(count),
        threshold=float(active or 1) if incomplete or not shrunk else (1 - _MAX_LOSS) * before,
        excess=float(max(missing, 0)),
        rows=count,
        message=words,
    )


def check_fallbacks(rows: pa.Table, previous: pa.Table | None) -> Finding:
    """Share of series that no model could forecast, against the last time."""
    share, before = fallback_share(rows), None if previous is None else fallback_share(previous)
    if share is None:
        return Finding(
            "fallbacks", "forecasts", State.NOT_ENOUGH_DATA, "not enough days yet: no forecasts of this day"
        )
    limit = None if before is None else max(2 * before, before + _FALLBACK_GROWTH)
    broken = limit is not None and share > limit
    words = f"{100 * share:.1f} % of the series have a fallback instead of a model"
    if before is not None:
        words += f", {100 * before:.1f} % the last time"
    return Finding(
        metric="fallbacks",
        subject="forecasts",
        state=State.ALARM if broken else State.OK,
        severity=Severity.WARNING if broken else None,
        value=share,
        threshold=limit,
        excess=max(share - limit, 0.0) if limit is not None else 0.0,
        rows=rows.num_rows,
        message=words,
    )


def forecast_series(lake: Lake, as_of: date, *, only: Series | None = None) -> pa.Table:
    """One row per series that was forecast: store, product, segment, model, reason and version."""
    field = pa_dataset.field
    columns = ["store_id", "sku_id", "segment", "model", "reason", "model_version"]
    where = narrowed((field("as_of") == as_of) & (field("horizon") == 1), only)
    return lake.read(FORECASTS, columns=columns, where=where, missing_ok=True)


def fallback_share(rows: pa.Table) -> float | None:
    """Share of the series whose forecast is a fallback's; None without series."""
    if not rows.num_rows:
        return None
    share: float = pc.mean(pc.starts_with(rows["model"], "fallback").cast(pa.float64())).as_py()
    return share


def _volume(metric: str, change: float, params: DemandParams, days: int, words: str) -> Finding:
    limit = params.monitoring.max_volume_change
    broken = abs(change) > limit
    return Finding(
        metric=metric,
        subject="total",
        state=State.ALARM if broken else State.OK,
        severity=(Severity.CRITICAL if metric == "volume" else Severity.WARNING) if broken else None,
        value=change,
        threshold=limit if change >= 0 else -limit,
        excess=max(abs(change) - limit, 0.0),
        rows=days,
        message=f"{words}, limit {percent(limit)}",
    )


def _moved(change: float) -> str:
    return f"{100 * abs(change):.1f} % {'above' if change >= 0 else 'below'}"
