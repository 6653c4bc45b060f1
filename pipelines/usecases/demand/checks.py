"""Monitoring: past forecasts against what was sold since, and today's against yesterday's.

Each check holds one figure against its limit and says what it found; what cannot be judged yet is a finding of
its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from models.evaluation.bootstrap import Interval
from models.forecasting.compared import Compared
from pipelines.monitoring.findings import Finding, held_against, percent
from pipelines.monitoring.reference import Segment
from pipelines.monitoring.schemas import ALL, Severity, State
from pipelines.reporting.words import join
from pipelines.usecase import Checked, Run
from pipelines.usecases.demand.dataset import PROFILE
from pipelines.usecases.demand.day import USUAL_DAYS, WINDOW_DAYS, DayData, Realised, fallback_share
from pipelines.usecases.demand.params import DemandParams
from pipelines.usecases.demand.schemas import (
    HORIZONS,
    INTERVALS,
    LEVEL_WORDS,
    LEVELS,
    MIN_DAYS,
    SEGMENTS,
    TARGET_HORIZON,
)

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
    version = pc.max(rows["model_version"]).as_py()
    days = data.realised.days_judged(1) if data.realised is not None else 0
    return Checked(findings, version, {"realised_days": days})


def _not_yet(metric: str, subject: str, words: str, where: Segment = (ALL, ALL)) -> Finding:
    words = f"not enough days yet{words}"
    return Finding(metric, subject, State.NOT_ENOUGH_DATA, words, segment=where)


# -------------------------------------------------------------------------------------- past forecasts


def _check_past(data: DayData) -> list[Finding]:
    """Findings about past forecasts, or why there are none."""
    if data.recent is None or not data.recent.has_sales:
        return [
            _not_yet(
                "mape", "J+7", f": {PROFILE} and its panel are not built, or no longer kept, for this day"
            )
        ]
    realised = data.realised
    if realised is None:
        return [_not_yet("mape", "J+7", f": no forecast was made of the {WINDOW_DAYS} days before")]
    segments, params = realised.recent.profile["segment"].to_numpy(), data.params
    return [
        *(_check_target(realised, segment, segments == segment, params) for segment in SEGMENTS),
        _check_bias(realised, ALL, np.ones(len(segments), dtype=bool), params),
        *(_check_bias(realised, segment, segments == segment, params) for segment in SEGMENTS),
        *_check_coverage(realised, data.levels, params),
        *_errors(realised, data.levels, segments),
    ]


def _check_target(
    realised: Realised, segment: str, members: NDArray[np.bool_], params: DemandParams
) -> Finding:
    """MAPE at J+7 of the series of a segment that sell enough, against what users were promised.

    An error above its target that the interval over products does not put beyond doubt is no alarm.
    """
    least, subject, where = params.monitoring.min_units, f"J+{TARGET_HORIZON}", ("segment", segment)
    whom = f"{segment} series that sell at least {least:g} a day"
    rows = members & (realised.recent.profile["mean_quantity"].to_numpy() >= least)
    days = realised.days_judged(TARGET_HORIZON)
    measured = realised.mape_interval(TARGET_HORIZON, rows) if rows.any() else None
    if days < MIN_DAYS or measured is None or math.isnan(measured.value):
        return _few_days("mape", subject, where, days, whom)
    target: float = getattr(params.targets, segment)
    low, high = _ends(measured)
    broken = low > target
    spread = "" if math.isnan(measured.low) else f" (90 % interval {100 * low:.1f} to {100 * high:.1f} %)"
    doubt = ", above it but within noise" if measured.value > target and not broken else ""
    words = (
        f"MAPE at {subject} of {whom} is {_percent(measured.value)}{spread}, target {percent(target)}{doubt}"
    )
    # A warning only: worse forecasts are still the best there are.
    return held_against(
        "mape", subject, words, measured.value, target, raised=broken, segment=where,
        rows=int(realised.judged[rows, :, TARGET_HORIZON - 1].sum()),
        excess=max(measured.value / target - 1, 0.0),
    )  # fmt: skip


def _check_bias(realised: Realised, segment: str, rows: NDArray[np.bool_], params: DemandParams) -> Finding:
    """Sum of errors over sum of sales of all series or of a segment."""
    limit, subject, days = params.monitoring.max_bias, _all_horizons(realised), _days_judged(realised)
    where = (ALL, ALL) if segment == ALL else ("segment", segment)
    whom = f"{segment} series"
    measured = realised.bias_interval(rows) if rows.any() else None
    if days < MIN_DAYS or measured is None or math.isnan(measured.value):
        return _few_days("bias", subject, where, days, whom)
    low, high = _ends(measured)
    broken = low > limit or high < -limit
    direction = "above" if measured.value > 0 else "below"
    words = (
        f"forecasts of {whom} were {_percent(abs(measured.value))} {direction} what was sold "
        f"(limit {percent(limit)} either way)"
    )
    return held_against(
        "bias", subject, words, measured.value, math.copysign(limit, measured.value), raised=broken,
        severity=Severity.CRITICAL if segment == ALL else Severity.WARNING, segment=where,
        rows=int(realised.judged[rows].sum()), excess=max(abs(measured.value) - limit, 0.0),
    )  # fmt: skip


def _check_coverage(
    realised: Realised, levels: Mapping[str, Compared], params: DemandParams
) -> list[Finding]:
    """Share of days inside the intervals, by level; the 80 % ones are judged where there are enough days.

    A share outside its limits that the interval over days does not put beyond doubt is no alarm.
    """
    low, high = params.monitoring.min_coverage_80, params.monitoring.max_coverage_80
    subject, days = _all_horizons(realised), _days_judged(realised)
    compared = {**levels, "sku_store": realised}
    found = []
    for nominal, level in ((n, level) for n in INTERVALS for level in LEVELS if level in compared):
        row = compared[level].coverage(nominal).iloc[0]
        share, points = float(row["coverage"]), int(row["points"])
        metric, where = f"coverage_{nominal}", ("level", level)
        if days < MIN_DAYS or math.isnan(share):
            found.append(_few_days(metric, subject, where, days, _words(level)))
            continue
        judged = nominal == 80 and points >= MIN_POINTS
        spread = compared[level].coverage_interval(nominal) if judged else None
        broken = spread is not None and (spread.low > high or spread.high < low)
        limits = f", expected {percent(low)} to {percent(high)}" if judged else ""
        words = (
            f"{percent(share)} of {points:,} forecasts of level {_words(level)} held by their "
            f"{nominal} % interval{limits}"
        )
        limit = (high if share > high else low) if judged else None
        found.append(
            held_against(
                metric, subject, words, share, limit, raised=broken, segment=where, rows=points,
                excess=max(low - share, share - high, 0.0) if judged else 0.0,
            )
        )  # fmt: skip
    return found


def _errors(
    realised: Realised, levels: Mapping[str, Compared], segments: NDArray[np.object_]
) -> list[Finding]:
    """WAPE by segment, level and horizon: shown and compared from day to day, not judged."""
    tables = [("segment", realised.errors(segments, horizons=HORIZONS))]
    for level, compared in {"sku_store": realised, **levels}.items():
        tables.append(("level", compared.errors(horizons=HORIZONS).assign(group=level)))
    found = []
    for column, table in tables:
        for row in table[table["horizon"] > 0].to_dict("records"):
            group, subject, wape = str(row["group"]), f"J+{row['horizon']}", float(row["wape"])
            name = f"{group} series" if column == "segment" else f"level {_words(group)}"
            known = math.isfinite(wape)
            unknown = f"not enough days yet: no sales to compare forecasts at {subject} of {name} with"
            found.append(
                Finding(
                    metric="wape",
                    subject=subject,
                    segment=(column, group),
                    state=State.OK if known else State.NOT_ENOUGH_DATA,
                    value=wape if known else None,
                    rows=int(row["points"]),
                    message=f"WAPE at {subject} of {name} is {_percent(wape)}" if known else unknown,
                )
            )
    return found


def _few_days(metric: str, subject: str, where: Segment, days: int, whom: str) -> Finding:
    words = f" for {whom}: {days} with forecasts at {subject} and sales, {MIN_DAYS} are needed"
    return _not_yet(metric, subject, words, where)


def _ends(measured: Interval) -> tuple[float, float]:
    """Ends of an interval; without one (a single product) the value itself decides."""
    if math.isnan(measured.low):
        return measured.value, measured.value
    return measured.low, measured.high


def _days_judged(realised: Realised) -> int:
    """Days judged at the horizon that has the most."""
    return max(realised.days_judged(horizon) for horizon in range(1, realised.horizon_days + 1))


def _all_horizons(realised: Realised) -> str:
    return f"J+1..J+{realised.horizon_days}"


def _words(level: str) -> str:
    return LEVEL_WORDS[level] if level == "sku_store" else level


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


# ------------------------------------------------------------------------------------ today's forecasts


def _check_volume(data: DayData) -> Finding:
    """Hold the total against what the newest earlier forecasts said of the same days."""
    if data.against_previous is None:
        words = (
            "no forecasts of the week before for the same days"
            if data.national
            else "no forecasts of this day"
        )
        return _not_yet("volume", "total", f": {words}")
    words = f"the forecasts of {data.previous} for the same days"
    return _volume("volume", *data.against_previous, words, data.params, Severity.CRITICAL)


def _check_volume_against_sales(data: DayData) -> Finding:
    """Hold the total against the sales of the same weekdays in the weeks before."""
    if data.against_usual is None:
        words = "no weekday with reported sales" if data.national else "no forecasts of this day"
        return _not_yet("volume_sales", "total", f": {words}")
    usual = {day: data.usual.get(day.weekday()) for day in data.national}
    ratios = {day: data.national[day] / units - 1 for day, units in usual.items() if units}
    odd = sorted(ratios, key=lambda day: -abs(ratios[day]))[:2]
    listed = join([f"{day} {ratios[day]:+.0%}" for day in odd]).replace("%", " %")
    words = f"the sales of the same weekdays in the weeks before (most apart: {listed})"
    return _volume("volume_sales", *data.against_usual, words, data.params, Severity.WARNING)


def _volume(
    metric: str, change: float, days: int, against: str, params: DemandParams, severity: Severity
) -> Finding:
    limit = params.monitoring.max_volume_change
    moved = f"{_percent(abs(change))} {'above' if change >= 0 else 'below'}"
    words = f"the total of {days} days is {moved} {against}, limit {percent(limit)}"
    return held_against(
        metric, "total", words, change, limit if change >= 0 else -limit, raised=abs(change) > limit,
        severity=severity, rows=days, excess=max(abs(change) - limit, 0.0),
    )  # fmt: skip


def _check_series(rows: pa.Table, active: int | None, previous: pa.Table | None) -> Finding:
    """Whether every active series has its forecast, and whether many are gone since the last time.

    ``rows`` and ``previous`` have one row per series that was forecast, now and on the newest earlier day;
    ``active`` are the series in the profile of the day, None if it is not known.
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
    limit = float(active or 1) if incomplete or not shrunk else (1 - _MAX_LOSS) * before
    return held_against(
        "series", "forecasts", words, float(count), limit, raised=incomplete or shrunk,
        severity=Severity.CRITICAL if incomplete else Severity.WARNING,
        rows=count, excess=float(max(missing, 0)),
    )  # fmt: skip


def _check_fallbacks(rows: pa.Table, previous: pa.Table | None) -> Finding:
    """Share of series that no model could forecast, against the last time."""
    share, before = fallback_share(rows), None if previous is None else fallback_share(previous)
    if share is None:
        return _not_yet("fallbacks", "forecasts", ": no forecasts of this day")
    limit = None if before is None else max(2 * before, before + _FALLBACK_GROWTH)
    words = f"{_percent(share)} of the series have a fallback instead of a model"
    if before is not None:
        words += f", {_percent(before)} the last time"
    beyond = 0.0 if limit is None else max(share - limit, 0.0)
    return held_against(
        "fallbacks", "forecasts", words, share, limit, raised=beyond > 0, rows=rows.num_rows, excess=beyond
    )
