"""Sections of the page: what planners need at eight, then what data scientists want to see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from models.forecasting.accuracy import sum_rows
from models.forecasting.levels import node_codes, nodes_of
from models.forecasting.panel import Matrix
from pipelines.io.lake import on_day
from pipelines.reporting.figure import Array
from pipelines.reporting.page import Missing
from pipelines.reporting.sections import scope_reasons
from pipelines.reporting.tables import Grid, GridColumn
from pipelines.reporting.words import change as change_words
from pipelines.reporting.words import number, percent, short_day
from pipelines.usecase import Run
from pipelines.usecases.demand import plots
from pipelines.usecases.demand.accuracy import accuracy, worst_series
from pipelines.usecases.demand.crossed import fortnight
from pipelines.usecases.demand.dataset import OUT_OF_SCOPE, Recent, dates
from pipelines.usecases.demand.day import DayData, fallback_share
from pipelines.usecases.demand.orders import order_files
from pipelines.usecases.demand.outlook import fan_chart
from pipelines.usecases.demand.params import DemandParams
from pipelines.usecases.demand.schemas import (
    BACKTEST,
    CERTIFICATES,
    LEVEL_WORDS,
    SCOPE_WORDS,
    TARGET_HORIZON,
    WEEKLY,
)

#: Series with a chart of their own because they changed or erred most.
_CHOSEN = 30
#: Stores and series whose forecast changed most that are listed.
_CHANGES_SHOWN = 12
#: Share by which a series' forecast must move to be counted.
_MOVED = 0.2
#: A sale this many times its forecast, or the other way round, may be why the next forecasts moved.
_SURPRISE = 1.5
#: Most series that the table of weeks holds; of more, the largest are shown.
MAX_SERIES = 2000
#: Largest part of a week's sales that may be estimated.
_MAX_ESTIMATED = 0.2
_LEVEL = "level:"

GRID = Grid(
    name="demand-weeks",
    caption="Units by week, largest node first: the sum of the series below a node; for plans, its share of the "
    "national forecast. Days not reported yet are taken as usual ones.",
    columns=(
        GridColumn("What", "two_lines", ("label", "line"), "30%"),
        GridColumn("Last 7 days sold", "units", ("sold",), "12%", "Sold"),
        GridColumn("Week 1", "units", ("week_1",), "11%"),
        GridColumn("Against the last 7 days", "change", ("change",), "12%", "Change"),
        GridColumn("Week 2", "units", ("week_2",), "11%"),
        GridColumn("Week 1, for plans", "units", ("plan_1",), "12%"),
        GridColumn("Week 2, for plans", "units", ("plan_2",), "12%"),
    ),
    filters={
        "level": ("Level", tuple(LEVEL_WORDS.values())),
        "region": ("Region", None),
        "category": ("Category", None),
    },
    search=("label", "line"),
    export={
        "level": "level",
        "node": "node",
        "label": "name",
        "region": "region",
        "category": "category",
        "sold": "sold_last_7_days",
        "week_1": "operational_week_1",
        "week_2": "operational_week_2",
        "plan_1": "strategic_week_1",
        "plan_2": "strategic_week_2",
    },
    hint="store, product, region",
)


def sections(run: Run[DemandParams]) -> Mapping[str, object]:
    """Everything that the template shows and the use case knows alone."""
    data = DayData(run)
    changed, worst = changes(data), worst_series(data)
    chosen = [section["rows"] for section in (changed, worst) if not isinstance(section, Missing)]
    return {
        "headline": headline(data),
        "fan": fan_chart(data, interesting_rows(chosen, _CHOSEN)),
        "changes": changed,
        "orders": order_files(run),
        "weeks": weeks(data),
        "grid": GRID,
        "fortnight": fortnight(data),
        "accuracy": accuracy(data),
        "worst": worst,
        "competition": competition(data),
        "default": run.params.backtest.default,
        "models": models_in_use(data),
        "out_of_scope": scope_reasons(data.lake, OUT_OF_SCOPE, data.as_of, SCOPE_WORDS),
    }


def interesting_rows(parts: Sequence[Sequence[int]], limit: int) -> list[int]:
    """Rows of several lists, taken in turns so that each is heard, without repetition."""
    longest = max((len(part) for part in parts), default=0)
    turns = [part[place] for place in range(longest) for part in parts if place < len(part)]
    return list(dict.fromkeys(turns))[:limit]


# ------------------------------------------------------------------------------------ headline, models


def headline(data: DayData) -> dict[str, Any] | Missing:
    """Figures of the day's forecasts, on top of the page.

    Among others ``tomorrow``, the first day's forecast with the ends of its 80 % interval; ``low`` and
    ``high``, sums of the ends of the daily intervals, which is wider than an interval of the sum;
    ``against_usual`` and ``against_previous``, total over that of the same weekdays of the last weeks and
    over that of the forecasts before for the same days, minus one, or None; ``coherent``, whether the
    forecasts have certificates and all are ok.
    """
    nation = data.aggregates[data.aggregates["level"] == "national"]
    if nation.empty or not data.served.num_rows:
        return Missing(f"There are no forecasts of {data.as_of}.", data.run.command("score"))
    first, recent = nation.iloc[0], data.recent
    reported = dates(recent.days[np.isfinite(recent.sold).any(axis=0)]) if recent is not None else []
    certificates = data.lake.read(CERTIFICATES, where=on_day(data.as_of), missing_ok=True).to_pylist()
    return {
        "model_version": data.served["model_version"][0].as_py(),
        "first": pd.Timestamp(first["ds"]).date(),
        "last": pd.Timestamp(nation["ds"].iloc[-1]).date(),
        "tomorrow": (float(first["operational"]), float(first["lower_80"]), float(first["upper_80"])),
        "total": float(nation["operational"].sum()),
        "low": float(nation["lower_80"].sum()),
        "high": float(nation["upper_80"].sum()),
        "against_usual": data.against_usual[0] if data.against_usual else None,
        "against_previous": data.against_previous[0] if data.against_previous else None,
        "previous": data.previous,
        "series": data.served.num_rows,
        "fallbacks": fallback_share(data.served) or 0.0,
        "sales_until": reported[-1] if reported else None,
        "certificates": certificates,
        "coherent": bool(certificates) and all(row["ok"] for row in certificates),
    }


def models_in_use(data: DayData) -> list[tuple[str, int, float]]:
    """Model, number of series and their share, most first, of the day's forecasts."""
    counted = pc.value_counts(data.served["model"]).to_pylist()
    total = max(data.served.num_rows, 1)
    rows = [(str(row["values"]), int(row["counts"]), row["counts"] / total) for row in counted]
    return sorted(rows, key=lambda row: (-row[1], row[0]))


def competition(data: DayData) -> dict[str, Any] | Missing:
    """The competition of the newest training run up to the day.

    Returns ``trained_for``, the day of the training run; ``cells``, one row per cell with the champion and
    the mission's model side by side; ``table``, by cell every model, best first.
    """
    day = data.lake.newest_day(BACKTEST, data.as_of)
    if day is None:
        return Missing("No models have competed yet.", data.run.command("train"))
    rows: pd.DataFrame = data.lake.read(BACKTEST, where=on_day(day)).to_pandas()
    week = rows[rows["horizon"] == TARGET_HORIZON].set_index(["cell", "model"])["mape"].rename("mape_j7")
    table = rows[rows["horizon"] == 0].join(week, on=["cell", "model"]).sort_values(["deviance", "model"])
    table = table.replace({np.nan: None})
    # Levels above the series come last.
    cells = sorted(table["cell"].unique(), key=lambda cell: (cell.startswith(_LEVEL), cell))
    by_cell = {_cell_words(cell): table[table["cell"] == cell].to_dict("records") for cell in cells}
    return {
        "trained_for": day,
        "cells": [_cell(cell, models) for cell, models in by_cell.items()],
        "table": by_cell,
    }


def _cell(cell: str, models: Sequence[Mapping[Any, Any]]) -> dict[str, Any]:
    champion = next((row for row in models if row["is_champion"]), models[0])
    return {
        "cell": cell,
        "champion": champion,
        "reference": next((row for row in models if row["is_mission_model"]), None),
        "naive": next((row for row in models if row["model"] == "seasonal_naive"), None),
        "series": champion["series"],
    }


def _cell_words(cell: str) -> str:
    if cell.startswith(_LEVEL):
        return f"{cell.removeprefix(_LEVEL)} (level)"
    return cell.replace("/", ", ")


# ---------------------------------------------------------------------------------------------- changes


def changes(data: DayData) -> dict[str, Any] | Missing:
    """Compare today's forecasts with those of the day before, for the days that both speak of.

    Returns the number of ``days``; ``words``, the whole in a sentence; ``figure``, the stores that changed
    most; ``series``, the largest changes as rows for the table, and ``rows``, their rows of the profile.
    """
    recent, previous = data.recent, data.previous
    if recent is None or previous is None or not data.served.num_rows:
        return Missing("There are no earlier forecasts to compare with.")
    before = data.forecasts_made_on(previous, ["operational"])["operational"]
    now = data.forecasts["operational"]
    both = np.isfinite(before) & np.isfinite(now)
    earlier, later = (np.where(both, part, 0).sum(axis=1, dtype=np.float64) for part in (before, now))
    change = later - earlier
    days = int(both.any(axis=0).sum())
    if not days:
        return Missing("The earlier forecasts speak of other days.")
    top = np.argsort(-np.abs(change), kind="stable")[:_CHANGES_SHOWN]
    top = top[change[top] != 0]
    nodes, codes = node_codes(recent.profile, "store")
    units, was = (sum_rows(part[:, None], codes)[:, 0] for part in (change, earlier))
    stores = np.argsort(-np.abs(units), kind="stable")[:_CHANGES_SHOWN]
    shares = np.divide(units, was, out=np.full_like(units, np.nan), where=was > 0)
    labels = [data.names.store_with_id(str(nodes[place])) for place in stores]
    series = [
        {
            **data.described(row),
            "earlier": float(earlier[row]),
            "later": float(later[row]),
            "change": float(change[row]),
            "share": float(later[row] / earlier[row] - 1) if earlier[row] else None,
            "cause": cause,
        }
        for row, cause in zip(top.tolist(), _causes(data, recent, previous, top), strict=True)
    ]
    return {
        "days": days,
        "words": _words(previous, days, earlier, later),
        "figure": plots.changes(labels, units[stores], shares[stores], since=previous, days=days),
        "series": series,
        "rows": top.tolist(),
    }


def _words(since: date, days: int, earlier: Array, later: Array) -> str:
    total, was = float(later.sum()), float(earlier.sum())
    share = total / was - 1 if was else 0.0
    apart = np.abs(later - earlier) > _MOVED * np.maximum(earlier, 1e-9)
    told = int((apart & (earlier > 0)).sum())
    verb = "rose" if total > was else "fell"
    whole = (
        f"The total of {days} days {verb} by {number(abs(total - was))} units ({change_words(share)})"
        if abs(share) >= 0.0005
        else f"The total of {days} days is the same"
    )
    return (
        f"{whole} since the forecasts of {short_day(since)}; {number(told)} of {number(len(later))} series moved by more "
        f"than {percent(_MOVED)}."
    )


def _causes(data: DayData, recent: Recent, previous: date, rows: NDArray[np.intp]) -> list[str]:
    """What changed with a series since the day before, in words; several things may have."""
    promo_now, promo_before = data.promotions, data.promotions_ahead(previous)
    models_now, models_before = data.models(data.as_of), data.models(previous)
    found = []
    for row in rows.tolist():
        reasons = _promotion(promo_now[row], promo_before[row], data.as_of)
        now, before = str(models_now[row]), str(models_before[row])
        if now and before and now != before:
            reasons.append(f"model changed from {before} to {now}")
        found.append("; ".join([*reasons, *_surprise(data, recent, row)]) or "new sales and weather")
    return found


def _promotion(now: Matrix, before: Matrix, as_of: date) -> list[str]:
    known = np.isfinite(now) & np.isfinite(before)
    found = []
    for words, different in (
        ("promotion announced", known & (now > 0) & (before == 0)),
        ("promotion withdrawn", known & (now == 0) & (before > 0)),
    ):
        at = np.flatnonzero(different)
        if len(at):
            first, last = (as_of + timedelta(days=int(step)) for step in (at[0], at[-1]))
            when = f"on {first:%d %b}" if first == last else f"from {first:%d %b} to {last:%d %b}"
            depth = percent(float(max(now[at].max(), before[at].max())))
            found.append(f"{words}: {depth} {when}")
    return found


def _surprise(data: DayData, recent: Recent, row: int) -> list[str]:
    """What the newest day of sales said, if it was far from its forecast."""
    day = f"{data.as_of - timedelta(days=1):%d %b}"
    if recent.stockout[row, -1]:
        return [f"out of stock on {day}"]
    if data.realised is None:
        return []
    sold, told = float(recent.actual[row, -1]), float(data.realised.predicted["operational"][row, -1, 0])
    if np.isnan(sold) or np.isnan(told) or max(sold, told) < _SURPRISE * max(min(sold, told), 1.0):
        return []
    return [f"{number(sold)} sold on {day}, {number(told)} were forecast"]


# ------------------------------------------------------------------------------------ the weeks ahead


def weeks(data: DayData) -> dict[str, Any] | Missing:
    """Both weeks of every node of the hierarchy, and of the largest series.

    Returns ``payload`` of the grid; ``series`` that there are, and ``shown`` by the grid; ``spans``, first
    and last day of each week.
    """
    rows: pd.DataFrame = data.lake.read(WEEKLY, where=on_day(data.as_of), missing_ok=True).to_pandas()
    if rows.empty or data.recent is None:
        return Missing(f"There are no weekly forecasts of {data.as_of}.", data.run.command("score"))
    wide = rows.pivot_table(index=["level", "node"], columns="week", values=["operational", "strategic"])
    # A horizon of one week has no second one.
    wide = wide.reindex(columns=pd.MultiIndex.from_product([["operational", "strategic"], [1, 2]]))
    wide.columns = pd.Index(["week_1", "week_2", "plan_1", "plan_2"])
    table = wide.reset_index().merge(_described(data.recent), on=["level", "node"], how="left")
    table["change"] = np.where(table["sold"] > 0, table["week_1"] / table["sold"] - 1, np.nan)
    single = table["level"] == "sku_store"
    largest = table[single].nlargest(MAX_SERIES, ["week_1", "week_2"])
    shown = pd.concat([table[~single], largest], ignore_index=True)
    shown["place"] = shown["level"].map({level: place for place, level in enumerate(LEVEL_WORDS)})
    shown = shown.sort_values(["place", "week_1", "node"], ascending=[True, False, True], ignore_index=True)
    spans = rows.drop_duplicates("week").sort_values("week")[["starts_on", "ends_on"]]
    return {
        "payload": GRID.payload(_labelled(data, shown)),
        "series": int(single.sum()),
        "shown": len(largest),
        "spans": list(spans.itertuples(index=False, name=None)),
    }


def _described(recent: Recent) -> pd.DataFrame:
    """Sales of the last seven days and attributes of every node."""
    profile, week = recent.profile, recent.last(7)
    parts = []
    for level in LEVEL_WORDS:
        nodes, first, codes = np.unique(nodes_of(profile, level), return_index=True, return_inverse=True)
        part = pd.DataFrame({"level": level, "node": nodes, "sold": _week_sales(week, codes)})
        for column, levels in (
            ("region", ("region", "store", "sku_store")),
            ("category", ("sku", "sku_store")),
        ):
            part[column] = pd.Series(
                profile[column].to_numpy()[first] if level in levels else None, dtype=object
            )
        parts.append(part)
    return pd.concat(parts)


def _week_sales(week: Recent, codes: NDArray[np.intp]) -> Array:
    """Units of each node in a week; what was not reported is taken as sold at the usual rate.

    NaN where that is more than a fifth.
    """
    weight = np.broadcast_to(week.profile["mean_quantity"].to_numpy()[:, None], week.sold.shape)
    whole, unknown, sold = (
        np.bincount(codes, weights=values.sum(axis=1))
        for values in (
            np.where(week.is_open, weight, 0.0),
            np.where(week.unknown, weight, 0.0),
            np.nan_to_num(week.sold),
        )
    )
    share = np.divide(unknown, whole, out=np.zeros_like(whole), where=whole > 0)
    return np.where(share <= _MAX_ESTIMATED, sold / np.maximum(1 - share, 1e-9), np.nan)


def _labelled(data: DayData, shown: pd.DataFrame) -> pa.Table:
    pairs = list(zip(shown["level"], shown["node"], strict=True))
    labels = [data.names.node(level, node) for level, node in pairs]
    lines = [
        LEVEL_WORDS[level] if node in (label, "all") else f"{LEVEL_WORDS[level]} · {node}"
        for (level, node), label in zip(pairs, labels, strict=True)
    ]
    texts = {"node": shown["node"], "level": shown["level"].map(LEVEL_WORDS)}
    texts |= {name: shown[name] for name in ("region", "category")}
    digits = {"sold": 1, "week_1": 1, "week_2": 1, "plan_1": 1, "plan_2": 1, "change": 3}
    return pa.table(
        {
            "label": labels,
            "line": lines,
            **{name: pa.array(values, pa.string(), from_pandas=True) for name, values in texts.items()},
            **{
                name: pa.array(shown[name].round(places), pa.float64(), from_pandas=True)
                for name, places in digits.items()
            },
        }
    )
