"""How good the forecasts of the last two weeks were, and where they were worst."""

from __future__ import annotations

from dataclasses import dataclass
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
from pipelines.reporting.sections import newest_day
from pipelines.usecases.demand import plots
from pipelines.usecases.demand.checks import MIN_DAYS, TARGET_HORIZON
from pipelines.usecases.demand.day import DayData
from pipelines.usecases.demand.realised import WINDOW_DAYS, Realised
from pipelines.usecases.demand.schemas import COVERAGE, HORIZONS, INTERVALS, LEVEL_WORDS, SEGMENTS

_STORES_SHOWN = 8
_DAYS_SHOWN = 60

#: Series with the largest errors that are listed.
_WORST = 20
_COVERAGE_LEVELS = ("national", "store", "sku_store")


@dataclass(frozen=True)
class Accuracy:
    """Errors, bias and coverage as figures.

    Attributes
    ----------
    days
        Days with sales that the figures of the last days rest on; 0 if only the backtest is shown.
    strangers
        Series that were forecast then and are not any more; they are left out.
    summary
        By segment: MAPE at J+7 of the last days and of the backtest, target, series.
    """

    days: int
    strangers: int
    summary: list[dict[str, Any]]
    by_segment: list[Figure]
    others: list[Figure]


def accuracy(data: DayData) -> Accuracy | Missing:
    """Figures of realised errors beside those of the backtest."""
    realised = data.realised
    judged = 0 if realised is None else realised.days_judged(1)
    if judged < MIN_DAYS and data.series.empty:
        return Missing(
            f"Not enough days yet: {judged} with forecasts and sales, {MIN_DAYS} are needed; and no model was "
            "trained.",
            f"millrace train demand --as-of {data.as_of}",
        )
    known = realised if judged >= MIN_DAYS else None
    summary, figures = _by_segment(data, known)
    others = [] if known is None else _realised_figures(data, known)
    others += _coverage(data, known)
    history = _from_day_to_day(data)
    return Accuracy(
        days=judged if known else 0,
        strangers=0 if realised is None else realised.strangers,
        summary=summary,
        by_segment=figures,
        others=[*others, *([history] if history else [])],
    )


def _by_segment(data: DayData, realised: Realised | None) -> tuple[list[dict[str, Any]], list[Figure]]:
    horizon_days, least = data.params.horizon_days, data.params.monitoring.min_units
    backtest = _backtest(data, least)
    summary, figures = [], []
    errors = pd.DataFrame()
    if realised is not None:
        profile = realised.recent.profile
        fast = profile["mean_quantity"].to_numpy() >= least
        segments = profile["segment"].to_numpy()
        if fast.any():
            errors = realised.errors(segments, rows=fast, horizons=range(1, horizon_days + 1))
    for segment in SEGMENTS:
        target: float = getattr(data.params.targets, segment)
        own = errors[errors["group"] == segment] if len(errors) else errors
        by_horizon = _line(own, "mape", horizon_days) if len(own) else np.full(horizon_days, np.nan)
        by_horizon[~_judgeable(realised, horizon_days)] = np.nan
        past = backtest.get(segment, {})
        if np.isnan(by_horizon).all() and not past:
            continue
        count = int(own["series"].max()) if len(own) else _fast_series(data, segment, least)
        now = by_horizon[TARGET_HORIZON - 1] if horizon_days >= TARGET_HORIZON else np.nan
        summary.append(
            {
                "segment": segment,
                "now": float(now),
                "backtest": past.get(TARGET_HORIZON, float("nan")),
                "target": target,
                "series": count,
                "kept": bool(now <= target) if not np.isnan(now) else None,
            }
        )
        figures.append(
            plots.error_by_horizon(
                segment, by_horizon, past, target=target, target_horizon=TARGET_HORIZON, series=count
            )
        )
    return summary, figures


def _judgeable(realised: Realised | None, horizon_days: int) -> NDArray[np.bool_]:
    """Horizons with enough days to tell anything, shape (horizon_days,)."""
    if realised is None:
        return np.zeros(horizon_days, dtype=bool)
    days = [realised.days_judged(horizon) for horizon in range(1, horizon_days + 1)]
    return np.array(days) >= MIN_DAYS


def _backtest(data: DayData, least: float) -> dict[str, dict[int, float]]:
    """MAPE of the training run's backtest by segment and horizon, of series that sell enough."""
    if data.series.empty:
        return {}
    fast = data.series[data.series["mean_quantity"] >= least]
    columns = {horizon: f"mape_j{horizon}" for horizon in HORIZONS}
    means = fast.groupby("segment")[list(columns.values())].mean()
    return {
        str(segment): {h: float(row[name]) for h, name in columns.items() if not np.isnan(row[name])}
        for segment, row in means.iterrows()
    }


def _fast_series(data: DayData, segment: str, least: float) -> int:
    return int(((data.series["segment"] == segment) & (data.series["mean_quantity"] >= least)).sum())


def _realised_figures(data: DayData, realised: Realised) -> list[Figure]:
    enough = _judgeable(realised, data.params.horizon_days)
    horizons = [h for h in HORIZONS if h <= data.params.horizon_days and enough[h - 1]]
    tables = {
        "sku_store": realised.errors(horizons=horizons),
        **{name: level.errors(horizons=horizons) for name, level in data.levels.items()},
    }
    levels = [level for level in LEVEL_WORDS if level in tables]

    def at(horizon: int) -> Array:
        return np.array([_at(tables[level], "wape", horizon) for level in levels])

    profile = realised.recent.profile
    table = realised.errors(profile["segment"].to_numpy(), horizons=horizons)
    segments = [segment for segment in SEGMENTS if (table["group"] == segment).any()]
    biases = {
        horizon: np.array([_at(table[table["group"] == segment], "bias", horizon) for segment in segments])
        for horizon in horizons
    }
    limit = data.params.monitoring.max_bias
    return [
        plots.error_by_level([LEVEL_WORDS[level] for level in levels], {h: at(h) for h in horizons}),
        plots.bias_by_segment(segments, biases, limit=limit),
        _store_bias(data, realised, limit),
    ]


def _store_bias(data: DayData, realised: Realised, limit: float) -> Figure:
    table = realised.errors(realised.recent.profile["store_id"].to_numpy().astype(np.str_))
    table = table[np.isfinite(table["bias"])].sort_values("bias", ascending=False)
    ends = pd.concat([table.head(_STORES_SHOWN), table.tail(_STORES_SHOWN)]).drop_duplicates("group")
    labels = [data.names.store_with_id(str(store)) for store in ends["group"]]
    return plots.bias_by_store(labels, ends["bias"].to_numpy(), limit=limit, of=len(table))


def _coverage(data: DayData, realised: Realised | None) -> list[Figure]:
    horizons = range(1, data.params.horizon_days + 1)
    day = newest_day(data.lake, COVERAGE, data.as_of)
    where = on_day(day or data.as_of)
    stored: pd.DataFrame = data.lake.read(COVERAGE, where=where, missing_ok=True).to_pandas()
    limits = data.params.monitoring
    figures = []
    for nominal in INTERVALS:
        now: dict[str, Array] = {}
        if realised is not None:
            for level in _COVERAGE_LEVELS:
                if level == "sku_store":
                    table = realised.coverage(nominal, horizons=horizons)
                elif level in data.levels:
                    table = data.levels[level].coverage(nominal, horizons=horizons)
                else:
                    continue
                line = _line(table, "coverage", len(horizons))
                line[~_judgeable(realised, len(horizons))] = np.nan
                now[LEVEL_WORDS[level]] = line
        own = stored[stored["nominal"] == nominal]
        past = {
            LEVEL_WORDS[level]: _line(own[own["level"] == level], "coverage", len(horizons))
            for level in _COVERAGE_LEVELS
            if (own["level"] == level).any()
        }
        if now or past:
            bounds = (limits.min_coverage_80, limits.max_coverage_80) if nominal == 80 else None
            figures.append(plots.coverage(nominal, now, past, bounds))
    return figures


def _from_day_to_day(data: DayData) -> Figure | None:
    """What monitoring stored each day; None before the second one."""
    field = pa_dataset.field
    where = (
        (field("usecase") == data.run.usecase)
        & (field("metric") == "mape")
        & (field("segment_column") == "segment")
        & until_day(data.as_of)
        & (field("as_of") > data.as_of - timedelta(days=_DAYS_SHOWN))
    )
    columns = ["as_of", "segment", "value"]
    rows: pd.DataFrame = data.lake.read(MONITORING, columns=columns, where=where, missing_ok=True).to_pandas()
    rows = rows[rows["value"].notna()]
    if rows["as_of"].nunique() < 2:
        return None
    wide = rows.pivot_table(index="as_of", columns="segment", values="value")
    segments = [segment for segment in SEGMENTS if segment in wide]
    return plots.error_from_day_to_day(
        list(wide.index),
        {segment: wide[segment].to_numpy(dtype=np.float64) for segment in segments},
        {segment: getattr(data.params.targets, segment) for segment in segments},
        TARGET_HORIZON,
    )


def _at(table: pd.DataFrame, metric: str, horizon: int) -> float:
    row = table[table["horizon"] == horizon]
    return float(row[metric].iloc[0]) if len(row) else float("nan")


def _line(table: pd.DataFrame, metric: str, horizons: int) -> Array:
    found: NDArray[np.float64] = np.full(horizons, np.nan)
    rows = table[(table["horizon"] > 0) & (table["horizon"] <= horizons)]
    found[rows["horizon"].to_numpy(dtype=np.intp) - 1] = rows[metric].to_numpy(dtype=np.float64)
    return found


# ---------------------------------------------------------------------------------- the worst products


@dataclass(frozen=True)
class Worst:
    """Series with the largest errors in units.

    Attributes
    ----------
    rows
        Their rows of the profile, worst first.
    """

    series: list[dict[str, Any]]
    rows: list[int]


def worst_series(data: DayData) -> Worst | Missing:
    """Series that lost the most units in the last days, with how they did in the backtest."""
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
    trained = _trained(data)
    rows = [
        _worst_row(data, realised, int(row), float(lost[row]), whole.loc[row], week.loc[row], trained)
        for row in top
    ]
    return Worst(rows, top.tolist())


def _trained(data: DayData) -> pd.DataFrame:
    if data.series.empty:
        return data.series
    return data.series.set_index(["store_id", "sku_id"])


def _worst_row(
    data: DayData,
    realised: Realised,
    row: int,
    lost: float,
    whole: pd.Series,
    week: pd.Series,
    trained: pd.DataFrame,
) -> dict[str, Any]:
    profile = realised.recent.profile.iloc[row]
    store, sku = str(profile["store_id"]), str(profile["sku_id"])
    known = (store, sku) in trained.index if len(trained) else False
    return {
        "choice": f"{store}/{sku}",
        "store": data.names.store_with_id(store),
        "sku": sku,
        "product": data.names.product(sku),
        "segment": str(profile["segment"]),
        "model": str(trained.loc[(store, sku), "model"]) if known else None,
        "mean": float(profile["mean_quantity"]),
        "lost": lost / max(int(realised.judged[row].any(axis=1).sum()), 1),
        "mape": float(week["mape"]),
        "wape": float(week["wape"]),
        "bias": float(whole["bias"]),
        "backtest": trained[f"wape_j{TARGET_HORIZON}"].get((store, sku)) if known else None,
        "notes": _notes(realised, row),
    }


def _notes(realised: Realised, row: int) -> str:
    """What was special in the days judged."""
    recent = realised.recent
    found = []
    promoted, out = int((recent.promo[row] > 0).sum()), int(recent.stockout[row].sum())
    if promoted:
        found.append(f"{promoted} of {WINDOW_DAYS} days in promotion")
    if out:
        found.append(f"{out} out of stock")
    return "; ".join(found)
