"""How good the forecasts of the last two weeks were, and where they were worst."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.dataset as pa_dataset
from numpy.typing import NDArray

from pipelines.io.lake import on_day, until_day
from pipelines.monitoring.schemas import MONITORING
from pipelines.reporting.figure import Array, Figure
from pipelines.reporting.page import Missing
from pipelines.usecases.demand import plots
from pipelines.usecases.demand.day import WINDOW_DAYS, DayData, Realised
from pipelines.usecases.demand.schemas import (
    COVERAGE,
    HORIZONS,
    INTERVALS,
    LEVEL_WORDS,
    MIN_DAYS,
    SEGMENTS,
    TARGET_HORIZON,
)

_STORES_SHOWN = 8
_DAYS_SHOWN = 60

#: Series with the largest errors that are listed.
_WORST = 20
_COVERAGE_LEVELS = ("national", "store", "sku_store")


def accuracy(data: DayData) -> dict[str, Any] | Missing:
    """Figures of realised errors beside those of the backtest.

    Returns ``days`` with sales that the figures of the last days rest on, 0 if only the backtest is shown;
    ``strangers``, series that were forecast then and are not any more, which are left out; ``summary``, by
    segment the MAPE at J+7 of the last days and of the backtest, target and series; the figures
    ``by_segment`` and ``others``.
    """
    realised = data.realised
    judged = 0 if realised is None else realised.days_judged(1)
    if judged < MIN_DAYS and data.series.empty:
        return Missing(
            f"Not enough days yet: {judged} with forecasts and sales, {MIN_DAYS} are needed; and no model was "
            "trained.",
            data.run.command("train"),
        )
    known = realised if judged >= MIN_DAYS else None
    summary, by_segment = _by_segment(data, known)
    others = [] if known is None else _realised_figures(data, known)
    return {
        "days": judged if known else 0,
        "strangers": 0 if realised is None else realised.strangers,
        "summary": summary,
        "by_segment": by_segment,
        "others": [*others, *_coverage_figures(data, known), *_from_day_to_day(data)],
    }


def _by_segment(data: DayData, realised: Realised | None) -> tuple[list[dict[str, Any]], list[Figure]]:
    horizon_days, least = data.params.horizon_days, data.params.monitoring.min_units
    selling = data.series[data.series["mean_quantity"] >= least]
    summary, figures = [], []
    errors = pd.DataFrame()
    if realised is not None:
        profile = realised.recent.profile
        fast = profile["mean_quantity"].to_numpy() >= least
        if fast.any():
            horizons = range(1, horizon_days + 1)
            errors = realised.errors(profile["segment"].to_numpy(), rows=fast, horizons=horizons)
    for segment in SEGMENTS:
        target: float = getattr(data.params.targets, segment)
        own = errors[errors["group"] == segment] if len(errors) else errors
        by_horizon = _line(own, "mape", horizon_days) if len(own) else np.full(horizon_days, np.nan)
        by_horizon[~_judgeable(realised, horizon_days)] = np.nan
        trained = selling[selling["segment"] == segment]
        backtest = {h: float(trained[f"mape_j{h}"].mean()) for h in HORIZONS}
        backtest = {horizon: error for horizon, error in backtest.items() if not np.isnan(error)}
        if np.isnan(by_horizon).all() and not backtest:
            continue
        series = int(own["series"].max()) if len(own) else len(trained)
        now = by_horizon[TARGET_HORIZON - 1] if horizon_days >= TARGET_HORIZON else np.nan
        summary.append(
            {
                "segment": segment,
                "now": float(now),
                "backtest": backtest.get(TARGET_HORIZON, float("nan")),
                "target": target,
                "series": series,
                "kept": bool(now <= target) if not np.isnan(now) else None,
            }
        )
        figures.append(plots.error_by_horizon(segment, by_horizon, backtest, target=target, series=series))
    return summary, figures


def _judgeable(realised: Realised | None, horizon_days: int) -> NDArray[np.bool_]:
    """Horizons with enough days to tell anything, shape (horizon_days,)."""
    if realised is None:
        return np.zeros(horizon_days, dtype=bool)
    days = [realised.days_judged(horizon) for horizon in range(1, horizon_days + 1)]
    return np.array(days) >= MIN_DAYS


def _realised_figures(data: DayData, realised: Realised) -> list[Figure]:
    enough = _judgeable(realised, data.params.horizon_days)
    horizons = [h for h in HORIZONS if h <= data.params.horizon_days and enough[h - 1]]
    compared = {**data.levels, "sku_store": realised}
    tables = {
        words: compared[level].errors(horizons=horizons)
        for level, words in LEVEL_WORDS.items()
        if level in compared
    }
    errors = {h: np.array([_at(table, "wape", h) for table in tables.values()]) for h in horizons}
    table = realised.errors(realised.recent.profile["segment"].to_numpy(), horizons=horizons)
    segments = {segment: table[table["group"] == segment] for segment in SEGMENTS}
    segments = {segment: own for segment, own in segments.items() if len(own)}
    biases = {h: np.array([_at(own, "bias", h) for own in segments.values()]) for h in horizons}
    limit = data.params.monitoring.max_bias
    return [
        plots.error_by_level(list(tables), errors),
        plots.bias_by_segment(list(segments), biases, limit=limit),
        _store_bias(data, realised, limit),
    ]


def _store_bias(data: DayData, realised: Realised, limit: float) -> Figure:
    table = realised.errors(realised.recent.profile["store_id"].to_numpy().astype(np.str_))
    table = table[np.isfinite(table["bias"])].sort_values("bias", ascending=False)
    ends = pd.concat([table.head(_STORES_SHOWN), table.tail(_STORES_SHOWN)]).drop_duplicates("group")
    labels = [data.names.store_with_id(str(store)) for store in ends["group"]]
    return plots.bias_by_store(labels, ends["bias"].to_numpy(), limit=limit, of=len(table))


def _coverage_figures(data: DayData, realised: Realised | None) -> list[Figure]:
    horizon_days, limits = data.params.horizon_days, data.params.monitoring
    day = data.lake.newest_day(COVERAGE, data.as_of)
    stored = data.lake.read(COVERAGE, where=on_day(day or data.as_of), missing_ok=True).to_pandas()
    compared = {} if realised is None else {**data.levels, "sku_store": realised}
    figures = []
    for nominal in INTERVALS:
        now: dict[str, Array] = {}
        past: dict[str, Array] = {}
        for level in _COVERAGE_LEVELS:
            if level in compared:
                table = compared[level].coverage(nominal, horizons=range(1, horizon_days + 1))
                now[LEVEL_WORDS[level]] = line = _line(table, "coverage", horizon_days)
                line[~_judgeable(realised, horizon_days)] = np.nan
            own = stored[(stored["nominal"] == nominal) & (stored["level"] == level)]
            if len(own):
                past[LEVEL_WORDS[level]] = _line(own, "coverage", horizon_days)
        if now or past:
            bounds = (limits.min_coverage_80, limits.max_coverage_80) if nominal == 80 else None
            figures.append(plots.coverage(nominal, now, past, bounds))
    return figures


def _from_day_to_day(data: DayData) -> list[Figure]:
    """What monitoring stored each day; nothing before the second one."""
    field = pa_dataset.field
    where = (
        (field("usecase") == data.run.usecase)
        & (field("metric") == "mape")
        & (field("segment_column") == "segment")
        & until_day(data.as_of)
        & (field("as_of") > data.as_of - timedelta(days=_DAYS_SHOWN))
    )
    columns = ["as_of", "segment", "value"]
    rows = data.lake.read(MONITORING, columns=columns, where=where, missing_ok=True).to_pandas()
    wide = rows.dropna(subset="value").pivot_table(index="as_of", columns="segment", values="value")
    if len(wide) < 2:
        return []
    errors = {segment: wide[segment].to_numpy(dtype=np.float64) for segment in SEGMENTS if segment in wide}
    targets = {segment: getattr(data.params.targets, segment) for segment in errors}
    return [plots.error_from_day_to_day(list(wide.index), errors, targets)]


def _at(table: pd.DataFrame, metric: str, horizon: int) -> float:
    row = table[table["horizon"] == horizon]
    return float(row[metric].iloc[0]) if len(row) else float("nan")


def _line(table: pd.DataFrame, metric: str, horizons: int) -> Array:
    found: NDArray[np.float64] = np.full(horizons, np.nan)
    rows = table[(table["horizon"] > 0) & (table["horizon"] <= horizons)]
    found[rows["horizon"].to_numpy(dtype=np.intp) - 1] = rows[metric].to_numpy(dtype=np.float64)
    return found


# ---------------------------------------------------------------------------------- the worst products


def worst_series(data: DayData) -> dict[str, Any] | Missing:
    """Series that lost the most units in the last days, with how they did in the backtest.

    Returns ``series``, rows of the table, worst first, and ``rows``, their rows of the profile.
    """
    realised = data.realised
    if realised is None or realised.days_judged(1) < MIN_DAYS:
        return Missing(f"Not enough days yet: {MIN_DAYS} with forecasts and sales are needed.")
    table = realised.errors(np.arange(len(realised.recent)), horizons=(TARGET_HORIZON,))
    whole = table[table["horizon"] == 0].set_index("group")
    week = table[table["horizon"] == TARGET_HORIZON].set_index("group")
    sold = np.nansum(np.where(realised.judged, realised.actual, 0), axis=(1, 2), dtype=np.float64)
    lost = np.nan_to_num(whole["wape"].to_numpy()) * sold / realised.horizon_days
    top = np.argsort(-lost, kind="stable")[:_WORST]
    top = top[lost[top] > 0]
    days = np.maximum(realised.judged.any(axis=2).sum(axis=1), 1)
    trained = data.series.set_index(["store_id", "sku_id"]).to_dict("index") if len(data.series) else {}
    found = []
    for row in top.tolist():
        profile = realised.recent.profile.iloc[row]
        past = trained.get((profile["store_id"], profile["sku_id"]), {})
        found.append(
            {
                **data.described(row),
                "segment": str(profile["segment"]),
                "model": past.get("model"),
                "mean": float(profile["mean_quantity"]),
                "lost": lost[row] / days[row],
                "mape": float(week["mape"][row]),
                "wape": float(week["wape"][row]),
                "bias": float(whole["bias"][row]),
                "backtest": past.get(f"wape_j{TARGET_HORIZON}"),
                "notes": _notes(realised, row),
            }
        )
    return {"series": found, "rows": top.tolist()}


def _notes(realised: Realised, row: int) -> str:
    """What was special in the days judged."""
    recent = realised.recent
    promoted, out = int((recent.promo[row] > 0).sum()), int(recent.stockout[row].sum())
    found = [f"{promoted} of {WINDOW_DAYS} days in promotion"] if promoted else []
    return "; ".join([*found, *([f"{out} out of stock"] if out else [])])
