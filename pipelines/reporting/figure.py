"""What a figure is, and the look that all figures share.

Colours are told apart in greyscale and by the colour-blind, and suit light and dark grounds; the
page's script sets fonts and grid lines to the reader's theme.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from pipelines.reporting.words import THIN

Array = npt.NDArray[np.float64]


class Colour:
    """The colours of all figures."""

    #: Thresholds and bounds of alarms.
    LIMIT = "#c8442f"
    #: Helping lines and what has no value.
    QUIET = "#7a8794"
    #: Series that need no telling apart.
    MAIN = "#2f7ed8"
    #: Series that are told apart.
    PALETTE = ("#2f7ed8", "#e0832b", "#3a9d6e", "#8e5bb5", "#7a8794")


@dataclass(frozen=True)
class Figure:
    """A plot with its title and its description in words."""

    #: Id of the element on the page.
    name: str
    #: Heading, and how to read it with the main figures.
    title: str
    caption: str
    #: The plotly figure; its title stays empty because the page has it.
    plot: go.Figure
    #: Whether it needs the full width of the page.
    wide: bool = False

    @property
    def payload(self) -> dict[str, Any]:
        """Data and layout as JSON-able values."""
        figure = self.plot.to_plotly_json()
        return {"data": figure["data"], "layout": figure["layout"]}

    @property
    def height(self) -> int:
        """Height in pixels, reserved before the plot is drawn so that the page does not jump."""
        return int(self.plot.layout.height)


@dataclass(frozen=True)
class Choice:
    """One of many things of which a figure shows one at a time; see the ``chooser`` macro."""

    #: Id, what it is called, and under what it is listed.
    name: str
    label: str
    group: str
    #: What there is to say of it, one sentence.
    words: str
    #: What the page's script puts into the figure: ``y``, maybe ``x``, of each trace.
    places: Mapping[str, Any]


@dataclass(frozen=True)
class Choices:
    """Things to choose from."""

    #: Places by thing: the looks are the figure's.
    payload: dict[str, Any]
    #: ``{group: [(name, label), ...]}`` of the menu.
    groups: Mapping[str, Sequence[tuple[str, str]]]


@dataclass(frozen=True)
class Chosen:
    """A figure with a menu."""

    figure: Figure
    choices: Choices


def with_menu(figure: Figure, choices: Sequence[Choice]) -> Chosen:
    """Give a figure, which shows the first choice, a menu of all of them."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for one in choices:
        groups.setdefault(one.group, []).append((one.name, one.label))
    rows = [{"name": one.name, "words": one.words, **one.places} for one in choices]
    return Chosen(figure, Choices({"target": figure.name, "choices": rows}, groups))


def new_plot(x: str, y: str) -> go.Figure:
    """Empty plot with the titles of its axes."""
    axis = {"automargin": True, "zeroline": False}
    return go.Figure(
        layout=go.Layout(
            template=None,
            height=380,
            margin={"l": 10, "r": 10, "t": 14, "b": 10},
            font={"family": "system-ui, sans-serif", "size": 13},
            separators=f".{THIN}",
            xaxis={**axis, "title": {"text": x, "font": {"size": 13}}},
            yaxis={**axis, "title": {"text": y, "font": {"size": 13}}},
            legend={"orientation": "h", "yanchor": "top", "y": -0.2, "x": 0},
            hovermode="closest",
        )
    )


def add_diagonal(figure: go.Figure, name: str, far: float, **line: float) -> None:
    """Add the dotted line up to ``far`` on which both axes say the same."""
    figure.add_scatter(
        x=[0, far], y=[0, far], mode="lines", name=name, hoverinfo="skip",
        line={"color": Colour.QUIET, "dash": "dot", **line},
    )  # fmt: skip


def error_bars(low: Array, middle: Array, high: Array) -> dict[str, Any]:
    """How plotly draws an interval around each point."""
    ends = {"array": plain(high - middle), "arrayminus": plain(middle - low)}
    return {"type": "data", "symmetric": False, "thickness": 1.2, "width": 3, **ends}


def show_shares(figure: go.Figure, far: float = 1.02) -> None:
    """Let both axes go from 0 to ``far``, in per cent."""
    axis = {"range": [0, far], "tickformat": ".0%"}
    figure.update_layout(xaxis=axis, yaxis=axis)


def farthest(curves: Mapping[str, Mapping[str, Array]], *columns: str) -> float:
    """Largest value of some columns of all curves; 1 where there is none."""
    shown = [curve[column] for curve in curves.values() for column in columns if len(curve[column])]
    return max((float(np.nanmax(values)) for values in shown), default=1.0)


def plain(array: Array) -> list[float | None]:
    """Give a list of rounded numbers, NaN as None: plotly would store an array as base64."""
    return [None if np.isnan(value) else round(value, 5) for value in array.tolist()]


def short(values: Array, digits: int = 1) -> list[float | None]:
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
