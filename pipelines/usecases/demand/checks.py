"""Monitoring: past forecasts against what was sold since, and today's against yesterday's.

Each check holds one figure against its limit and says what it found; what cannot be judged yet is a finding of
its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from models.evaluation.bootstrap import Interval
from pipelines.monitoring.findings import Finding, percent
from pipelines.monitoring.reference import Segment
from pipelines.monitoring.schemas import ALL, Severity, State
from pipelines.reporting.words import join
from pipelines.usecase import Checked, Run
from pipelines.usecases.demand.dataset import PROFILE
from pipelines.usecases.demand.day import USUAL_DAYS, DayData, fallback_share
from pipelines.usecases.demand.params import DemandParams
from pipelines.usecases.demand.realised import WINDOW_DAYS, LevelErrors, Realised
from pipelines.usecases.demand.schemas import HORIZONS, INTERVALS, LEVELS, SEGMENTS

#: Horizon at which users were promised an error.
TARGET_HORIZON = 7

#: Days with sales below which nothing is judged: a single odd day would decide.
MIN_DAYS = 3

#: Node-days below which the coverage of a level is shown but not judged.
MIN_POINTS = 200

#: Share of the series that may be gone from one day to the next: assortments change slowly.
_MAX_LOSS = 0.1

#: A share of fallbacks is an alarm if it grew to more than twice the day before, by at least this much.
_FALLBACK_GROWTH = 0.05


def check(run: Run[DemandParams]) -> Checked:
    """Findings about the day's forecasts and about those before it."""
    data = DayData(run, history_days=USUAL_DAYS)
    rows, active = data.served, None if data.recent is None else len(data.recent)
    previous = data.served_on(data.previous) if data.previous else None
    findings = [
        _check_series(rows, active, previous),
        _check_fallbacks(rows, previous),
        _check_volume(data),
        _check_volume_against_sales(data),
        *_check_past(data),
    ]
    version = pc.max(rows["model_version"]).as_py() if rows.num_rows else None
    days = data.realised.days_judged(1) if data.realised is not None else 0
    return Checked(findings, version, {"realised_days": days})


def _check_past(data: DayData) -> list[Finding]:
    """Findings about past forecasts, or why there are none."""
    words = ""
    if data.recent is None or not data.recent.has_sales:
        words = f"{PROFILE} and its panel are not built, or no longer kept, for this day"
    elif data.realised is None:
        words = f"no forecast was made of the {WINDOW_DAYS} days before"
    if words or data.realised is None:
        return [Finding("mape", "J+7", State.NOT_ENOUGH_DATA, f"not enough days yet: {words}")]
    return [
        *_check_targets(data.realised, data.params),
        *_check_bias(data.realised, data.params),
        *_check_coverage(data.realised, data.levels, data.params),
        *_check_errors(data.realised, data.levels),
    ]


# -------------------------------------------------------------------------------------- past forecasts


def _check_targets(realised: Realised, params: DemandParams) -> list[Finding]:
    """MAPE at J+7 of the series that sell enough, by segment, against what users were promised.

    An error above its target that the interval over products does not put beyond doubt is no alarm.
    """
    profile = realised.recent.profile
    fast = profile["mean_quantity"].to_numpy() >= params.monitoring.min_units
    subject = f"J+{TARGET_HORIZON}"
    days = realised.days_judged(TARGET_HORIZON)
    found = []
    for segment in SEGMENTS:
        rows = fast & (profile["segment"].to_numpy() == segment)
        where = ("segment", segment)
        measured = realised.mape_interval(TARGET_HORIZON, rows) if rows.any() else None
        if days < MIN_DAYS or measured is None or math.isnan(measured.value):
            found.append(_not_enough("mape", subject, where, days, _whom(segment, params)))
            continue
        points = int((realised.judged[rows, :, TARGET_HORIZON - 1]).sum())
        target: float = getattr(params.targets, segment)
        found.append(_against_target(measured, target, where, points, _whom(segment, params)))
    return found


def _check_errors(realised: Realised, levels: Mapping[str, LevelErrors]) -> list[Finding]:
    """WAPE by segment, level and horizon: shown and compared from day to day, not judged."""
    segments = realised.recent.profile["segment"].to_numpy()
    tables = {
        "segment": realised.errors(segments, horizons=HORIZONS),
        "level": pd.concat(
            [
                realised.errors(horizons=HORIZONS).assign(group="sku_store"),
                *(level.errors(horizons=HORIZONS).assign(group=name) for name, level in levels.items()),
            ],
            ignore_index=True,
        ),
    }
    found = []
    for column, table in tables.items():
        for row in table[table["horizon"] > 0].to_dict("records"):
            found.append(_error_finding(column, row))
    return found


def _check_bias(realised: Realised, params: DemandParams) -> list[Finding]:
    """Sum of errors over sum of sales, of all series and by segment."""
    segments = realised.recent.profile["segment"].to_numpy()
    limit = params.monitoring.max_bias
    days = max(realised.days_judged(horizon) for horizon in range(1, realised.horizon_days + 1))
    found = []
    for segment in (ALL, *SEGMENTS):
        rows = np.ones(len(segments), dtype=bool) if segment == ALL else segments == segment
        where = (ALL, ALL) if segment == ALL else ("segment", segment)
        measured = realised.bias_interval(rows) if rows.any() else None
        whom = "all series" if segment == ALL else f"{segment} series"
        if days < MIN_DAYS or measured is None or math.isnan(measured.value):
            found.append(_not_enough("bias", _all_horizons(realised), where, days, whom))
            continue
        found.append(_biased(measured, limit, where, realised, rows, whom))
    return found


def _check_coverage(
    realised: Realised, levels: Mapping[str, LevelErrors], params: DemandParams
) -> list[Finding]:
    """Share of days inside the intervals, by level; the 80 % ones are judged where there are enough days.

    A share outside its limits that the interval over days does not put beyond doubt is no alarm.
    """
    low, high = params.monitoring.min_coverage_80, params.monitoring.max_coverage_80
    days = max(realised.days_judged(horizon) for horizon in range(1, realised.horizon_days + 1))
    found = []
    for nominal in INTERVALS:
        for level in LEVELS:
            if level != "sku_store" and level not in levels:
                continue
            source = realised if level == "sku_store" else levels[level]
            row = source.coverage(nominal).query("horizon == 0").iloc[0]
            share, points = float(row["coverage"]), int(row["points"])
            metric, where = f"coverage_{nominal}", ("level", level)
            if days < MIN_DAYS or math.isnan(share):
                found.append(_not_enough(metric, _all_horizons(realised), where, days, level))
                continue
            judged = nominal == 80 and points >= MIN_POINTS
            spread = source.coverage_interval(nominal) if judged else None
            broken = spread is not None and (spread.low > high or spread.high < low)
            found.append(
                Finding(
                    metric=metric,
                    subject=_all_horizons(realised),
                    segment=where,
                    state=State.ALARM if broken else State.OK,
                    severity=Severity.WARNING if broken else None,
                    value=share,
                    threshold=(high if share > high else low) if judged else None,
                    excess=max(low - share, share - high, 0.0) if judged else 0.0,
                    rows=points,
                    message=f"{percent(share)} of {points:,} forecasts of level {_words(level)} held by their "
                    f"{nominal} % interval"
                    + (f", expected {percent(low)} to {percent(high)}" if judged else ""),
                )
            )
    return found


def _against_target(measured: Interval, target: float, where: Segment, points: int, whom: str) -> Finding:
    # Without an interval (one product) the value itself decides.
    surely = measured.low if not math.isnan(measured.low) else measured.value
    broken = surely > target
    spread = "" if math.isnan(measured.low) else f" (90 % interval {_percents(measured.low, measured.high)})"
    doubt = ", above it but within noise" if measured.value > target and not broken else ""
    return Finding(
        metric="mape",
        subject=f"J+{TARGET_HORIZON}",
        segment=where,
        state=State.ALARM if broken else State.OK,
        severity=Severity.WARNING if broken else None,  # worse forecasts are still the best there are
        value=measured.value,
        threshold=target,
        excess=max(measured.value / target - 1, 0.0),
        rows=points,
        message=f"MAPE at J+{TARGET_HORIZON} of {whom} is {_percent(measured.value)}{spread}, target "
        f"{percent(target)}{doubt}",
    )


def _biased(
    measured: Interval, limit: float, where: Segment, realised: Realised, rows: NDArray[np.bool_], whom: str
) -> Finding:
    low, high = (
        (measured.value, measured.value) if math.isnan(measured.low) else (measured.low, measured.high)
    )
    broken = low > limit or high < -limit
    serious = where == (ALL, ALL)
    direction = "above" if measured.value > 0 else "below"
    return Finding(
        metric="bias",
        subject=_all_horizons(realised),
        segment=where,
        state=State.ALARM if broken else State.OK,
        severity=(Severity.CRITICAL if serious else Severity.WARNING) if broken else None,
        value=measured.value,
        threshold=math.copysign(limit, measured.value),
        excess=max(abs(measured.value) - limit, 0.0),
        rows=int(realised.judged[rows].sum()),
        message=f"forecasts of {whom} were {_percent(abs(measured.value))} {direction} what was sold "
        f"(limit {percent(limit)} either way)",
    )


def _error_finding(column: str, row: Mapping[object, object]) -> Finding:
    group, horizon, wape = str(row["group"]), int(str(row["horizon"])), float(str(row["wape"]))
    known = math.isfinite(wape)
    name = f"{group} series" if column == "segment" else f"level {_words(group)}"
    return Finding(
        metric="wape",
        subject=f"J+{horizon}",
        segment=(column, group),
        state=State.OK if known else State.NOT_ENOUGH_DATA,
        value=wape if known else None,
        rows=int(str(row["points"])),
        message=f"WAPE at J+{horizon} of {name} is {_percent(wape)}"
        if known
        else f"not enough days yet: no sales to compare forecasts at J+{horizon} of {name} with",
    )


def _not_enough(metric: str, subject: str, where: Segment, days: int, whom: str) -> Finding:
    return Finding(
        metric=metric,
        subject=subject,
        segment=where,
        state=State.NOT_ENOUGH_DATA,
        message=f"not enough days yet for {_words(whom)}: {days} with forecasts at {subject} and sales, "
        f"{MIN_DAYS} are needed",
    )


def _whom(segment: str, params: DemandParams) -> str:
    return f"{segment} series that sell at least {params.monitoring.min_units:g} a day"


def _all_horizons(realised: Realised) -> str:
    return f"J+1..J+{realised.horizon_days}"


def _words(level: str) -> str:
    return "product by store" if level == "sku_store" else level


def _percents(low: float, high: float) -> str:
    return f"{100 * low:.1f} to {100 * high:.1f} %"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


# ------------------------------------------------------------------------------------ today's forecasts


def _check_volume(data: DayData) -> Finding:
    """Hold the total against what the newest earlier forecasts said of the same days."""
    if data.against_previous is None:
        words = (
            "no forecasts of this day"
            if not data.national
            else "no forecasts of the week before for the same days"
        )
        return Finding("volume", "total", State.NOT_ENOUGH_DATA, f"not enough days yet: {words}")
    change, days = data.against_previous
    words = f"the total of {days} days is {_moved(change)} the forecasts of {data.previous} for the same days"
    return _volume("volume", change, data.params, days, words)


def _check_volume_against_sales(data: DayData) -> Finding:
    """Hold the total against the sales of the same weekdays in the weeks before."""
    if data.against_usual is None:
        words = "no forecasts of this day" if not data.national else "no weekday with reported sales"
        return Finding("volume_sales", "total", State.NOT_ENOUGH_DATA, f"not enough days yet: {words}")
    change, days = data.against_usual
    usual = {day: data.usual.get(day.weekday()) for day in data.national}
    ratios = {day: data.national[day] / units - 1 for day, units in usual.items() if units}
    odd = sorted(ratios, key=lambda day: -abs(ratios[day]))[:2]
    listed = join([f"{day} {ratios[day]:+.0%}" for day in odd]).replace("%", " %")
    words = (
        f"the total of {days} days is {_moved(change)} the sales of the same weekdays in the weeks before "
        f"(most apart: {listed})"
    )
    return _volume("volume_sales", change, data.params, days, words)


def _check_series(rows: pa.Table, active: int | None, previous: pa.Table | None) -> Finding:
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


def _check_fallbacks(rows: pa.Table, previous: pa.Table | None) -> Finding:
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
