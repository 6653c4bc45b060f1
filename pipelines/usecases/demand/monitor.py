"""Demand, monitoring: past forecasts against what was sold since, and today's against yesterday's."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import date
from typing import Any

import pyarrow.compute as pc

from pipelines.io.lake import Lake
from pipelines.monitoring.alarms import Alarm, Sentence, raise_alarms
from pipelines.monitoring.findings import Finding
from pipelines.monitoring.schemas import ALL, State
from pipelines.monitoring.stored import read_findings, store_findings
from pipelines.settings import Settings
from pipelines.usecases.demand import checks, checks_volume
from pipelines.usecases.demand.contracts import USECASE
from pipelines.usecases.demand.dataset import PROFILE
from pipelines.usecases.demand.params import DemandParams
from pipelines.usecases.demand.realised import WINDOW_DAYS, read_realised
from pipelines.usecases.demand.realised_levels import read_levels
from pipelines.usecases.demand.recent import Recent, read_recent

log = logging.getLogger(__name__)

#: Days whose sales a weekday's usual volume is taken from.
VOLUME_DAYS = 28

#: What an alarm means for whom, and the first thing to do, by metric.
_WORDS = {
    "series": (
        "The order system has no forecast for the series that are missing: stores would order nothing of "
        "them, or by hand.",
        "If active series lack a forecast, run `millrace score demand` again: each must get one, if only a "
        "fallback. If series are gone, look for a lost delivery of products, stores or sales first "
        "(freshness on the control room page).",
    ),
    "volume": (
        "Planners would order far more or far less than yesterday for the same days, which new sales of one "
        "day can hardly justify.",
        "Look at *What changed since yesterday* on the demand page: one region or one promotion points to "
        "its delivery; a change everywhere to the last day's sales or to a new model version. If nothing "
        "explains it, let yesterday's forecasts serve again: `millrace rollback demand --published --why ...`.",
    ),
    "volume_sales": (
        "Planners see a fortnight that differs from the last weeks' sales: right before a holiday or a large "
        "promotion, wrong after a lost delivery.",
        "Check the calendar and promotions of the days that are named, then whether sales of the last days "
        "are complete (freshness on the control room page).",
    ),
    "fallbacks": (
        "More series than usual have no model behind their forecast: their orders rest on a simple rule.",
        "Group `predictions/demand_forecasts` of the day by `reason`: one reason points to what changed, for "
        "instance a lost delivery (series too short) or a failing model.",
    ),
    "mape": (
        "Planners order with an error larger than they were promised for these products: expect more "
        "overstock and stock-outs in them, and keep more safety stock until it is mended.",
        "Open the worst series on the demand page: if they share a promotion, a store or a day, mend that "
        "input; otherwise run `millrace train demand`, so that the models compete again.",
    ),
    "bias": (
        "Forecasts lean one way: orders made from them fill the shelves and the waste bins if they are too "
        "high, and empty the shelves if too low.",
        "See on the demand page which segment and stores lean; compare the promotions and prices they were "
        "forecast with to those that ran, then run `millrace train demand`.",
    ),
    "coverage_80": (
        "The prediction intervals are too narrow or too wide: safety stocks computed from them are too small "
        "or too large.",
        "Run `millrace train demand`, which calibrates the intervals on the newest origins; if it happens "
        "again, look for a level that differs on the coverage plot.",
    ),
}


def run(
    as_of: date, *, settings: Settings | None = None, params: DemandParams | None = None
) -> dict[str, Any]:
    """Check past and present forecasts as known at ``as_of`` and write ``ops/monitoring``.

    A repeated run replaces the day's rows. What cannot be judged yet is a finding of its own.

    Returns
    -------
    ``as_of``, ``model_version``, ``alarms`` (see :meth:`Alarm.as_dict`), the number of findings per state
    and of ``realised_days``; small enough for XCom.
    """
    settings, params = settings or Settings.load(), params or DemandParams.load_default()
    lake = Lake.of(settings)
    rows = checks_volume.forecast_series(lake, as_of)
    before = checks_volume.previous_day(lake, as_of)
    previous = checks_volume.forecast_series(lake, before) if before else None
    recent = read_recent(lake, as_of, VOLUME_DAYS)
    findings = [
        checks_volume.check_series(rows, None if recent is None else len(recent), previous),
        checks_volume.check_fallbacks(rows, previous),
        checks_volume.check_volume(lake, as_of, params),
        checks_volume.check_volume_against_sales(lake, as_of, recent, params),
    ]
    past, days = _past(lake, recent, params)
    findings += past
    version = pc.max(rows["model_version"]).as_py() if rows.num_rows else None
    alarms = _alarms(as_of, findings)
    store_findings(lake, USECASE, as_of, findings, model_version=version, alarms=alarms)
    for alarm in alarms:
        log.warning("%s alarm, %s. %s", alarm.severity, alarm.title, alarm.first_step)
    return {
        "as_of": as_of.isoformat(),
        "model_version": version,
        "alarms": [alarm.as_dict() for alarm in alarms],
        "findings": {state.value: sum(f.state is state for f in findings) for state in State},
        "realised_days": days,
    }


def read_alarms(lake: Lake, as_of: date) -> list[Alarm]:
    """Word the alarms of a monitored day again, from the stored findings."""
    return _alarms(as_of, read_findings(lake, USECASE, as_of))


def _past(lake: Lake, recent: Recent | None, params: DemandParams) -> tuple[list[Finding], int]:
    """Findings about past forecasts, and the days with sales that they rest on."""
    if recent is None or not recent.has_sales:
        words = f"not enough days yet: {PROFILE} and its panel are not built, or no longer kept, for this day"
        return [Finding("mape", "J+7", State.NOT_ENOUGH_DATA, words)], 0
    realised = read_realised(lake, recent.last(WINDOW_DAYS), horizon_days=params.horizon_days)
    if realised is None:
        words = f"not enough days yet: no forecast was made of the {WINDOW_DAYS} days before"
        return [Finding("mape", "J+7", State.NOT_ENOUGH_DATA, words)], 0
    levels = read_levels(lake, realised)
    findings = [
        *checks.check_targets(realised, params),
        *checks.check_bias(realised, params),
        *checks.check_coverage(realised, levels, params),
        *checks.check_errors(realised, levels),
    ]
    return findings, realised.days_judged(1)


def _alarms(as_of: date, findings: Sequence[Finding]) -> list[Alarm]:
    return raise_alarms(USECASE, as_of, findings, _WORDS, _phrase)


def _phrase(speaker: Finding, raised: Sequence[Finding], of_metric: Sequence[Finding]) -> Sentence:
    """The finding that speaks, and the others that raised the alarm too."""
    others = [f for f in raised if f is not speaker]
    if not others:
        return Sentence(speaker.message, speaker.segment_name)
    listed = ", ".join(
        f"{f.segment[1]} {100 * (f.value or 0):.0f} %"
        for f in sorted(others, key=lambda f: (-f.excess, f.segment))
    )
    worst = max(raised, key=lambda f: (f.segment_name != ALL, f.excess))
    return Sentence(f"{speaker.message}; also {listed}", worst.segment_name)
