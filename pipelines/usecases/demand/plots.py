"""Figures of forecasts: how good they were, and how they changed since the day before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
import plotly.graph_objects as go

from pipelines.reporting.figure import Array, Colour, Figure, new_plot, plain, short
from pipelines.reporting.words import count, number, percent, short_day
from pipelines.usecases.demand.schemas import TARGET_HORIZON

#: From near to far horizons; visible on light and dark grounds.
_BARS = ("#9cc3f0", "#4f8fdc", "#2c66b0")
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")


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
        line={"color": Colour.MAIN, "width": 2.6}, marker={"size": 6},
        hovertemplate="J+%{x}: %{y:.1%}<extra>last days</extra>",
    )  # fmt: skip
    figure.add_scatter(
        x=list(backtest), y=plain(np.array(list(backtest.values()), dtype=np.float64)), mode="markers",
        name="backtest", marker={"color": Colour.QUIET, "symbol": "diamond-open", "size": 9,
                                 "line": {"width": 2}},
        hovertemplate="J+%{x}: %{y:.1%}<extra>backtest</extra>",
    )  # fmt: skip
    figure.add_hline(y=target, line={"color": Colour.LIMIT, "dash": "dash", "width": 1.5})
    figure.add_annotation(
        x=1, xanchor="right", xref="paper", y=target, yanchor="bottom", showarrow=False,
        text=f"target at J+{TARGET_HORIZON}: {percent(target)}", font={"color": Colour.LIMIT, "size": 12},
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
        figure.add_hline(y=side, line={"color": Colour.LIMIT, "dash": "dash", "width": 1.2})
    figure.add_hline(y=0, line={"color": Colour.QUIET, "width": 1})
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
        marker={"color": [Colour.PALETTE[0] if value > 0 else Colour.PALETTE[1] for value in biases.tolist()]},
        hovertemplate="%{y}: %{x:+.1%}<extra></extra>",
    )  # fmt: skip
    for side in (-limit, limit):
        figure.add_vline(x=side, line={"color": Colour.LIMIT, "dash": "dash", "width": 1.2})
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
        colour, dash = Colour.PALETTE[place % len(Colour.PALETTE)], _DASHES[place % len(_DASHES)]
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
    figure.add_hline(y=nominal / 100, line={"color": Colour.QUIET, "width": 1.5})
    for bound in bounds or ():
        figure.add_hline(y=bound, line={"color": Colour.LIMIT, "dash": "dash", "width": 1.2})
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
        colour = Colour.PALETTE[place % len(Colour.PALETTE)]
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


def changes(labels: Sequence[str], units: Array, shares: Array, *, since: date, days: int) -> Figure:
    """Change of the forecast since an earlier day, one bar per node, largest change first.

    ``units`` is the change in units, ``shares`` that as a share of the earlier forecast.
    """
    figure = new_plot(f"Change of the total of {days} days, units", "")
    figure.add_bar(
        x=short(units), y=list(labels), orientation="h",
        customdata=short(shares, digits=4),
        marker={"color": [Colour.PALETTE[1] if value < 0 else Colour.MAIN for value in units.tolist()]},
        hovertemplate="%{y}: %{x:+,.0f} units (%{customdata:+.1%})<extra></extra>", showlegend=False,
    )  # fmt: skip
    figure.add_vline(x=0, line={"color": Colour.QUIET, "width": 1})
    figure.update_layout(
        height=120 + 24 * len(labels), yaxis={"autorange": "reversed", "type": "category"}, bargap=0.35
    )
    caption = (
        f"Today's forecast minus that of {short_day(since)} for the same {days} days: blue is more, orange "
        "less. Forecasts of all days together, so shifts from one day to another do not show."
    )
    return Figure("changes", "Stores whose forecast changed most", caption, figure)
