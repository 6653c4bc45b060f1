"""Figures of forecasts: the fan of what may be sold, for one node or for many to choose from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import plotly.graph_objects as go

from pipelines.reporting.figure import (
    LIMIT_COLOUR,
    MAIN_COLOUR,
    QUIET_COLOUR,
    Array,
    Choices,
    Figure,
    new_plot,
)
from pipelines.reporting.words import short_day

ACTUAL_COLOUR = "#5f7183"
PROMO_COLOUR = "#e0832b"

#: Fill of the band of each nominal coverage; the wider one shows through.
_BANDS = {95: "rgba(47,126,216,0.16)", 80: "rgba(47,126,216,0.28)"}

#: Part of the height that the bars of promotions take.
_PROMO_HEIGHT = 0.16


@dataclass(frozen=True)
class Outlook:
    """What was sold at a node and what is forecast of it.

    Attributes
    ----------
    name, label, group
        Id, what it is called, and under what it is listed.
    words
        What there is to say of it, one sentence.
    sold : ndarray of shape (D,)
        Units of past days; NaN where not reported.
    stockout : ndarray of bool, shape (D,)
        Days of which ``sold`` is a lower bound.
    told : ndarray of shape (B,)
        What was forecast the day before, of the last B past days; NaN where nothing was.
    forecast, strategic : ndarray of shape (H,)
        Forecast for orders and for plans.
    intervals
        Lower and upper ends by nominal coverage in percent, each of shape (H,).
    promo : ndarray of shape (D + 1 + H,)
        Discount, or share of the products in promotion, of all days from the first to the last, today
        included.
    promo_words
        What a bar of promotions says after its percentage.
    """

    name: str
    label: str
    group: str
    words: str
    sold: Array
    stockout: Array
    told: Array
    forecast: Array
    strategic: Array
    intervals: Mapping[int, tuple[Array, Array]]
    promo: Array
    promo_words: str = "off"


def fan(
    outlook: Outlook,
    as_of: date,
    *,
    name: str,
    title: str,
    holidays: Sequence[date] = (),
) -> Figure:
    """Fan chart: sales, what was forecast the day before, the forecast with its intervals, promotions.

    Parameters
    ----------
    holidays
        Public holidays among the days shown.
    """
    figure = new_plot("", "Units a day")
    days = _days(as_of, outlook)
    values = fan_values(outlook)
    style: dict[str, dict[str, Any]] = {
        **{
            f"lower_{nominal}": {
                "mode": "lines", "line": {"width": 0}, "showlegend": False, "hoverinfo": "skip",
            }
            for nominal in _BANDS
        },
        **{
            f"upper_{nominal}": {
                "mode": "lines", "line": {"width": 0}, "fill": "tonexty", "fillcolor": colour,
                "name": f"{nominal} % interval", "hovertemplate": "up to %{y:,.1f}<extra>"
                f"{nominal} % interval</extra>",
            }
            for nominal, colour in _BANDS.items()
        },
        "sold": {
            # Markers, for a day between two unknown ones has no line.
            "mode": "lines+markers", "name": "sold", "line": {"color": ACTUAL_COLOUR, "width": 1.8},
            "marker": {"size": 3},
            "hovertemplate": "%{x|%a %d %b}: %{y:,.1f} sold<extra></extra>",
        },
        "told": {
            "mode": "lines", "name": "forecast the day before",
            "line": {"color": MAIN_COLOUR, "width": 1.3, "dash": "dot"},
            "hovertemplate": "%{x|%a %d %b}: %{y:,.1f} forecast the day before<extra></extra>",
        },
        "stockout": {
            "mode": "markers", "name": "out of stock",
            "marker": {"color": LIMIT_COLOUR, "symbol": "x-thin-open", "size": 8, "line": {"width": 2}},
            "hovertemplate": "%{x|%a %d %b}: out of stock, at least %{y:,.1f} wanted<extra></extra>",
        },
        "forecast": {
            "mode": "lines+markers", "name": "forecast", "marker": {"size": 5},
            "line": {"color": MAIN_COLOUR, "width": 2.6},
            "hovertemplate": "%{x|%a %d %b}: %{y:,.1f} forecast<extra></extra>",
        },
        "strategic": {
            "mode": "lines", "name": "for plans (top-down)", "visible": "legendonly",
            "line": {"color": QUIET_COLOUR, "width": 1.6, "dash": "dash"},
            "hovertemplate": "%{x|%a %d %b}: %{y:,.1f} for plans<extra></extra>",
        },
    }  # fmt: skip
    for part, heights in values.items():
        if part in style:
            figure.add_scatter(x=days[part], y=heights, meta=part, **style[part])
    figure.add_bar(
        x=days["promo"], y=values["promo"], meta="promo", name="promotion", yaxis="y2",
        text=outlook.promo_words, textposition="none",
        marker={"color": PROMO_COLOUR, "opacity": 0.55},
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
            "range": [str(_first_day(as_of, outlook)), str(as_of + timedelta(days=len(outlook.forecast) + 1))],
        },
        bargap=0.1,
        margin={"t": 26},
        legend={"traceorder": "normal"},
        meta={
            "narrow": {
                "height": 560,
                "range": [str(as_of - timedelta(days=21)), str(as_of + timedelta(days=len(outlook.forecast) + 1))],
            }
        },
    )  # fmt: skip
    caption = (
        "Bands hold the sales of 80 and 95 of 100 days. A cross marks a day out of stock: more was wanted than was "
        "sold. Bars below show promotions as known today."
    )
    return Figure(name, title, caption, figure, wide=True)


def fan_values(outlook: Outlook) -> dict[str, list[float | None]]:
    """Heights of each line and bar of :func:`fan`, in its order."""
    found: dict[str, Array] = {}
    for nominal in _BANDS:
        found[f"lower_{nominal}"], found[f"upper_{nominal}"] = outlook.intervals[nominal]
    found |= {
        "sold": outlook.sold,
        "told": outlook.told,
        "stockout": np.where(outlook.stockout.astype(bool), outlook.sold, np.nan),
        "forecast": outlook.forecast,
        "strategic": outlook.strategic,
        "promo": np.where(outlook.promo > 0, outlook.promo, np.nan),
    }
    # Each lower end directly before its upper one: the fill reaches to the line drawn before.
    order = [f"{side}_{nominal}" for nominal in _BANDS for side in ("lower", "upper")]
    ordered = {part: found[part] for part in (*order, *(name for name in found if name not in order))}
    return {part: _short(values) for part, values in ordered.items()}


def fan_choices(outlooks: Sequence[Outlook], figure: Figure) -> Choices:
    """Nodes to choose from, of which the page's script draws one in place of the other: only heights are told.

    Parameters
    ----------
    figure
        The fan that is shown first.
    """
    parts = [trace["meta"] for trace in figure.payload["data"]]

    def shown(outlook: Outlook) -> dict[str, Any]:
        values = fan_values(outlook)
        return {
            "words": outlook.words,
            "promo": outlook.promo_words,
            "y": [values[part] for part in parts],
        }

    return Choices.of(figure, ((one.group, one.name, one.label, shown(one)) for one in outlooks))


def changes(labels: Sequence[str], units: Array, shares: Array, *, since: date, days: int) -> Figure:
    """Change of the forecast since an earlier day, one bar per node.

    Parameters
    ----------
    labels
        Nodes, largest change first.
    units, shares : ndarray of shape (n,)
        Change in units, and as a share of the earlier forecast.
    """
    figure = new_plot(f"Change of the total of {days} days, units", "")
    figure.add_bar(
        x=_short(units), y=list(labels), orientation="h",
        customdata=_short(shares, digits=4),
        marker={"color": [PROMO_COLOUR if value < 0 else MAIN_COLOUR for value in units.tolist()]},
        hovertemplate="%{y}: %{x:+,.0f} units (%{customdata:+.1%})<extra></extra>", showlegend=False,
    )  # fmt: skip
    figure.add_vline(x=0, line={"color": QUIET_COLOUR, "width": 1})
    figure.update_layout(
        height=120 + 24 * len(labels), yaxis={"autorange": "reversed", "type": "category"}, bargap=0.35
    )
    caption = (
        f"Today's forecast minus that of {short_day(since)} for the same {days} days: blue is more, orange "
        "less. Forecasts of all days together, so shifts from one day to another do not show."
    )
    return Figure("changes", "Stores whose forecast changed most", caption, figure)


def _days(as_of: date, outlook: Outlook) -> dict[str, list[str]]:
    past, ahead = len(outlook.sold), len(outlook.forecast)
    every = [str(as_of + timedelta(days=n)) for n in range(-past, ahead + 1)]
    behind, before = every[:past], every[past + 1 :]
    return {
        **dict.fromkeys(("forecast", "strategic"), before),
        **{f"{side}_{nominal}": before for nominal in _BANDS for side in ("lower", "upper")},
        **dict.fromkeys(("sold", "stockout"), behind),
        "told": behind[past - len(outlook.told) :],
        "promo": every,
    }


def _first_day(as_of: date, outlook: Outlook) -> date:
    """Day before the first sale: a new product has nothing to show before."""
    known = np.flatnonzero(~np.isnan(outlook.sold))
    past = len(outlook.sold) - (int(known[0]) if len(known) else 0)
    return as_of - timedelta(days=past + 1)


def _mark_days(figure: go.Figure, as_of: date, holidays: Sequence[date]) -> None:
    figure.add_shape(
        type="line", x0=str(as_of), x1=str(as_of), y0=0, y1=1, yref="paper",
        line={"color": QUIET_COLOUR, "dash": "dash", "width": 1},
    )  # fmt: skip
    marks = [(as_of, "today", "right"), *((day, "holiday", "center") for day in holidays)]
    for day, words, anchor in marks:
        figure.add_annotation(
            x=str(day), xanchor=anchor, y=1, yref="paper", yanchor="bottom", showarrow=False, text=words,
            font={"size": 11, "color": QUIET_COLOUR},
        )  # fmt: skip
    for day in holidays:
        figure.add_shape(
            type="rect", x0=f"{day - timedelta(days=1)} 12:00", x1=f"{day} 12:00", y0=0, y1=1, yref="paper",
            layer="below", line={"width": 0}, fillcolor="rgba(122,135,148,0.18)",
        )  # fmt: skip


def _short(values: Array, digits: int = 1) -> list[float | None]:
    """Numbers as short as a chart needs them: thousands without decimals."""
    found: list[float | None] = []
    for value in np.asarray(values, dtype=np.float64).tolist():
        if np.isnan(value):
            found.append(None)
        elif abs(value) >= 1000:
            found.append(round(value))
        else:
            found.append(round(value, digits if abs(value) >= 10 else max(digits, 2)))
    return found
