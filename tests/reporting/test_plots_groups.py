"""Figures of groups show what they were given, in numbers a page can hold."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.cluster.hierarchy import linkage

from pipelines.reporting.figure import Colour, Figure
from pipelines.usecases.clustering import plots as plots_groups

MERGES = linkage(np.random.default_rng(0).normal(size=(12, 2)), "ward")


def stored(figure: Figure) -> dict:
    return json.loads(json.dumps(figure.payload, allow_nan=False))


@pytest.mark.parametrize("groups", [1, 3, 12])
def test_the_tree_is_cut_between_two_merges(groups: int) -> None:
    figure = plots_groups.tree(MERGES, groups=groups)
    (line,) = stored(figure)["layout"]["shapes"]
    above = MERGES[12 - groups :, 2]
    below = MERGES[: 12 - groups, 2]
    assert (above > line["y0"]).all()
    assert (below < line["y0"]).all()
    assert f"{groups} groups" in figure.caption


def test_a_large_tree_is_drawn_by_its_last_branches() -> None:
    merges = linkage(np.random.default_rng(0).normal(size=(200, 2)), "ward")
    figure = plots_groups.tree(merges, groups=4)
    sizes = [int(text) for text in stored(figure)["layout"]["xaxis"]["ticktext"]]
    assert len(sizes) == 30
    assert sum(sizes) == 200


def test_the_chosen_number_stands_out() -> None:
    counts = np.arange(2, 6)
    gain, clear = np.array([0.2, 0.1, 0.05, 0.01]), np.array([0.3, 0.4, 0.2, np.nan])
    figure = plots_groups.number_of_groups(counts, gain, clear, 3)
    bars, line = stored(figure)["data"]
    assert [colour == "#2f7ed8" for colour in bars["marker"]["color"]] == [False, True, False, False]
    assert line["y"] == [0.3, 0.4, 0.2, None]
    assert "silhouette of 0.40" in figure.caption


def test_the_map_marks_typical_and_atypical_stores() -> None:
    places = plots_groups.Places(
        x=np.array([0.0, 1.0, 5.0]),
        y=np.array([0.0, 1.0, 5.0]),
        group=["A", "A", "C"],
        label=["one", "two", "three"],
        typical=np.array([True, False, False]),
        atypical=np.array([False, True, False]),
    )
    figure = plots_groups.store_map(places, [(0.4, "right: takings"), (0.2, "left: promotions")])
    first, second = stored(figure)["data"]
    assert first["marker"]["size"] == [13, 7]
    assert first["marker"]["line"]["color"][1] == Colour.LIMIT
    assert second["marker"]["color"] == plots_groups.PALETTE[2], (
        "a letter keeps its colour when others are gone"
    )
    assert "Axis 1: right: takings." in figure.caption


def test_the_heat_map_writes_values_and_colours_test_values() -> None:
    tests = pd.DataFrame({"A": [8.0, -1.0], "B": [-8.0, np.nan]}, index=["takings", "share"])
    cells = {("takings", "A"): "9 EUR", ("takings", "B"): "1 EUR", ("share", "A"): "5 %"}
    figure = plots_groups.profile_heat_map(
        tests, cells, {"takings": "5 EUR", "share": "6 %"}, {"takings": "Takings", "share": "Share"}
    )
    (heat,) = stored(figure)["data"]
    assert heat["z"] == [[8.0, -8.0], [-1.0, None]]
    assert heat["text"] == [["9 EUR", "1 EUR"], ["5 %", ""]]
    assert heat["y"][0] == "Takings  (all: 5 EUR)"


def test_weak_groups_are_named() -> None:
    figure = plots_groups.stability(["A", "B"], np.array([0.9, 0.5]), stable=0.75, doubtful=0.6)
    (bars,) = stored(figure)["data"]
    assert bars["marker"]["color"][1] == Colour.LIMIT
    assert "Group B: not sure" in figure.caption


def test_flows_add_up_to_the_stores() -> None:
    figure = plots_groups.moves(["A", "A", "", "B"], ["A", "B", "B", ""], {"A": "#111111", "B": "#222222"})
    (flow,) = stored(figure)["data"]
    assert sum(flow["link"]["value"]) == 4
    assert {"not there", "gone"} < set(flow["node"]["label"])
    assert "3 stores" in figure.caption
