"""Report: what changed since the forecasts before, for the same days, and what may lie behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.forecasting.accuracy import sum_rows
from pipelines.reporting.figure import Figure
from pipelines.reporting.site import Missing
from pipelines.reporting.words import change as change_words
from pipelines.reporting.words import number, percent, short_day
from pipelines.usecases.demand.plots_forecast import changes as changes_figure
from pipelines.usecases.demand.realised_levels import node_codes
from pipelines.usecases.demand.recent import Matrix, Recent
from pipelines.usecases.demand.report_data import DayData

_STORES_SHOWN = 12
_SERIES_SHOWN = 12

#: Share by which a series' forecast must move to be counted.
_MOVED = 0.2

#: A sale this many times its forecast, or the other way round, may be why the next forecasts moved.
_SURPRISE = 1.5


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
    top = np.argsort(-np.abs(change), kind="stable")[:_SERIES_SHOWN]
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
    top = np.argsort(-np.abs(units), kind="stable")[:_STORES_SHOWN]
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


def interesting_rows(parts: Sequence[Sequence[int]], limit: int) -> list[int]:
    """Rows of several lists, taken in turns so that each is heard, without repetition."""
    found: dict[int, None] = {}
    for place in range(max((len(part) for part in parts), default=0)):
        for part in parts:
            if place < len(part):
                found.setdefault(part[place])
    return list(found)[:limit]
