"""Figures of a classifier, from small arrays.

Every function takes arrays that were computed elsewhere and returns a
:class:`~pipelines.reporting.figure.Figure`: the plot, and in words what it shows, for readers who
cannot see it and for those who are new to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np

from pipelines.reporting.figure import (
    Array,
    Colour,
    Figure,
    add_diagonal,
    error_bars,
    farthest,
    new_plot,
    plain,
    show_shares,
)
from pipelines.reporting.words import number, percent, short_day

_COLOURS = {"challenger": "#2f7ed8", "champion": "#e0832b", "logistic": "#7a8794", "usage_trend": "#3a9d6e"}
_BEESWARM_SCALE = [[0, "#2f7ed8"], [0.5, "#9b8bb4"], [1, "#d64550"]]


def precision_recall(
    curves: Mapping[str, Mapping[str, Array]],
    *,
    min_auc_pr: float,
    min_recall: float,
    operating: Mapping[str, tuple[float, float]],
    auc_pr: Mapping[str, float],
    rate: float,
) -> Figure:
    """Precision by recall of each candidate, with the thresholds of the gate.

    ``operating`` is recall and precision by candidate when the top 20 % are contacted, ``rate`` the share of
    accounts that churned: the precision of guessing.
    """
    figure = new_plot("Recall: share of churners found", "Precision: share of contacted who churn")
    for name, curve in curves.items():
        figure.add_scatter(
            x=plain(curve["recall"]), y=plain(curve["precision"]), name=f"{_label(name)} ({auc_pr[name]:.2f})",
            **_curve(name, "recall %{x:.0%}, precision %{y:.0%}"),
        )  # fmt: skip
    for name, (recall, precision) in operating.items():
        figure.add_scatter(
            x=[recall], y=[precision], mode="markers", showlegend=False,
            marker={"color": _COLOURS.get(name), "size": 9, "line": {"width": 1.5, "color": "#fff"}},
            hovertemplate="top 20 %: recall %{x:.0%}, precision %{y:.0%}<extra>" + _label(name) + "</extra>",
        )  # fmt: skip
    figure.add_vline(x=min_recall, line={"color": Colour.LIMIT, "dash": "dash", "width": 1.5})
    figure.add_annotation(
        x=min_recall, y=1.02, yref="paper", yanchor="bottom", showarrow=False,
        text=f"gate: recall of the top 20 % > {percent(min_recall)}", font={"color": Colour.LIMIT, "size": 12},
    )  # fmt: skip
    figure.add_hline(y=min_auc_pr, line={"color": Colour.LIMIT, "dash": "dash", "width": 1.5})
    figure.add_annotation(
        x=1, xanchor="right", y=min_auc_pr, yanchor="bottom", showarrow=False,
        text=f"gate: mean precision > {min_auc_pr:.2f}", font={"color": Colour.LIMIT, "size": 12},
    )  # fmt: skip
    figure.add_hline(y=rate, line={"color": Colour.QUIET, "dash": "dot", "width": 1})
    show_shares(figure)
    figure.update_layout(margin={"t": 30})
    caption = (
        f"AUC-PR (in brackets) is the mean height of a curve: the gate asks for more than the horizontal line, and for the "
        f"dot (the top 20 % contacted) to lie right of the vertical one. Guessing gives the dotted line, "
        f"{percent(rate, 1)}."
    )
    return Figure("precision-recall", "Precision and recall", caption, figure)


def calibration(curves: Mapping[str, Mapping[str, Array]]) -> Figure:
    """Observed churn by predicted probability, with the 95 % intervals of the observed rates."""
    figure = new_plot("Predicted probability of churn", "Share that churned")
    far = min(1.0, 1.05 * farthest(curves, "high", "predicted"))
    add_diagonal(figure, "perfect", far)
    for name, curve in curves.items():
        figure.add_scatter(
            x=plain(curve["predicted"]), y=plain(curve["observed"]), name=_label(name), mode="lines+markers",
            error_y=error_bars(curve["low"], curve["observed"], curve["high"]),
            line={"color": _COLOURS.get(name), "width": 2 if name == "challenger" else 1.2},
            customdata=plain(curve["n"]),
            hovertemplate="predicted %{x:.1%}, observed %{y:.1%} of %{customdata:,}<extra>"
            + _label(name) + "</extra>",
        )  # fmt: skip
    show_shares(figure, far)
    caption = (
        "On the dotted line, of 100 accounts with a score of 30 % just 30 leave. Bars are 95 % intervals: "
        "a bar that crosses the line is no evidence of a wrong probability."
    )
    return Figure("calibration", "Calibration", caption, figure)


def gain(curves: Mapping[str, Mapping[str, Array]], *, min_recall: float) -> Figure:
    """Recall@k: share of churners found by share of accounts contacted, lift in the hover text."""
    figure = new_plot("Share of accounts contacted, highest scores first", "Share of churners found")
    for name, curve in curves.items():
        figure.add_scatter(
            x=plain(curve["share"]), y=plain(curve["recall"]), name=_label(name),
            customdata=plain(curve["lift"]),
            **_curve(name, "top %{x:.0%}: %{y:.0%} of churners, lift %{customdata:.1f}"),
        )  # fmt: skip
    add_diagonal(figure, "at random", 1, width=1)
    figure.add_scatter(
        x=[0.2], y=[min_recall], mode="markers", name=f"gate: {percent(min_recall)} at 20 %",
        marker={"symbol": "line-ew", "size": 16, "line": {"color": Colour.LIMIT, "width": 3}},
        hoverinfo="skip",
    )  # fmt: skip
    show_shares(figure)
    words = [
        f"{_label(name)} {percent(_at(curve, 0.1))} in the top 10 %, {percent(_at(curve, 0.2))} in the top 20 %"
        for name, curve in curves.items()
        if name in ("challenger", "champion")
    ]
    caption = f"Of all churners: {'; '.join(words)}. Lift is the gain over contacting at random."
    return Figure("gain", "Recall by share contacted", caption, figure)


def lift(curves: Mapping[str, Mapping[str, Array]]) -> Figure:
    """Lift@k: how many times more churners the top of the ranking holds than a random group."""
    figure = new_plot("Share of accounts contacted, highest scores first", "Lift over contacting at random")
    for name, curve in curves.items():
        shown = curve["share"] >= 0.02  # the lift of a handful of accounts is noise
        figure.add_scatter(
            x=plain(curve["share"][shown]), y=plain(curve["lift"][shown]), name=_label(name),
            **_curve(name, "top %{x:.0%}: lift %{y:.1f}"),
        )  # fmt: skip
    figure.add_hline(y=1, line={"color": Colour.QUIET, "dash": "dot", "width": 1})
    figure.update_layout(xaxis={"range": [0, 1.02]}, yaxis={"rangemode": "tozero"}, xaxis_tickformat=".0%")
    caption = (
        "Contacting the top tenth finds as many times more churners than a random tenth as the curve is high. "
        "Where it flattens towards the dotted line, further contacts are hardly better than random ones."
    )
    return Figure("lift", "Lift by share contacted", caption, figure)


def beeswarm(
    features: Sequence[str], values: Sequence[Array], contributions: Sequence[Array], *, accounts: int
) -> Figure:
    """SHAP contributions, one row of points per feature (most important first), coloured by the feature's value.

    ``values`` are ranks among the sample of so many accounts in [0, 1], NaN for missing and for words;
    ``contributions`` are log-odds; both of shape (n,) for each feature.
    """
    figure = new_plot("Contribution to the log-odds of churn (right: more likely to leave)", "")
    for position, (value, contribution) in enumerate(zip(values, contributions, strict=True)):
        y = len(features) - 1 - position + _spread(contribution)
        known = ~np.isnan(value)
        for mask, marker in (
            (known, {"color": plain(value[known]), "coloraxis": "coloraxis"}),
            (~known, {"color": "#8a94a0"}),
        ):
            figure.add_scatter(
                x=plain(contribution[mask]), y=plain(y[mask]), mode="markers", showlegend=False,
                marker={**marker, "size": 4, "opacity": 0.75},
                hovertemplate="%{x:+.2f}<extra>" + features[position] + "</extra>",
            )  # fmt: skip
    figure.add_vline(x=0, line={"color": Colour.QUIET, "width": 1})
    figure.update_layout(
        height=110 + 34 * len(features),
        yaxis={
            "tickvals": list(range(len(features))), "ticktext": list(reversed(features)),
            "showgrid": False, "automargin": True, "range": [-0.7, len(features) - 0.3],
        },
        coloraxis={
            "colorscale": _BEESWARM_SCALE, "cmin": 0, "cmax": 1,
            "colorbar": {"tickvals": [0, 1], "ticktext": ["low", "high"], "thickness": 10,
                         "title": {"text": "value", "side": "right"}},
        },
    )  # fmt: skip
    caption = (
        f"One point per account of a sample of {number(accounts)}; red is a high value of the feature, blue "
        "a low one, grey a missing value or a word. Features are ordered by mean absolute contribution."
    )
    return Figure("beeswarm", "What drives the scores (SHAP)", caption, figure, wide=True)


def _label(candidate: str) -> str:
    return {"usage_trend": "usage trend alone", "logistic": "logistic regression"}.get(candidate, candidate)


def _curve(candidate: str, hover: str) -> dict[str, Any]:
    """How the curve of a candidate is drawn, with the words on its points."""
    return {
        "mode": "lines",
        "line": {"color": _COLOURS.get(candidate), "width": 3 if candidate == "challenger" else 1.8},
        "hovertemplate": f"{hover}<extra>{_label(candidate)}</extra>",
    }


def _at(curve: Mapping[str, Array], share: float) -> float:
    return float(np.interp(share, curve["share"], curve["recall"]))


def _spread(x: Array) -> Array:
    """Vertical offsets in [-0.4, 0.4] that keep points of one place apart (a beeswarm)."""
    low, high = float(x.min()), float(x.max())
    place = np.zeros(x.size, dtype=np.int64)
    if high > low:
        place = np.minimum(((x - low) / (high - low) * 60).astype(np.int64), 59)
    offsets = np.zeros(x.size)
    crowd = max(1, int(np.bincount(place).max()))
    for spot in np.unique(place):
        members = np.flatnonzero(place == spot)
        ranks = np.arange(members.size)
        sides = np.where(ranks % 2 == 0, 1, -1) * ((ranks + 1) // 2)
        offsets[members] = 0.8 * sides / crowd
    return offsets


#: From low to high; light to dark in greyscale too.
_STEPS = ("#dbe9f9", "#b3d0f2", "#86b3e8", "#5a94db", "#3a74c4", "#e0832b", "#c8442f")


def scores_by_week(weeks: Sequence[date], edges: Sequence[float], shares: Array) -> Figure:
    """Score histogram by week, as stacked shares of accounts per score band.

    ``shares`` has the shape (weeks, bands) and rows that add up to 1; ``edges``, one more than bands, ascend
    from 0 to 1.
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
        x=_week_names(weeks), y=list(scored), marker={"color": Colour.MAIN},
        hovertemplate="%{x}: %{y:,}<extra></extra>", showlegend=False,
    )  # fmt: skip
    for limit, words in ((low, "at least"), (high, "at most")):
        figure.add_hline(y=limit, line={"color": Colour.LIMIT, "dash": "dash", "width": 1.5})
        figure.add_annotation(
            x=1.01, xref="paper", xanchor="left", y=limit, yanchor="middle", showarrow=False, align="left",
            text=f"{words}<br>{number(limit)}", font={"color": Colour.LIMIT, "size": 12},
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
    return [short_day(week).removesuffix(f" {weeks[-1].year}") for week in weeks]
