"""Figures of groups of similar things: the tree and its cut, the number of groups, the map, profiles, moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from pipelines.reporting.figure import Array, Colour, Figure, new_plot, plain
from pipelines.reporting.words import count, number, percent

#: Colours of groups in the order of their names; they differ in lightness as well.
PALETTE = (
    "#2f7ed8", "#e0832b", "#3a9d6e", "#8e5bb5", "#c8442f",
    "#1f9fb0", "#b5902a", "#d0609a", "#5b6fae", "#6d8f3a",
)  # fmt: skip
#: Marks, so that colour is not all that tells groups apart.
SYMBOLS = (
    "circle", "square", "diamond", "triangle-up", "cross", "x", "pentagon", "hexagon", "star", "hourglass",
)  # fmt: skip

#: Branches drawn of a tree; below them only their size is told.
_BRANCHES = 30

#: Test value from which a cell of the heat map has its full colour.
_FULL_COLOUR = 12.0
_DIVERGING = [[0, "#2f7ed8"], [0.5, "rgba(140,150,160,0.12)"], [1, "#e0832b"]]


@dataclass(frozen=True)
class Places:
    """Stores on the map, in arrays and lists of one length."""

    #: Coordinates.
    x: Array
    y: Array
    #: Group and name of each.
    group: Sequence[str]
    label: Sequence[str]
    #: Which stand for their group, and which do not fit it.
    typical: np.ndarray
    atypical: np.ndarray


def colour_of(groups: Sequence[str], group: str) -> str:
    """Colour of a group: that of its letter, so that it stays from run to run."""
    return PALETTE[_place(groups, group) % len(PALETTE)]


def tree(merges: Array, *, groups: int, things: str = "stores") -> Figure:
    """Tree of merges (SciPy's linkage matrix, shape (n - 1, 4)) with the height at which it is cut into groups."""
    from scipy.cluster.hierarchy import dendrogram

    n = len(merges) + 1
    drawn = dendrogram(merges, p=min(_BRANCHES, n), truncate_mode="lastp", no_plot=True)
    heights = merges[:, 2]
    above = heights[n - groups] if groups > 1 else heights[-1] * 1.1
    below = heights[n - groups - 1] if groups < n else 0.0
    cut = float(above + below) / 2
    figure = new_plot("Branches, with the stores in each", "Difference at which they are merged")
    xs: list[float | None] = []
    ys: list[float | None] = []
    for x, y in zip(drawn["icoord"], drawn["dcoord"], strict=True):
        xs += [*map(float, x), None]
        ys += [*map(float, y), None]
    line = {"color": Colour.MAIN, "width": 1.5}
    figure.add_scatter(x=xs, y=ys, mode="lines", line=line, showlegend=False, hoverinfo="skip")
    figure.add_hline(y=cut, line={"color": Colour.LIMIT, "dash": "dash", "width": 1.5})
    figure.add_annotation(
        x=1, xref="paper", xanchor="right", y=cut, yanchor="bottom", showarrow=False,
        text=f"cut: {groups} groups", font={"color": Colour.LIMIT, "size": 12},
    )  # fmt: skip
    sizes = [text.strip("()") if text.startswith("(") else "1" for text in drawn["ivl"]]
    figure.update_xaxes(
        tickvals=[5 + 10 * place for place in range(len(sizes))],
        ticktext=sizes,
        tickangle=-60,
        showgrid=False,
    )
    figure.update_yaxes(rangemode="tozero")
    shown = "" if n <= _BRANCHES else f" The last {_BRANCHES} branches of {number(n)} {things} are drawn."
    caption = (
        f"Read from below: the most similar {things} are merged first, the most different groups last. A long way up "
        f"from one merge to the next means that they do not belong together; the dashed line cuts it into "
        f"{groups} groups.{shown}"
    )
    return Figure("group-tree", "The tree of stores and where it is cut", caption, figure)


def number_of_groups(counts: Array, gain: Array, silhouette: Array, chosen: int) -> Figure:
    """Inertia gained and silhouette by number of groups."""
    figure = new_plot("Number of groups", "Differences that the last split explains")
    colours = [Colour.MAIN if int(k) == chosen else "rgba(122,135,148,0.55)" for k in counts.tolist()]
    figure.add_bar(
        x=[int(k) for k in counts], y=plain(gain), marker={"color": colours}, name="explained by the last split",
        hovertemplate="%{x} groups: the last split explains %{y:.1%}<extra></extra>",
    )  # fmt: skip
    figure.add_scatter(
        x=[int(k) for k in counts], y=plain(silhouette), mode="lines+markers", yaxis="y2",
        name="silhouette (right)", line={"color": PALETTE[1], "width": 2}, marker={"size": 7, "symbol": "diamond"},
        hovertemplate="%{x} groups: silhouette %{y:.3f}<extra></extra>",
    )  # fmt: skip
    figure.update_layout(
        yaxis={"tickformat": ".0%", "rangemode": "tozero"},
        yaxis2={
            "overlaying": "y", "side": "right", "showgrid": False, "rangemode": "tozero", "automargin": True,
            "tickmode": "auto", "nticks": 5, "tickformat": ".2f",
            "title": {"text": "Silhouette", "font": {"size": 13}},
        },
        xaxis={"dtick": 1, "showgrid": False},
    )  # fmt: skip
    found = silhouette[counts == chosen]
    value = f", with a silhouette of {found[0]:.2f}" if len(found) and np.isfinite(found[0]) else ""
    caption = (
        f"The bars say what each further group explains, the line how clearly stores belong to one group (1: far from "
        f"all others, 0: between two). {chosen} groups were chosen{value}: after them the bars get small."
    )
    return Figure("group-number", "How many groups", caption, figure)


def store_map(places: Places, axes: Sequence[tuple[float, str]]) -> Figure:
    """Stores on the first two axes, by group; of each axis its share of the differences and what it tells."""
    shares = [share for share, _ in axes]
    names = [f"Axis {at} ({percent(share)})" for at, share in enumerate(shares[:2], start=1)]
    figure = new_plot(*(names if len(names) == 2 else [*names, ""]))
    group, label = np.array(places.group, dtype=object), np.array(places.label, dtype=object)
    for name in sorted(set(places.group)):
        place = _place(sorted(set(places.group)), name)
        rows = group == name
        edge = np.where(places.atypical[rows], Colour.LIMIT, "rgba(255,255,255,0.6)").tolist()
        figure.add_scatter(
            x=plain(places.x[rows]), y=plain(places.y[rows]), mode="markers", name=f"{name} ({int(rows.sum())})",
            text=label[rows].tolist(),
            marker={
                "color": PALETTE[place % len(PALETTE)], "symbol": SYMBOLS[place % len(SYMBOLS)],
                "size": np.where(places.typical[rows], 13, 7).tolist(),
                "opacity": np.where(places.typical[rows] | places.atypical[rows], 1.0, 0.6).tolist(),
                "line": {"width": np.where(places.atypical[rows], 2, 0.5).tolist(), "color": edge},
            },
            hovertemplate="%{text}<extra>group " + name + "</extra>",
        )  # fmt: skip
        figure.add_annotation(
            x=float(np.mean(places.x[rows])), y=float(np.mean(places.y[rows])), text=f"<b>{name}</b>", showarrow=False,
            font={"size": 16, "color": "#fff"}, bgcolor=PALETTE[place % len(PALETTE)], borderpad=3, opacity=0.9,
        )  # fmt: skip
    figure.update_layout(height=520)
    told = " ".join(f"Axis {at}: {words}." for at, (_, words) in enumerate(axes[:2], start=1))
    caption = (
        f"Stores that lie close together are alike, as far as two axes can show it ({percent(sum(shares[:2]))} of the "
        f"differences). {told} Large marks stand for their group; a red edge marks a store that does not fit its own."
    )
    return Figure("group-map", "Stores on the two main axes", caption, figure, wide=True)


def profile_heat_map(
    v_tests: pd.DataFrame,
    shown: Mapping[tuple[str, str], str],
    overall: Mapping[str, str],
    names: Mapping[str, str],
) -> Figure:
    """Variables by group, first row on top: colour says how unusual, the cell what it is.

    ``shown`` is what to write into a cell, by variable and group; ``overall`` the same of all stores, and
    ``names`` what to call them, by variable.
    """
    figure = new_plot("", "")
    groups, variables = list(v_tests.columns), list(v_tests.index)
    cells = [[shown.get((variable, group), "") for group in groups] for variable in variables]
    values = v_tests.to_numpy(np.float64)
    figure.add_heatmap(
        x=[f"Group {group}" for group in groups],
        y=[f"{names[variable]}  (all: {overall[variable]})" for variable in variables],
        z=[plain(row) for row in values], text=cells, texttemplate="%{text}", textfont={"size": 12},
        zmin=-_FULL_COLOUR, zmax=_FULL_COLOUR, zmid=0, colorscale=_DIVERGING, xgap=2, ygap=2,
        hovertemplate="%{y}<br>%{x}: %{text}, test value %{z:.1f}<extra></extra>",
        colorbar={
            "tickvals": [-_FULL_COLOUR, 0, _FULL_COLOUR], "ticktext": ["much less", "as all", "much more"],
            "thickness": 12, "len": 0.6,
        },
    )  # fmt: skip
    figure.update_layout(height=110 + 30 * len(variables), margin={"t": 40})
    figure.update_xaxes(side="top", showgrid=False)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    caption = (
        "Each cell is the mean of the group's stores, or the share of them. Orange: more than all stores, blue: less; "
        "the stronger the colour, the less chance could explain it. Rows that set groups apart most stand on top."
    )
    return Figure("group-profile", "Profile of each group", caption, figure, wide=True)


def stability(groups: Sequence[str], jaccard: Array, *, stable: float, doubtful: float) -> Figure:
    """How much of each group comes out again from other samples of the stores."""
    figure = new_plot("Part of the group that comes out again", "")
    colours = [
        "#3a9d6e" if value >= stable else "#e0832b" if value >= doubtful else Colour.LIMIT
        for value in jaccard
    ]
    figure.add_bar(
        x=plain(jaccard), y=[f"Group {name}" for name in groups], orientation="h", marker={"color": colours},
        text=[percent(float(value)) for value in jaccard], textposition="inside", insidetextanchor="start",
        hovertemplate="%{y}: %{x:.0%}<extra></extra>", showlegend=False,
    )  # fmt: skip
    for limit, words in ((stable, "stable"), (doubtful, "doubtful")):
        figure.add_vline(x=limit, line={"color": Colour.QUIET, "dash": "dash", "width": 1.2})
        figure.add_annotation(
            x=limit, y=1.02, yref="paper", yanchor="bottom", showarrow=False, text=words,
            font={"size": 12, "color": Colour.QUIET},
        )  # fmt: skip
    figure.update_layout(
        xaxis={"range": [0, 1.02], "tickformat": ".0%"},
        margin={"t": 30},
        height=max(380, 120 + 34 * len(groups)),
    )
    figure.update_yaxes(autorange="reversed")
    weak = [name for name, value in zip(groups, jaccard.tolist(), strict=True) if value < stable]
    told = (
        f"Group{'s' if len(weak) > 1 else ''} {', '.join(weak)}: not sure to be there among other stores."
        if weak
        else "All groups are there again."
    )
    caption = (
        f"The stores were drawn anew many times and grouped again. Right of {percent(stable)} a group is stable, left of "
        f"{percent(doubtful)} no policy should rest on it. {told}"
    )
    return Figure("group-stability", "How stable the groups are", caption, figure)


def moves(before: Sequence[str], after: Sequence[str], colours: Mapping[str, str]) -> Figure:
    """Flows of stores from the groups of the last run to those of today.

    ``before`` and ``after`` are the group of each store, empty for none; ``colours`` go by group.
    """
    stores = pd.DataFrame({"before": list(before), "after": list(after)})
    pairs = stores.value_counts(sort=False).reset_index(name="n")
    left, right = sorted(set(pairs["before"])), sorted(set(pairs["after"]))
    labels = [_flow_label(name, "before") for name in left] + [_flow_label(name, "now") for name in right]
    nodes = [colours.get(name, Colour.QUIET) for name in (*left, *right)]
    stayed = (pairs["before"] == pairs["after"]).to_numpy()
    figure = new_plot("", "")
    figure.add_trace(
        go.Sankey(
            node={"label": labels, "color": nodes, "pad": 14, "thickness": 16},
            link={
                "source": [left.index(name) for name in pairs["before"]],
                "target": [len(left) + right.index(name) for name in pairs["after"]],
                "value": [int(n) for n in pairs["n"]],
                "color": np.where(stayed, "rgba(122,135,148,0.25)", "rgba(224,131,43,0.75)").tolist(),
                "hovertemplate": "%{source.label} to %{target.label}: %{value:.0f} stores<extra></extra>",
            },
        )
    )
    figure.update_layout(height=360, margin={"l": 10, "r": 10, "t": 10, "b": 10})
    moved = int(pairs.loc[~stayed, "n"].sum())
    caption = (
        f"Left the groups of the last run, right those of today; grey flows stayed, orange ones moved "
        f"({count(moved, 'store')})."
    )
    return Figure("group-moves", "Where stores went", caption, figure, wide=True)


def _flow_label(name: str, when: str) -> str:
    return f"{name}, {when}" if name else ("not there" if when == "before" else "gone")


def _place(groups: Sequence[str], group: str) -> int:
    """Place of a letter in the alphabet; other names by their place among the groups."""
    if len(group) == 1 and group.isalpha():
        return ord(group.upper()) - ord("A")
    return list(groups).index(group)
