"""Figures of how good forecasts were: error by horizon and level, bias, coverage, error from day to day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
import plotly.graph_objects as go

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
from pipelines.reporting.words import count, number, percent

#: From near to far horizons; visible on light and dark grounds.
_BARS = ("#9cc3f0", "#4f8fdc", "#2c66b0")
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")


def error_by_horizon(
    segment: str,
    realised: Array,
    backtest: Mapping[int, float],
    *,
    target: float,
    target_horizon: int,
    series: int,
) -> Figure:
    """MAPE by days ahead of one segment against its target.

    Parameters
    ----------
    realised : ndarray of shape (H,)
        MAPE of the last days by horizon; NaN where there is none yet.
    backtest
        MAPE of the last backtest, by horizon.
    target, target_horizon
        What was promised, and for how many days ahead.
    series
        How many series it rests on.
    """
    figure = new_plot("Days ahead", "MAPE")
    horizons = list(range(1, len(realised) + 1))
    figure.add_scatter(
        x=horizons, y=plain(realised), mode="lines+markers", name="last days",
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
        text=f"target at J+{target_horizon}: {percent(target)}", font={"color": LIMIT_COLOUR, "size": 12},
    )  # fmt: skip
    top = np.nanmax([target, *realised[~np.isnan(realised)], *backtest.values()])
    figure.update_layout(
        height=290,
        yaxis={"range": [0, 1.15 * float(top)], "tickformat": ".0%"},
        xaxis={"dtick": 2, "range": [0.5, len(realised) + 0.5]},
    )
    now = realised[target_horizon - 1] if len(realised) >= target_horizon else np.nan
    told = (
        f"{percent(float(now), 1)} at J+{target_horizon} over the last days"
        if not np.isnan(now)
        else f"Not enough days yet at J+{target_horizon}"
    )
    caption = f"{told}; {count(series, 'series sells', 'series sell')} enough to be promised an error."
    return Figure(f"error-{segment}", segment.capitalize(), caption, figure)


def error_by_level(levels: Sequence[str], errors: Mapping[int, Array]) -> Figure:
    """WAPE by level of the hierarchy, one bar per horizon.

    Parameters
    ----------
    errors
        By horizon, shape (levels,); NaN where unknown.
    """
    figure = new_plot("", "WAPE")
    for place, (horizon, values) in enumerate(errors.items()):
        figure.add_bar(
            x=list(levels), y=plain(values), name=f"J+{horizon}", showlegend=True,
            marker={"color": _BARS[place % len(_BARS)]},
            hovertemplate="%{x}, J+" + str(horizon) + ": %{y:.1%}<extra></extra>",
        )  # fmt: skip
    figure.update_layout(barmode="group", bargap=0.3, yaxis_tickformat=".0%", xaxis={"type": "category"})
    caption = (
        "Sum of absolute errors over sum of sales. Errors of single products cancel in the sums, so each level "
        "is easier than the one below it."
    )
    return Figure("error-by-level", "Error by level", caption, figure)


def bias_by_segment(segments: Sequence[str], biases: Mapping[int, Array], *, limit: float) -> Figure:
    """Bias by segment and horizon between the limits of the alarm.

    Parameters
    ----------
    biases
        By horizon, shape (segments,).
    """
    figure = new_plot("", "Forecast over sales minus one")
    for place, (horizon, values) in enumerate(biases.items()):
        figure.add_bar(
            x=list(segments), y=plain(values), name=f"J+{horizon}", showlegend=True,
            marker={"color": _BARS[place % len(_BARS)]},
            hovertemplate="%{x}, J+" + str(horizon) + ": %{y:+.1%}<extra></extra>",
        )  # fmt: skip
    _limits(figure, limit)
    figure.update_layout(barmode="group", bargap=0.3, yaxis_tickformat="+.0%", xaxis={"type": "category"})
    caption = (
        f"Above zero, forecasts were too high and shelves too full; below, too low. An alarm is raised beyond "
        f"{percent(limit)} either way."
    )
    return Figure("bias-by-segment", "Bias by segment", caption, figure)


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
    """Measured coverage by days ahead, one line per level.

    Parameters
    ----------
    realised, backtest
        By level, shape (H,); either may be empty.
    bounds
        Limits of the alarm; none for an interval that is not judged.
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
    low = min(
        [nominal / 100, *(bounds or ()), *(float(v) for s in (realised, backtest) for a in s.values()
                                           for v in a[~np.isnan(a)])]
    )  # fmt: skip
    figure.update_layout(
        height=340,
        yaxis={"tickformat": ".0%", "range": [max(0.0, low - 0.06), 1.01]},
        xaxis={"dtick": 2},
    )
    caption = (
        f"Of 100 days, {nominal} should lie inside: on the grey line the interval is honest, below it is too "
        "narrow and safety stocks are too small. Diamonds are the backtest."
    )
    return Figure(f"coverage-{nominal}", f"Coverage of the {nominal} % interval", caption, figure)


def error_from_day_to_day(
    days: Sequence[date], errors: Mapping[str, Array], targets: Mapping[str, float], horizon: int
) -> Figure:
    """MAPE of the two weeks before each day, one line per segment."""
    figure = new_plot("", f"MAPE at J+{horizon}")
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


def _limits(figure: go.Figure, limit: float) -> None:
    for side in (-limit, limit):
        figure.add_hline(y=side, line={"color": LIMIT_COLOUR, "dash": "dash", "width": 1.2})
    figure.add_hline(y=0, line={"color": QUIET_COLOUR, "width": 1})
