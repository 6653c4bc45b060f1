"""Figures of what watches a model: scores and volumes by week."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import pairwise

from pipelines.reporting.figure import LIMIT_COLOUR, MAIN_COLOUR, Array, Figure, new_plot, plain
from pipelines.reporting.words import number, percent, short_day

#: From low to high; light to dark in greyscale too.
_STEPS = ("#dbe9f9", "#b3d0f2", "#86b3e8", "#5a94db", "#3a74c4", "#e0832b", "#c8442f")


def scores_by_week(weeks: Sequence[date], edges: Sequence[float], shares: Array) -> Figure:
    """Score histogram by week, as stacked shares of accounts per score band.

    Parameters
    ----------
    weeks
        Score days, oldest first.
    edges
        Ascending edges of the bands from 0 to 1, one more than bands.
    shares
        Shape (weeks, bands); rows add up to 1.
    """
    figure = new_plot("", "Share of accounts")
    names = _week_names(weeks)
    for band, (low, high) in enumerate(pairwise(edges)):
        name = f"{percent(low)} to {percent(high)}"
        figure.add_bar(
            x=names, y=plain(shares[:, band]), name=name, marker={"color": _STEPS[band % len(_STEPS)]},
            hovertemplate="%{y:.1%} of accounts<extra>%{x}, score " + name + "</extra>",
        )  # fmt: skip
    figure.update_layout(
        barmode="stack", bargap=0.25, xaxis={"type": "category"}, legend={"traceorder": "normal"}
    )
    figure.update_layout(yaxis_tickformat=".0%", yaxis_range=[0, 1])
    caption = (
        "Every bar is a score day, its pieces the share of accounts by score. Bars of one height per colour "
        "mean stable scores; the alarm is raised when more than the stated share changes place."
    )
    return Figure("scores-by-week", "Score histogram by week", caption, figure)


def volume_by_week(weeks: Sequence[date], scored: Sequence[int], *, low: int, high: int) -> Figure:
    """Scored accounts by week between the bounds of the alarm."""
    figure = new_plot("", "Accounts scored")
    figure.add_bar(
        x=_week_names(weeks), y=list(scored), marker={"color": MAIN_COLOUR},
        hovertemplate="%{x}: %{y:,}<extra></extra>", showlegend=False,
    )  # fmt: skip
    for limit, words in ((low, "at least"), (high, "at most")):
        figure.add_hline(y=limit, line={"color": LIMIT_COLOUR, "dash": "dash", "width": 1.5})
        figure.add_annotation(
            x=1.01, xref="paper", xanchor="left", y=limit, yanchor="middle", showarrow=False, align="left",
            text=f"{words}<br>{number(limit)}", font={"color": LIMIT_COLOUR, "size": 12},
        )  # fmt: skip
    figure.update_layout(
        bargap=0.5,
        xaxis={"type": "category"},
        yaxis={"range": [0, 1.12 * max([high, *scored])]},
        yaxis_tickformat=",d",
        margin={"r": 70},
    )
    caption = f"An alarm is raised below {number(low)} and above {number(high)} predictions."
    return Figure("volume-by-week", "Predictions by week", caption, figure)


def _week_names(weeks: Sequence[date]) -> list[str]:
    """`2 Jun`, with the year where it is not that of the last week."""
    return [
        short_day(week).removesuffix(f" {weeks[-1].year}") if week.year == weeks[-1].year else short_day(week)
        for week in weeks
    ]
