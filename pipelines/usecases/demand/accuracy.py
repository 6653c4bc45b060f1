"""How good the forecasts of the last two weeks were, and where they were worst, with the figures that show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pyarrow.dataset as pa_dataset
from numpy.typing import NDArray

from pipelines.io.lake import on_day, until_day
from pipelines.monitoring.schemas import MONITORING
from pipelines.reporting.figure import (
    LIMIT_COLOUR,
    MAIN_COLOUR,
    PALETTE,
    QUIET_COLOUR,
    Array,
    Figure,
    new_plot,
    plain,
)
from pipelines.reporting.page import Missing
from pipelines.reporting.sections import newest_day
from pipelines.reporting.words import count, number, percent
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

#: From near to far horizons; visible on light and dark grounds.
_BARS = ("#9cc3f0", "#4f8fdc", "#2c66b0")
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")


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
        figures.append(error_by_horizon(segment, by_horizon, backtest, target=target, series=series))
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
        error_by_level(list(tables), errors),
        bias_by_segment(list(segments), biases, limit=limit),
        _store_bias(data, realised, limit),
    ]


def _store_bias(data: DayData, realised: Realised, limit: float) -> Figure:
    table = realised.errors(realised.recent.profile["store_id"].to_numpy().astype(np.str_))
    table = table[np.isfinite(table["bias"])].sort_values("bias", ascending=False)
    ends = pd.concat([table.head(_STORES_SHOWN), table.tail(_STORES_SHOWN)]).drop_duplicates("group")
    labels = [data.names.store_with_id(str(store)) for store in ends["group"]]
    return bias_by_store(labels, ends["bias"].to_numpy(), limit=limit, of=len(table))


def _coverage_figures(data: DayData, realised: Realised | None) -> list[Figure]:
    horizon_days, limits = data.params.horizon_days, data.params.monitoring
    day = newest_day(data.lake, COVERAGE, data.as_of)
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
            figures.append(coverage(nominal, now, past, bounds))
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
    return [error_from_day_to_day(list(wide.index), errors, targets)]


def _at(table: pd.DataFrame, metric: str, horizon: int) -> float:
    row = table[table["horizon"] == horizon]
    return float(row[metric].iloc[0]) if len(row) else float("nan")


def _line(table: pd.DataFrame, metric: str, horizons: int) -> Array:
    found: NDArray[np.float64] = np.full(horizons, np.nan)
    rows = table[(table["horizon"] > 0) & (table["horizon"] <= horizons)]
    found[rows["horizon"].to_numpy(dtype=np.intp) - 1] = rows[metric].to_numpy(dtype=np.float64)
    return found


# -------------------------------------------------------------------------------------------- figures


def error_by_horizon(
    segment: str, realised: Array, backtest: Mapping[int, float], *, target: float, series: int
) -> Figure:
    """MAPE by days ahead of one segment against what was promised at J+7.

    ``realised`` is that of the last days, shape (H,), NaN where there is none yet, and rests on so many
    ``series``; ``backtest`` that of the last backtest by horizon.
    """
    figure = new_plot("Days ahead", "MAPE")
    figure.add_scatter(
        x=list(range(1, len(realised) + 1)), y=plain(realised), mode="lines+markers", name="last days",
        line={"color": MAIN_COLOUR, "width": 2.6}, marker={"size": 6},
        hovertemplate="J+%{x}: %{y:.1%}<extra>last days</extra>",
    )  # fmt: skip
    figure.add_scatter(
        x=list(backtest), y=plain(np.array(list(backtest.values()), dtype=np.float64)), mode="markers",
        name="backtest", marker={"color": QUIET_COLOUR, "symbol": "diamond-open", "size": 9,
                                 "line": {"width": 2}},
        hovertemplate="J+%{x}: %{y:.1%}<extra>backtest</extra>",
    )  # fmt: skip
    figure.add_hline(y=target, line={"color": LIMIT_COLOUR, "dash": "dash", "width": 1.5})
    figure.add_annotation(
        x=1, xanchor="right", xref="paper", y=target, yanchor="bottom", showarrow=False,
        text=f"target at J+{TARGET_HORIZON}: {percent(target)}", font={"color": LIMIT_COLOUR, "size": 12},
    )  # fmt: skip
    top = np.nanmax([target, *realised[~np.isnan(realised)], *backtest.values()])
    figure.update_layout(
        height=290,
        yaxis={"range": [0, 1.15 * float(top)], "tickformat": ".0%"},
        xaxis={"dtick": 2, "range": [0.5, len(realised) + 0.5]},
    )
    now = realised[TARGET_HORIZON - 1] if len(realised) >= TARGET_HORIZON else np.nan
    told = (
        f"{percent(float(now), 1)} at J+{TARGET_HORIZON} over the last days"
        if not np.isnan(now)
        else f"Not enough days yet at J+{TARGET_HORIZON}"
    )
    caption = f"{told}; {count(series, 'series sells', 'series sell')} enough to be promised an error."
    return Figure(f"error-{segment}", segment.capitalize(), caption, figure)


def error_by_level(levels: Sequence[str], errors: Mapping[int, Array]) -> Figure:
    """WAPE by level of the hierarchy, one bar per horizon; NaN where unknown."""
    figure = _bars_by_horizon("WAPE", levels, errors, ".0%", ".1%")
    caption = (
        "Sum of absolute errors over sum of sales. Errors of single products cancel in the sums, so each level "
        "is easier than the one below it."
    )
    return Figure("error-by-level", "Error by level", caption, figure)


def bias_by_segment(segments: Sequence[str], biases: Mapping[int, Array], *, limit: float) -> Figure:
    """Bias by segment, one bar per horizon, between the limits of the alarm."""
    figure = _bars_by_horizon("Forecast over sales minus one", segments, biases, "+.0%", "+.1%")
    for side in (-limit, limit):
        figure.add_hline(y=side, line={"color": LIMIT_COLOUR, "dash": "dash", "width": 1.2})
    figure.add_hline(y=0, line={"color": QUIET_COLOUR, "width": 1})
    caption = (
        f"Above zero, forecasts were too high and shelves too full; below, too low. An alarm is raised beyond "
        f"{percent(limit)} either way."
    )
    return Figure("bias-by-segment", "Bias by segment", caption, figure)


def _bars_by_horizon(
    title: str, groups: Sequence[str], values: Mapping[int, Array], tick: str, hover: str
) -> go.Figure:
    figure = new_plot("", title)
    for place, (horizon, heights) in enumerate(values.items()):
        figure.add_bar(
            x=list(groups), y=plain(heights), name=f"J+{horizon}", showlegend=True,
            marker={"color": _BARS[place % len(_BARS)]},
            hovertemplate="%{x}, J+" + f"{horizon}: %{{y:{hover}}}<extra></extra>",
        )  # fmt: skip
    figure.update_layout(barmode="group", bargap=0.3, yaxis_tickformat=tick, xaxis={"type": "category"})
    return figure


def bias_by_store(labels: Sequence[str], biases: Array, *, limit: float, of: int) -> Figure:
    """Bias of the stores that lean most, one bar each, from too high to too low."""
    figure = new_plot("Forecast over sales minus one", "")
    figure.add_bar(
        x=plain(biases), y=list(labels), orientation="h", showlegend=False,
        marker={"color": [PALETTE[0] if value > 0 else PALETTE[1] for value in biases.tolist()]},
        hovertemplate="%{y}: %{x:+.1%}<extra></extra>",
    )  # fmt: skip
    for side in (-limit, limit):
        figure.add_vline(x=side, line={"color": LIMIT_COLOUR, "dash": "dash", "width": 1.2})
    figure.update_layout(
        height=max(290, 110 + 20 * len(labels)),
        xaxis_tickformat="+.0%",
        yaxis={"autorange": "reversed", "type": "category"},
        bargap=0.35,
    )
    caption = (
        f"The stores that lean most, of {number(of)}: blue orders too much, orange too little. All products and "
        "horizons together."
    )
    return Figure("bias-by-store", "Bias by store", caption, figure)


def coverage(
    nominal: int,
    realised: Mapping[str, Array],
    backtest: Mapping[str, Array],
    bounds: tuple[float, float] | None,
) -> Figure:
    """Measured coverage by days ahead, one line of shape (H,) per level; either kind may be empty.

    ``bounds`` are the limits of the alarm; none for an interval that is not judged.
    """
    figure = new_plot("Days ahead", "Share of days inside")
    for place, level in enumerate(dict.fromkeys([*realised, *backtest])):
        colour, dash = PALETTE[place % len(PALETTE)], _DASHES[place % len(_DASHES)]
        if level in realised:
            figure.add_scatter(
                x=list(range(1, len(realised[level]) + 1)), y=plain(realised[level]), mode="lines", name=level,
                line={"color": colour, "width": 2.2, "dash": dash},
                hovertemplate="J+%{x}: %{y:.1%}<extra>" + level + "</extra>",
            )  # fmt: skip
        if level in backtest:
            figure.add_scatter(
                x=list(range(1, len(backtest[level]) + 1)), y=plain(backtest[level]), mode="markers",
                name=level if level not in realised else f"{level}, backtest", showlegend=level not in realised,
                marker={"color": colour, "symbol": "diamond-open", "size": 8, "line": {"width": 2}},
                hovertemplate="J+%{x}: %{y:.1%}<extra>" + level + ", backtest</extra>",
            )  # fmt: skip
    figure.add_hline(y=nominal / 100, line={"color": QUIET_COLOUR, "width": 1.5})
    for bound in bounds or ():
        figure.add_hline(y=bound, line={"color": LIMIT_COLOUR, "dash": "dash", "width": 1.2})
    shown = np.concatenate([*realised.values(), *backtest.values(), [nominal / 100, *(bounds or ())]])
    figure.update_layout(
        height=340,
        yaxis={"tickformat": ".0%", "range": [max(0.0, float(np.nanmin(shown)) - 0.06), 1.01]},
        xaxis={"dtick": 2},
    )
    caption = (
        f"Of 100 days, {nominal} should lie inside: on the grey line the interval is honest, below it is too "
        "narrow and safety stocks are too small. Diamonds are the backtest."
    )
    return Figure(f"coverage-{nominal}", f"Coverage of the {nominal} % interval", caption, figure)


def error_from_day_to_day(
    days: Sequence[date], errors: Mapping[str, Array], targets: Mapping[str, float]
) -> Figure:
    """MAPE at J+7 of the two weeks before each day, one line per segment."""
    figure = new_plot("", f"MAPE at J+{TARGET_HORIZON}")
    for place, (segment, values) in enumerate(errors.items()):
        colour = PALETTE[place % len(PALETTE)]
        figure.add_scatter(
            x=[str(day) for day in days], y=plain(values), mode="lines+markers", name=segment,
            line={"color": colour, "width": 2, "dash": _DASHES[place % len(_DASHES)]}, marker={"size": 4},
            hovertemplate="%{x|%d %b}: %{y:.1%}<extra>" + segment + "</extra>",
        )  # fmt: skip
        figure.add_hline(y=targets[segment], line={"color": colour, "dash": "dot", "width": 1})
    figure.update_layout(
        yaxis={"tickformat": ".0%", "rangemode": "tozero"}, xaxis={"type": "date", "tickformat": "%d %b"}
    )
    caption = (
        "Each point looks at the two weeks before its day. Thin dotted lines are the targets, in the colour of "
        "their segment."
    )
    return Figure("error-by-day", "Error from day to day", caption, figure)


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
