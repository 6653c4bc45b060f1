"""Figures of imputation: what is missing, how well hidden cells come back, what the model rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from pipelines.reporting.figure import (
    Array,
    Choice,
    Chosen,
    Colour,
    Figure,
    error_bars,
    new_plot,
    plain,
    with_menu,
)
from pipelines.reporting.words import percent

_MISSING_SCALE = [[0, "rgba(47,126,216,0.06)"], [0.15, "#9fc3ec"], [0.5, "#2f7ed8"], [1, "#16375f"]]
_DRAWN_COLOUR = Colour.PALETTE[1]


def missing_map(
    shares: Mapping[str, Array], bins: Sequence[str], sensors: Sequence[str], *, parts: int
) -> Figure:
    """Share of missing cells by sensor and time, side by side for each line.

    ``shares`` by line have the shape (sensors, bins), NaN where the line made no part; ``bins`` name the
    first day of each.
    """
    figure = new_plot("", "")
    count = len(shares)
    width, gap = (1 - 0.03 * (count - 1)) / count, 0.03
    for number, (line, z) in enumerate(shares.items()):
        axis = "" if number == 0 else str(number + 1)
        figure.add_heatmap(
            x=list(bins), y=list(sensors), z=[plain(row) for row in z], zmin=0, zmax=1, xaxis=f"x{axis}",
            colorscale=_MISSING_SCALE, showscale=number == 0, xgap=1, ygap=1,
            colorbar={"tickformat": ".0%", "thickness": 10, "len": 0.5, "y": 0.75},
            hovertemplate="%{y}<br>from %{x}: %{z:.0%} missing<extra>" + line + "</extra>",
        )  # fmt: skip
        left = number * (width + gap)
        figure.update_layout(
            {
                f"xaxis{axis}": {
                    "domain": [left, left + width], "type": "category", "tickfont": {"size": 12},
                    "nticks": 5 if count < 3 else 3, "automargin": True, "anchor": "y", "showgrid": False,
                }
            }
        )  # fmt: skip
        figure.add_annotation(
            text=line, x=left, xref="paper", xanchor="left", y=1, yref="paper", yanchor="bottom", showarrow=False,
        )  # fmt: skip
    figure.update_layout(
        yaxis={
            "autorange": "reversed", "automargin": True, "tickmode": "linear", "showgrid": False, "type": "category",
        },
        height=120 + 17 * len(sensors), margin={"t": 30},
    )  # fmt: skip
    caption = (
        f"Share of cells without a measured value, of {parts:,} parts, oldest left. A dark row is a sensor that is "
        "silent or beyond its limit; a dark block over all sensors of a station is a stop."
    )
    return Figure("missing-map", "Where and when cells are missing", caption, figure, wide=True)


def overimputed(options: Sequence[Choice]) -> Chosen:
    """Imputed mean and 90 % interval of cells that were taken out, by what was measured; one sensor at a time.

    The traces of a choice: diagonal, intervals that hold the value, intervals that miss it, means.
    """
    figure = new_plot("Measured, then taken out", "Imputed: mean and 90 % interval of the draws")
    first = options[0].places
    looks: tuple[dict[str, Any], ...] = (
        {
            "mode": "lines",
            "line": {"color": Colour.QUIET, "dash": "dot", "width": 1.5},
            "name": "imputed = measured",
        },
        {"mode": "lines", "line": {"color": Colour.MAIN, "width": 1.2}, "opacity": 0.45, "name": "holds it"},
        {"mode": "lines", "line": {"color": Colour.LIMIT, "width": 1.8}, "name": "misses it"},
        {"mode": "markers", "marker": {"color": Colour.MAIN, "size": 5}, "name": "mean of the draws"},
    )
    for x, y, look in zip(first["x"], first["y"], looks, strict=True):
        figure.add_scatter(
            x=x, y=y, connectgaps=False, **look, hovertemplate="%{x:.4g} → %{y:.4g}<extra></extra>"
        )
    figure.update_layout(height=430)
    caption = (
        "Cells that had been measured, of parts that the model never saw, were taken out and imputed. An interval that "
        "crosses the dotted line holds the truth: nine of ten should. Points along the line mean that the other "
        "sensors tell much; a level cloud means that they tell little, and wide intervals then say so."
    )
    return with_menu(Figure("overimputation", "Hidden cells that came back", caption, figure), options)


def coverage(sensors: Sequence[str], shares: Array, low: Array, high: Array, cells: Array) -> Figure:
    """Share of hidden cells that the 90 % interval held, by sensor."""
    figure = new_plot("Share of hidden cells within their 90 % interval", "")
    figure.add_scatter(
        x=plain(shares), y=list(sensors), mode="markers", marker={"color": Colour.MAIN, "size": 8},
        error_x=error_bars(low, shares, high),
        customdata=plain(cells), hovertemplate="%{y}: %{x:.0%} of %{customdata} cells<extra></extra>",
        showlegend=False,
    )  # fmt: skip
    figure.add_vline(x=0.9, line={"color": Colour.LIMIT, "dash": "dash", "width": 1.5})
    _row_per_sensor(figure, len(sensors), range=[max(0.0, float(np.nanmin(low)) - 0.02), 1.005])
    caption = (
        "90 % is right. A bar wholly left of the line: the draws of that sensor are surer than they should be. Wholly "
        "right: they are too cautious. Bars are 95 % intervals."
    )
    return Figure("coverage", "Do the intervals keep their word?", caption, figure)


def densities(options: Sequence[Choice]) -> Chosen:
    """Distribution of measured and of drawn values; one sensor at a time."""
    figure = new_plot("Value", "Density")
    x, y = (options[0].places[axis] for axis in "xy")
    figure.add_scatter(
        x=x[0], y=y[0], mode="lines", name="measured", line={"color": Colour.QUIET, "width": 2}
    )
    figure.add_scatter(
        x=x[1], y=y[1], mode="lines", name="drawn",
        line={"color": _DRAWN_COLOUR, "width": 2.5, "dash": "dash"},
    )  # fmt: skip
    figure.update_layout(yaxis={"rangemode": "tozero", "showticklabels": False}, height=360)
    caption = (
        "They need not be alike: cells that are missing where values are low must be drawn low. What the other sensors, "
        "the line or a detection limit do not explain is worth a look."
    )
    return with_menu(Figure("density", "Measured and drawn values", caption, figure), options)


def paths(paths_by_start: Mapping[int, tuple[Array, Array]], words: str) -> Figure:
    """EM from dispersed starts: all should end in one place."""
    figure = new_plot("Iteration of EM", "Distance to where the starts end")
    for number, (iteration, position) in paths_by_start.items():
        figure.add_scatter(
            x=plain(iteration), y=plain(position), mode="lines", name=f"start {number}",
            line={"color": Colour.PALETTE[(number - 1) % len(Colour.PALETTE)], "width": 1.8},
        )  # fmt: skip
    figure.add_hline(y=0, line={"color": Colour.QUIET, "dash": "dot", "width": 1})
    figure.update_layout(height=340)
    return Figure(
        "dispersion", "The same answer from everywhere?", f"{words[:1].upper()}{words[1:]}.", figure
    )


def information(sensors: Sequence[str], shares: Array, needed: Array, *, m: int) -> Figure:
    """Fraction of missing information by sensor."""
    figure = new_plot("Fraction of the information on the sensor's mean that is missing", "")
    figure.add_bar(
        x=plain(shares), y=list(sensors), orientation="h", marker={"color": Colour.MAIN}, customdata=plain(needed),
        hovertemplate="%{y}: %{x:.0%}, calls for %{customdata} data sets<extra></extra>", showlegend=False,
    )  # fmt: skip
    _row_per_sensor(figure, len(sensors), rangemode="tozero")
    caption = (
        f"Less than the share of missing cells where other sensors tell much of them. {m} data sets are made; the worst "
        f"sensor ({percent(float(np.nanmax(shares)))}) calls for {int(np.nanmax(needed))} if standard errors shall come "
        "out the same to within 5 %."
    )
    return Figure("information", "How much is not known", caption, figure)


def sensitivity(options: Sequence[Choice]) -> Chosen:
    """Difference of a line from the others if its missing cells are shifted; one sensor at a time.

    The traces of a choice: band of the 95 % interval (there and back), estimate.
    """
    figure = new_plot(
        "Shift of the line's imputed cells, in standard deviations", "Difference from the other lines"
    )
    x, y = (options[0].places[axis] for axis in "xy")
    figure.add_scatter(
        x=x[0], y=y[0], mode="lines", fill="toself", fillcolor="rgba(47,126,216,0.2)",
        line={"width": 0}, hoverinfo="skip", name="95 % interval",
    )  # fmt: skip
    figure.add_scatter(
        x=x[1], y=y[1], mode="lines+markers", name="difference", line={"color": Colour.MAIN, "width": 2},
        hovertemplate="shift %{x:+.2f}: %{y:.4g}<extra></extra>",
    )  # fmt: skip
    figure.add_hline(y=0, line={"color": Colour.LIMIT, "dash": "dash", "width": 1.5})
    figure.add_vline(x=0, line={"color": Colour.QUIET, "dash": "dot", "width": 1})
    figure.update_layout(height=360)
    caption = (
        "At 0 the missing cells are as the other sensors say. If they were really lower or higher than that, the "
        "difference would move along the line: where the band crosses zero, the conclusion falls. Ask whether a shift "
        "of that size is plausible."
    )
    return with_menu(
        Figure("sensitivity", "What if they are missing because of what they are?", caption, figure), options
    )


def _row_per_sensor(figure: go.Figure, sensors: int, **shares: Any) -> None:
    """Shares by sensor, the first on top."""
    figure.update_layout(
        yaxis={"autorange": "reversed", "tickmode": "linear", "type": "category"},
        xaxis={"tickformat": ".0%", **shares},
        height=max(300, 70 + 17 * sensors),
    )
