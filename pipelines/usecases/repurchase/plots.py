"""Figures of predicted orders: when customers come, how good dates, probabilities and lists were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
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
from pipelines.reporting.words import number, percent
from pipelines.usecases.repurchase.schemas import label

_COLOURS = {"challenger": Colour.MAIN, "champion": "#e0832b"}


def arrivals(days: Sequence[date], expected: Array, weekend: Sequence[bool]) -> Figure:
    """Expected orders by day: sum of return probabilities of the customers who are expected on the day."""
    figure = new_plot("", "Expected orders")
    figure.add_bar(
        x=[str(day) for day in days], y=plain(expected),
        marker={"color": [Colour.QUIET if end else Colour.MAIN for end in weekend]},
        hovertemplate="%{x|%a %d %b}: %{y:,.0f} orders<extra></extra>", showlegend=False,
    )  # fmt: skip
    figure.update_layout(xaxis={"tickformat": "%d %b", "type": "date"}, bargap=0.25, height=300)
    week = float(expected[:7].sum())
    caption = (
        f"Customers by the day around which they are expected, each counted with the probability that they come at all. "
        f"{number(week)} orders in the first seven days, {number(float(expected.sum()))} in all. Grey days are weekends."
    )
    return Figure("arrivals", "Who comes when", caption, figure, wide=True)


def gap_calibration(bins: Mapping[str, Mapping[str, Array]], *, coverage: float, nominal: float) -> Figure:
    """Days that customers really took, by the days that were predicted.

    ``bins`` has for each candidate ``predicted`` and the quartiles ``low``, ``median``, ``high`` of what
    came, and ``rows``, each of shape (n_bins,); ``coverage`` is the share of returns within their window,
    ``nominal`` what it should be.
    """
    figure = new_plot("Predicted days to the next order", "Days it took (median and middle half)")
    add_diagonal(figure, "as predicted", farthest(bins, "high"))
    for place, (name, found) in enumerate(bins.items()):
        figure.add_scatter(
            x=plain(found["predicted"]), y=plain(found["median"]), mode="lines+markers",
            **_curve(name, place, "predicted %{x:.1f} days, median %{y:.1f} of %{customdata:,} returns"),
            error_y={
                **error_bars(found["low"], found["median"], found["high"]), "visible": name == "challenger",
            },
            customdata=plain(found["rows"]),
        )  # fmt: skip
    figure.update_layout(xaxis={"rangemode": "tozero"}, yaxis={"rangemode": "tozero"})
    caption = (
        f"On the dotted line customers come as long after as was said. Bars hold the middle half of the returns. "
        f"{percent(coverage)} of the returns fell into their window; {percent(nominal)} should."
    )
    return Figure("gap-calibration", "Do they come when we say?", caption, figure)


def reliability(curves: Mapping[str, Mapping[str, Array]], *, kind: str) -> Figure:
    """Observed share by predicted probability; ``kind`` is ``product`` or ``return``."""
    what = {"product": "of the products were bought", "return": "of the customers came back"}[kind]
    figure = new_plot("Predicted probability", f"Share {what}")
    far = min(1.0, 1.05 * farthest(curves, "predicted", "observed"))
    add_diagonal(figure, "perfect", far)
    for place, (name, curve) in enumerate(curves.items()):
        figure.add_scatter(
            x=plain(curve["predicted"]), y=plain(curve["observed"]), mode="lines+markers",
            customdata=plain(curve["rows"]),
            **_curve(name, place, "predicted %{x:.1%}, observed %{y:.1%} of %{customdata:,}", width=2.4),
        )  # fmt: skip
    show_shares(figure, far)
    title = {"product": "Product probabilities", "return": "Probabilities of coming back"}[kind]
    example = {
        "product": "of 100 products with a probability of 30 %, 30 are in the next order",
        "return": "of 100 customers with a probability of 80 %, 80 order within the horizon",
    }[kind]
    return Figure(f"reliability-{kind}", title, f"On the dotted line, {example}.", figure)


def f1_by_size(groups: Sequence[str], f1: Mapping[str, Array], rows: Sequence[int]) -> Figure:
    """Mean F1 of each candidate's lists, and number of orders, by the size of the order that followed."""
    figure = new_plot("Products of the next order bought before", "Mean F1 of the list")
    for place, (name, values) in enumerate(f1.items()):
        figure.add_bar(
            x=list(groups), y=plain(values), name=label(name), marker={"color": _colour(name, place)},
            customdata=list(rows),
            hovertemplate="%{x} products: F1 %{y:.2f} over %{customdata:,} orders<extra>" + label(name) + "</extra>",
        )  # fmt: skip
    figure.update_layout(barmode="group", bargap=0.25, yaxis={"range": [0, 1]}, xaxis={"type": "category"})
    caption = (
        "F1 is 1 if the list is just what was bought again, 0 if nothing on it was. "
        f"Orders: {', '.join(f'{number(n)} with {g}' for g, n in zip(groups, rows, strict=True))}."
    )
    return Figure("f1-by-size", "Lists by size of the order", caption, figure)


def gains(curves: Mapping[str, Mapping[str, Array]], *, kind: str) -> Figure:
    """Share of what came true among the likeliest, by share of rows taken.

    ``curves`` has ``rows`` and ``observed`` by bin, likeliest first, of each candidate.
    """
    taken, found = {
        "product": ("Share of candidate products taken, likeliest first", "Share of repeated products found"),
        "return": ("Share of customers taken, likeliest first", "Share of returning customers found"),
    }[kind]
    figure, words = new_plot(taken, found), []
    for place, (name, curve) in enumerate(curves.items()):
        share, gain = gain_curve(curve["rows"], curve["observed"])
        figure.add_scatter(
            x=plain(share), y=plain(gain), mode="lines",
            **_curve(name, place, "likeliest %{x:.0%}: %{y:.0%} found"),
        )  # fmt: skip
        words.append(f"{label(name)} {percent(float(np.interp(0.2, share, gain)))}")
    add_diagonal(figure, "at random", 1, width=1)
    show_shares(figure)
    title = {"product": "Gains: products", "return": "Gains: customers"}[kind]
    caption = f"Found in the likeliest fifth: {'; '.join(words)}; at random {percent(0.2)}."
    return Figure(f"gains-{kind}", title, caption, figure)


def gain_curve(rows: Array, observed: Array) -> tuple[Array, Array]:
    """Cumulative shares of rows and of what came true, from 0 to 1, shape (n_bins + 1,) each."""
    hits = rows * observed
    share = np.concatenate([[0.0], np.cumsum(rows) / max(rows.sum(), 1)])
    gain = np.concatenate([[0.0], np.cumsum(hits) / max(hits.sum(), 1e-12)])
    return share, gain


def realised(days: Sequence[date], found: Mapping[str, Array]) -> list[Figure]:
    """What became of past predictions, by the day on which they were made.

    ``found`` has ``returned`` and ``expected`` (shares of customers), ``f1``, ``expected_f1`` and
    ``in_window``.
    """
    x = [str(day) for day in days]
    back = new_plot("Day of the prediction", "Share of customers who came back")
    lists = new_plot("Day of the prediction", "Mean F1 of the lists; share in the window")
    for figure, name, words, colour, dash in (
        (back, "returned", "came back", Colour.MAIN, "solid"),
        (back, "expected", "expected", Colour.QUIET, "dot"),
        (lists, "f1", "F1", Colour.MAIN, "solid"),
        (lists, "expected_f1", "expected F1", Colour.QUIET, "dot"),
        (lists, "in_window", "returns in their window", "#3a9d6e", "solid"),
    ):
        figure.add_scatter(
            x=x, y=plain(found[name]), mode="lines+markers", name=words,
            line={"color": colour, "dash": dash, "width": 2}, marker={"size": 6},
            hovertemplate="%{x|%d %b %Y}: %{y:.1%}<extra>" + words + "</extra>",
        )  # fmt: skip
    for figure in (back, lists):
        figure.update_layout(
            xaxis={"tickformat": "%d %b %Y", "type": "date"}, yaxis={"range": [0, 1]}, yaxis_tickformat=".0%"
        )
    newest = {name: float(values[-1]) for name, values in found.items()}
    return [
        Figure(
            "realised-returns", "Did they come back?",
            f"Of the customers of the newest day whose horizon is over, {percent(newest['returned'])} came back; "
            f"{percent(newest['expected'])} were expected to.", back,
        ),
        Figure(
            "realised-lists", "Were dates and lists right?",
            f"Newest day: F1 of the lists {newest['f1']:.2f}, expected {newest['expected_f1']:.2f}; "
            f"{percent(newest['in_window'])} of the returns fell into their window.", lists,
        ),
    ]  # fmt: skip


def _curve(name: str, place: int, hover: str, *, width: float = 2.6) -> dict[str, Any]:
    """How the curve of a candidate is drawn, with the words on its points."""
    return {
        "name": label(name),
        "line": {"color": _colour(name, place), "width": width if name == "challenger" else 1.4},
        "hovertemplate": f"{hover}<extra>{label(name)}</extra>",
    }


def _colour(name: str, place: int) -> str:
    return _COLOURS.get(name, Colour.PALETTE[2 + place % 3])
