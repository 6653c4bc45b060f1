"""What was sold and what is forecast of any node, in one fan chart to choose from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pyarrow.dataset as pa_dataset
from numpy.typing import NDArray

from models.forecasting.accuracy import sum_rows
from models.forecasting.levels import node_codes
from pipelines.io.lake import on_day
from pipelines.reporting.figure import Array, Choice, Chosen, Colour, Figure, new_plot, short, with_menu
from pipelines.reporting.page import Missing
from pipelines.reporting.words import change as change_words
from pipelines.reporting.words import number
from pipelines.usecases.demand.dataset import CALENDAR, Recent
from pipelines.usecases.demand.day import HISTORY_DAYS, MAX_UNKNOWN, DayData
from pipelines.usecases.demand.schemas import INTERVALS

_ACTUAL_COLOUR = "#5f7183"

#: Fill of the band of each nominal coverage; the wider one shows through.
_BANDS = {95: "rgba(47,126,216,0.16)", 80: "rgba(47,126,216,0.28)"}

#: Part of the height that the bars of promotions take.
_PROMO_HEIGHT = 0.16

#: Series with a chart of their own among the largest.
_LARGEST = 20

_GROUPS = {"national": "Nation", "region": "Regions", "store": "Stores"}


@dataclass(frozen=True)
class Outlook:
    """What was sold at a node on D past days and what is forecast of it for H days."""

    #: Id, what it is called, and under what it is listed.
    name: str
    label: str
    group: str
    #: What there is to say of it, one sentence.
    words: str
    #: Units of past days; NaN where not reported.
    sold: Array
    #: Days of which ``sold`` is a lower bound.
    stockout: Array
    #: What was forecast the day before, of as many of the last past days as it has; NaN where nothing was.
    told: Array
    #: Forecast for orders and for plans.
    forecast: Array
    strategic: Array
    #: Lower and upper ends by nominal coverage in percent, each of shape (H,).
    intervals: Mapping[int, tuple[Array, Array]]
    #: Discount, or share of the products in promotion, of all days from the first to the last, today included:
    #: shape (D + 1 + H,).
    promo: Array
    #: What a bar of promotions says after its percentage.
    promo_words: str = "off"


def fan_chart(data: DayData, more: Sequence[int]) -> Chosen | Missing:
    """Fan chart of the nation; regions, stores and chosen series to show instead.

    ``more`` are rows of the profile whose series are offered beside the largest ones, most interesting first.
    """
    if data.recent is None or data.aggregates.empty:
        return Missing(f"There are no forecasts with features of {data.as_of}.", data.run.command("score"))
    largest = np.argsort(-data.recent.profile["mean_quantity"].to_numpy(), kind="stable")[:_LARGEST]
    rows = dict.fromkeys(more, "Products to look at")
    rows |= {row: "Largest series" for row in largest.tolist() if row not in rows}
    outlooks = _node_outlooks(data, data.recent)
    outlooks += [series_outlook(data, data.recent, row, group) for row, group in rows.items()]
    return with_choices(outlooks, fan(outlooks[0], data.as_of, holidays=holidays(data)))


def with_choices(outlooks: Sequence[Outlook], figure: Figure) -> Chosen:
    """Nodes to choose from, of which the page's script draws one in place of the other."""
    parts = [trace["meta"] for trace in figure.payload["data"]]
    choices = []
    for one in outlooks:
        heights = _heights(one)
        places = {"promo": one.promo_words, "y": [heights[part] for part in parts]}
        choices.append(Choice(one.name, one.label, one.group, one.words, places))
    return with_menu(figure, choices)


def holidays(data: DayData, store_id: str | None = None) -> list[date]:
    """Days shown that are public holidays in a store, or in at least half of all stores."""
    field = pa_dataset.field
    where = on_day(data.as_of) & (field("ds") >= data.as_of - timedelta(days=HISTORY_DAYS))
    if store_id is not None:
        where &= field("store_id") == store_id
    if not data.lake.exists(CALENDAR):
        return []
    rows = data.lake.read(CALENDAR, columns=["ds", "is_public_holiday"], where=where)
    share = rows.to_pandas().astype({"is_public_holiday": float}).groupby("ds")["is_public_holiday"].mean()
    return [pd.Timestamp(day).date() for day in share.index[share >= 0.5]]


def series_outlook(data: DayData, recent: Recent, row: int, group: str = "") -> Outlook:
    """Outlook of a single series, by its row of the profile."""
    store, sku = (str(recent.profile[name].iloc[row]) for name in ("store_id", "sku_id"))
    values = {name: forecasts[row] for name, forecasts in data.forecasts.items()}
    forecast = values["operational"].astype(np.float64)
    known = recent.actual[row].astype(np.float64)
    label = data.names.series(store, sku)
    title = label if label == f"{sku}, {store}" else f"{label} ({sku} in {store})"
    return Outlook(
        name=f"{store}/{sku}",
        label=label,
        group=group,
        words=_words(title, forecast, known),
        sold=known,
        stockout=recent.stockout[row],
        told=_told(data.realised.predicted["operational"][row] if data.realised else None),
        forecast=forecast,
        strategic=values["strategic"],
        intervals={n: (values[f"lower_{n}"], values[f"upper_{n}"]) for n in INTERVALS},
        promo=np.concatenate([recent.promo[row], np.nan_to_num(data.promotions[row])]),
    )


def _node_outlooks(data: DayData, recent: Recent) -> list[Outlook]:
    """Nation, regions and stores."""
    promoted = np.concatenate([recent.promo > 0, np.nan_to_num(data.promotions) > 0], axis=1)
    found = []
    for level, group in _GROUPS.items():
        nodes, codes = node_codes(recent.profile, level)
        sold = node_sales(recent, codes)
        shares = sum_rows(promoted, codes) / np.bincount(codes)[:, None]
        own = data.aggregates[data.aggregates["level"] == level]
        past = data.levels.get(level)
        for place, node in enumerate(nodes.tolist()):
            rows = own[own["node"] == node]
            forecast = rows["operational"].to_numpy()
            if not len(rows):
                continue
            label = data.names.node(level, node)
            title = label if label in (node, "All stores") else f"{node}: {label}"
            found.append(
                Outlook(
                    name=f"{level}/{node}",
                    label=title,
                    group=group,
                    words=_words(title, forecast, sold[place]),
                    sold=sold[place],
                    stockout=np.zeros(sold.shape[1], dtype=bool),
                    told=_told(past.predicted["operational"][place] if past else None),
                    forecast=forecast,
                    strategic=rows["strategic"].to_numpy(),
                    intervals={
                        n: (rows[f"lower_{n}"].to_numpy(), rows[f"upper_{n}"].to_numpy()) for n in INTERVALS
                    },
                    promo=shares[place],
                    promo_words="of the products",
                )
            )
    return found


def node_sales(recent: Recent, codes: NDArray[np.intp]) -> Array:
    """Units of each node by day, shape (k, D); NaN where a notable part was not reported."""
    weight = np.broadcast_to(recent.profile["mean_quantity"].to_numpy()[:, None], recent.sold.shape)
    unknown = sum_rows(np.where(recent.unknown, weight, 0.0), codes)
    whole = sum_rows(weight, codes)
    sold = sum_rows(np.nan_to_num(recent.sold), codes)
    return np.where(unknown <= MAX_UNKNOWN * whole, sold, np.nan)


def _told(predicted: NDArray[np.float32] | None) -> Array:
    """Forecasts of the day before, of past forecasts of one node by day and horizon."""
    return np.full(1, np.nan) if predicted is None else predicted[:, 0].astype(np.float64)


def _words(title: str, forecast: Array, sold: Array) -> str:
    total = float(np.nansum(forecast))
    words = f"{title}. {number(total)} units in the next {len(forecast)} days"
    weeks = sold[-28:][~np.isnan(sold[-28:])]
    usual = float(weeks.mean()) * len(forecast) if len(weeks) else 0.0
    return (
        f"{words}, {change_words(total / usual - 1)} against the last four weeks." if usual else f"{words}."
    )


# -------------------------------------------------------------------------------------------- drawing


def fan(outlook: Outlook, as_of: date, *, holidays: Sequence[date] = ()) -> Figure:
    """Fan chart: sales, what was forecast the day before, the forecast with its intervals, promotions, holidays."""
    figure = new_plot("", "Units a day")
    heights, last = _heights(outlook), as_of + timedelta(days=len(outlook.forecast) + 1)
    style: dict[str, dict[str, Any]] = {}
    for nominal, colour in _BANDS.items():
        # Each lower end directly before its upper one: the fill reaches to the line drawn before.
        style[f"lower_{nominal}"] = {
            "mode": "lines", "line": {"width": 0}, "showlegend": False, "hoverinfo": "skip",
        }  # fmt: skip
        style[f"upper_{nominal}"] = {
            "mode": "lines", "line": {"width": 0}, "fill": "tonexty", "fillcolor": colour,
            "name": f"{nominal} % interval",
            "hovertemplate": "up to %{y:,.1f}<extra>" f"{nominal} % interval</extra>",
        }  # fmt: skip
    style |= {
        "sold": {
            # Markers, for a day between two unknown ones has no line.
            "mode": "lines+markers", "name": "sold", "line": {"color": _ACTUAL_COLOUR, "width": 1.8},
            "marker": {"size": 3},
            "hovertemplate": "%{x|%a %d %b}: %{y:,.1f} sold<extra></extra>",
        },
        "told": {
            "mode": "lines", "name": "forecast the day before",
            "line": {"color": Colour.MAIN, "width": 1.3, "dash": "dot"},
            "hovertemplate": "%{x|%a %d %b}: %{y:,.1f} forecast the day before<extra></extra>",
        },
        "stockout": {
            "mode": "markers", "name": "out of stock",
            "marker": {"color": Colour.LIMIT, "symbol": "x-thin-open", "size": 8, "line": {"width": 2}},
            "hovertemplate": "%{x|%a %d %b}: out of stock, at least %{y:,.1f} wanted<extra></extra>",
        },
        "forecast": {
            "mode": "lines+markers", "name": "forecast", "marker": {"size": 5},
            "line": {"color": Colour.MAIN, "width": 2.6},
            "hovertemplate": "%{x|%a %d %b}: %{y:,.1f} forecast<extra></extra>",
        },
        "strategic": {
            "mode": "lines", "name": "for plans (top-down)", "visible": "legendonly",
            "line": {"color": Colour.QUIET, "width": 1.6, "dash": "dash"},
            "hovertemplate": "%{x|%a %d %b}: %{y:,.1f} for plans<extra></extra>",
        },
    }  # fmt: skip
    every = [str(as_of + timedelta(days=n)) for n in range(-len(outlook.sold), len(outlook.forecast) + 1)]
    behind, before = every[: len(outlook.sold)], every[len(outlook.sold) + 1 :]
    days = {"sold": behind, "stockout": behind, "told": behind[len(behind) - len(outlook.told) :]}
    for part, look in style.items():
        figure.add_scatter(x=days.get(part, before), y=heights[part], meta=part, **look)
    figure.add_bar(
        x=every, y=heights["promo"], meta="promo", name="promotion", yaxis="y2",
        text=outlook.promo_words, textposition="none",
        marker={"color": Colour.PALETTE[1], "opacity": 0.55},
        hovertemplate="%{x|%a %d %b}: promotion, %{y:.0%} %{text}<extra></extra>",
    )  # fmt: skip
    _mark_days(figure, as_of, holidays)
    figure.update_layout(
        height=430,
        yaxis={"rangemode": "tozero", "domain": [_PROMO_HEIGHT + 0.04, 1]},
        yaxis2={
            "domain": [0, _PROMO_HEIGHT], "range": [0, 1], "tickvals": [0, 0.5, 1], "tickformat": ".0%",
            "title": {"text": "promo", "font": {"size": 11}}, "fixedrange": True, "automargin": True,
        },
        xaxis={
            "type": "date", "anchor": "y2", "tickformat": "%d %b", "hoverformat": "%a %d %b %Y",
            "range": [str(_first_day(as_of, outlook)), str(last)],
        },
        bargap=0.1,
        margin={"t": 26},
        legend={"traceorder": "normal"},
        meta={"narrow": {"height": 560, "range": [str(as_of - timedelta(days=21)), str(last)]}},
    )  # fmt: skip
    caption = (
        "Bands hold the sales of 80 and 95 of 100 days. A cross marks a day out of stock: more was wanted than was "
        "sold. Bars below show promotions as known today."
    )
    return Figure("fan", "What was sold and what is forecast", caption, figure, wide=True)


def _heights(outlook: Outlook) -> dict[str, list[float | None]]:
    """Heights of each line and bar of :func:`fan`."""
    found = {
        "sold": outlook.sold,
        "told": outlook.told,
        "stockout": np.where(outlook.stockout.astype(bool), outlook.sold, np.nan),
        "forecast": outlook.forecast,
        "strategic": outlook.strategic,
        "promo": np.where(outlook.promo > 0, outlook.promo, np.nan),
    }
    for nominal, (lower, upper) in outlook.intervals.items():
        found |= {f"lower_{nominal}": lower, f"upper_{nominal}": upper}
    return {part: short(values) for part, values in found.items()}


def _first_day(as_of: date, outlook: Outlook) -> date:
    """Day before the first sale: a new product has nothing to show before."""
    known = np.flatnonzero(~np.isnan(outlook.sold))
    past = len(outlook.sold) - (int(known[0]) if len(known) else 0)
    return as_of - timedelta(days=past + 1)


def _mark_days(figure: go.Figure, as_of: date, holidays: Sequence[date]) -> None:
    figure.add_shape(
        type="line", x0=str(as_of), x1=str(as_of), y0=0, y1=1, yref="paper",
        line={"color": Colour.QUIET, "dash": "dash", "width": 1},
    )  # fmt: skip
    marks = [(as_of, "today", "right"), *((day, "holiday", "center") for day in holidays)]
    for day, words, anchor in marks:
        figure.add_annotation(
            x=str(day), xanchor=anchor, y=1, yref="paper", yanchor="bottom", showarrow=False, text=words,
            font={"size": 11, "color": Colour.QUIET},
        )  # fmt: skip
    for day in holidays:
        figure.add_shape(
            type="rect", x0=f"{day - timedelta(days=1)} 12:00", x1=f"{day} 12:00", y0=0, y1=1, yref="paper",
            layer="below", line={"width": 0}, fillcolor="rgba(122,135,148,0.18)",
        )  # fmt: skip
