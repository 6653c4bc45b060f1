"""Sections of the page: what planners need at eight, then what data scientists want to see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.compute as pc
from numpy.typing import NDArray

from models.forecasting.accuracy import sum_rows
from models.forecasting.panel import Matrix
from pipelines.io.lake import on_day
from pipelines.reporting.figure import Figure
from pipelines.reporting.page import Missing
from pipelines.reporting.sections import newest_day, scope_reasons
from pipelines.reporting.words import change as change_words
from pipelines.reporting.words import number, percent, short_day
from pipelines.usecase import Run
from pipelines.usecases.demand.accuracy import accuracy, worst_series
from pipelines.usecases.demand.crossed import fortnight
from pipelines.usecases.demand.dataset import OUT_OF_SCOPE, node_codes
from pipelines.usecases.demand.day import DayData, fallback_share
from pipelines.usecases.demand.fan import changes as changes_figure
from pipelines.usecases.demand.outlook import as_day, fan_chart
from pipelines.usecases.demand.params import DemandParams
from pipelines.usecases.demand.recent import Recent, dates
from pipelines.usecases.demand.schemas import BACKTEST, CERTIFICATES, SCOPE_WORDS
from pipelines.usecases.demand.weeks import GRID, weeks

#: Series with a chart of their own because they changed or erred most.
_CHOSEN = 30

#: Stores and series whose forecast changed most that are listed.
_CHANGES_SHOWN = 12

#: Share by which a series' forecast must move to be counted.
_MOVED = 0.2

#: A sale this many times its forecast, or the other way round, may be why the next forecasts moved.
_SURPRISE = 1.5

_LEVEL = "level:"


def sections(run: Run[DemandParams]) -> Mapping[str, object]:
    """Everything that the template shows and the use case knows alone."""
    data = DayData(run)
    changed, worst = changes(data), worst_series(data)
    chosen = [section.rows for section in (changed, worst) if not isinstance(section, Missing)]
    return {
        "headline": headline(data),
        "fan": fan_chart(data, interesting_rows(chosen, _CHOSEN)),
        "changes": changed,
        "weeks": weeks(data),
        "grid": GRID,
        "fortnight": fortnight(data),
        "accuracy": accuracy(data),
        "worst": worst,
        "competition": competition(data),
        "tolerance": run.params.backtest.tolerance,
        "models": models_in_use(data),
        "out_of_scope": scope_reasons(data.lake, OUT_OF_SCOPE, data.as_of, SCOPE_WORDS),
    }


def interesting_rows(parts: Sequence[Sequence[int]], limit: int) -> list[int]:
    """Rows of several lists, taken in turns so that each is heard, without repetition."""
    found: dict[int, None] = {}
    for place in range(max((len(part) for part in parts), default=0)):
        for part in parts:
            if place < len(part):
                found.setdefault(part[place])
    return list(found)[:limit]


# --------------------------------------------------------------------------------------------------- headline


@dataclass(frozen=True)
class Headline:
    """The figures on top.

    Attributes
    ----------
    tomorrow
        Forecast of the first day with the ends of its 80 % interval.
    total, low, high
        Units of all days; sums of the ends of the daily intervals, which is wider than an interval of the
        sum.
    against_usual
        Total over the sales of the same weekdays of the last weeks, minus one; None if they are not known.
    against_previous
        Total over that of the forecasts before for the same days, minus one; None if there are none.
    series, fallbacks
        Series forecast; share of them with a fallback.
    sales_until
        Newest day with reported sales; None if unknown.
    certificates
        Rows of ``predictions/demand_certificates``.
    """

    model_version: str
    first: date
    last: date
    tomorrow: tuple[float, float, float]
    total: float
    low: float
    high: float
    against_usual: float | None
    against_previous: float | None
    previous: date | None
    series: int
    fallbacks: float
    sales_until: date | None
    certificates: list[dict[str, Any]]

    @property
    def coherent(self) -> bool:
        """Whether the forecasts have certificates and all are ok."""
        return bool(self.certificates) and all(row["ok"] for row in self.certificates)


def headline(data: DayData) -> Headline | Missing:
    """Figures of the day's forecasts."""
    nation = data.aggregates[data.aggregates["level"] == "national"]
    if nation.empty or not data.served.num_rows:
        return Missing(
            f"There are no forecasts of {data.as_of}.", f"millrace score demand --as-of {data.as_of}"
        )
    first = nation.iloc[0]
    total = float(nation["operational"].sum())
    return Headline(
        model_version=data.served["model_version"][0].as_py(),
        first=as_day(first["ds"]),
        last=as_day(nation["ds"].iloc[-1]),
        tomorrow=(float(first["operational"]), float(first["lower_80"]), float(first["upper_80"])),
        total=total,
        low=float(nation["lower_80"].sum()),
        high=float(nation["upper_80"].sum()),
        against_usual=data.against_usual[0] if data.against_usual else None,
        against_previous=data.against_previous[0] if data.against_previous else None,
        previous=data.previous,
        series=data.served.num_rows,
        fallbacks=fallback_share(data.served) or 0.0,
        sales_until=_sales_until(data.recent),
        certificates=data.lake.read(CERTIFICATES, where=on_day(data.as_of), missing_ok=True).to_pylist(),
    )


def _sales_until(recent: Recent | None) -> date | None:
    if recent is None or not recent.has_sales:
        return None
    reported = np.isfinite(recent.sold).any(axis=0)
    return dates(recent.days[reported])[-1]


# ---------------------------------------------------------------------------------------------------- changes


@dataclass(frozen=True)
class Changes:
    """Differences between two days' forecasts of the same days.

    Attributes
    ----------
    since
        Day of the earlier forecasts.
    days
        Number of days that both speak of.
    words
        The whole in a sentence.
    series
        Largest changes, as rows for the table.
    rows
        Their rows of the profile.
    """

    since: date
    days: int
    words: str
    figure: Figure
    series: list[dict[str, Any]]
    rows: list[int]


def changes(data: DayData) -> Changes | Missing:
    """Compare today's forecasts with those of the day before."""
    if data.recent is None or data.previous is None or not data.served.num_rows:
        return Missing("There are no earlier forecasts to compare with.")
    before = data.leaves(data.previous, ["operational"])["operational"]
    now = data.forecasts["operational"]
    both = np.isfinite(before) & np.isfinite(now)
    earlier, later = (np.where(both, part, 0).sum(axis=1, dtype=np.float64) for part in (before, now))
    change = later - earlier
    days = int(both.any(axis=0).sum())
    if not days:
        return Missing("The earlier forecasts speak of other days.")
    top = np.argsort(-np.abs(change), kind="stable")[:_CHANGES_SHOWN]
    top = top[change[top] != 0]
    causes = _causes(data, data.recent, top)
    return Changes(
        since=data.previous,
        days=days,
        words=_words(data.previous, days, earlier, later),
        figure=_stores(data, data.recent, earlier, change, days),
        series=[
            _row(data, data.recent, int(row), float(earlier[row]), float(later[row]), cause)
            for row, cause in zip(top, causes, strict=True)
        ],
        rows=top.tolist(),
    )


def _stores(
    data: DayData, recent: Recent, earlier: NDArray[np.float64], change: NDArray[np.float64], days: int
) -> Figure:
    nodes, codes = node_codes(recent.profile, "store")
    units, was = (sum_rows(part[:, None], codes)[:, 0] for part in (change, earlier))
    top = np.argsort(-np.abs(units), kind="stable")[:_CHANGES_SHOWN]
    shares = np.divide(units, was, out=np.full_like(units, np.nan), where=was > 0)
    labels = [data.names.store_with_id(str(nodes[place])) for place in top]
    assert data.previous is not None  # noqa: S101 - for the type checker: the caller asked
    return changes_figure(labels, units[top], shares[top], since=data.previous, days=days)


def _words(since: date, days: int, earlier: NDArray[np.float64], later: NDArray[np.float64]) -> str:
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


def _row(data: DayData, recent: Recent, row: int, earlier: float, later: float, cause: str) -> dict[str, Any]:
    store, sku = (str(recent.profile[name].iloc[row]) for name in ("store_id", "sku_id"))
    return {
        "choice": f"{store}/{sku}",
        "store": data.names.store_with_id(store),
        "sku": sku,
        "product": data.names.product(sku),
        "earlier": earlier,
        "later": later,
        "change": later - earlier,
        "share": later / earlier - 1 if earlier else None,
        "cause": cause,
    }


def _causes(data: DayData, recent: Recent, rows: NDArray[np.intp]) -> list[str]:
    """What changed with a series since the day before, in words; several things may have."""
    assert data.previous is not None  # noqa: S101 - for the type checker: the caller asked
    promo_now, promo_before = data.promotions, data.promotions_ahead(data.previous)
    models_now, models_before = data.models(data.as_of), data.models(data.previous)
    found = []
    for row in rows.tolist():
        reasons = [
            *_promotion(promo_now[row], promo_before[row], data.as_of),
            *_model(str(models_now[row]), str(models_before[row])),
            *_surprise(data, recent, row),
        ]
        found.append("; ".join(reasons) or "new sales and weather")
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


def _model(now: str, before: str) -> list[str]:
    return [f"model changed from {before} to {now}"] if now and before and now != before else []


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


# ----------------------------------------------------------------------------------------------------- models


@dataclass(frozen=True)
class Competition:
    """The newest backtest.

    Attributes
    ----------
    trained_for
        ``as_of`` of the training run.
    cells
        One row per cell: the champion and the mission's model side by side.
    table
        By cell: every model, best first.
    """

    trained_for: date
    cells: list[dict[str, Any]]
    table: dict[str, list[dict[str, Any]]]


def competition(data: DayData) -> Competition | Missing:
    """The competition of the newest training run up to the day."""
    day = newest_day(data.lake, BACKTEST, data.as_of)
    if day is None:
        return Missing("No models have competed yet.", f"millrace train demand --as-of {data.as_of}")
    rows: pd.DataFrame = data.lake.read(BACKTEST, where=on_day(day)).to_pandas()
    whole = rows[rows["horizon"] == 0]
    week = rows[rows["horizon"] == 7].set_index(["cell", "model"])["mape"].rename("mape_j7")
    table = whole.join(week, on=["cell", "model"])
    table = table.sort_values(["cell", "wape", "model"], na_position="last", ignore_index=True)
    by_cell = {
        _cell_words(str(cell)): [_plain(row) for row in group.to_dict("records")]
        for cell, group in sorted(table.groupby("cell"), key=lambda pair: _cell_order(str(pair[0])))
    }
    return Competition(day, [_summary(cell, models) for cell, models in by_cell.items()], by_cell)


def models_in_use(data: DayData) -> list[tuple[str, int, float]]:
    """Model, number of series and their share, most first, of the day's forecasts."""
    counted = pc.value_counts(data.served["model"]).to_pylist()
    total = max(data.served.num_rows, 1)
    rows = [(str(row["values"]), int(row["counts"]), row["counts"] / total) for row in counted]
    return sorted(rows, key=lambda row: (-row[1], row[0]))


def _summary(cell: str, models: list[dict[str, Any]]) -> dict[str, Any]:
    champion = next((row for row in models if row["is_champion"]), models[0])
    reference = next((row for row in models if row["is_mission_model"]), None)
    return {
        "cell": cell,
        "champion": champion,
        "reference": reference,
        "naive": next((row for row in models if row["model"] == "seasonal_naive"), None),
        "series": champion["series"],
    }


def _plain(row: dict[Any, Any]) -> dict[str, Any]:
    """Row with None where a figure is undefined."""
    return {str(name): None if pd.isna(value) else value for name, value in row.items()}


def _cell_words(cell: str) -> str:
    if cell.startswith(_LEVEL):
        return f"{cell.removeprefix(_LEVEL)} (level)"
    return cell.replace("/", ", ")


def _cell_order(cell: str) -> tuple[bool, str]:
    return (cell.startswith(_LEVEL), cell)
