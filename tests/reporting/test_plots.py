"""What is drawn is what was computed: values, lines and words of every figure."""

from __future__ import annotations

import json
from datetime import date

import numpy as np
import pytest

from models.evaluation.curves import calibration_curve, gain_curve, precision_recall_curve
from pipelines.reporting.figure import Figure
from pipelines.reporting.site import script_json
from pipelines.usecases.churn import plots

RNG = np.random.default_rng(0)
SCORE = RNG.beta(0.5, 5, 4_000)
CHURNED = RNG.random(4_000) < SCORE
WEEKS = [date(2024, 12, 30), date(2025, 1, 6)]


def precision_recall() -> Figure:
    return plots.precision_recall(
        {"challenger": precision_recall_curve(CHURNED, SCORE)},
        min_auc_pr=0.65,
        min_recall=0.55,
        operating={"challenger": (0.62, 0.13)},
        auc_pr={"challenger": 0.71},
        rate=0.04,
    )


FIGURES = {
    "precision_recall": precision_recall,
    "calibration": lambda: plots.calibration({"challenger": calibration_curve(CHURNED, SCORE)}),
    "gain": lambda: plots.gain({"challenger": gain_curve(CHURNED, SCORE)}, min_recall=0.55),
    "lift": lambda: plots.lift({"challenger": gain_curve(CHURNED, SCORE)}),
    "beeswarm": lambda: plots.beeswarm(
        ["a", "b"],
        [RNG.random(50), np.full(50, np.nan)],
        [RNG.normal(size=50), np.zeros(50)],
        accounts=50,
    ),
    "scores_by_week": lambda: plots.scores_by_week(WEEKS, [0, 0.5, 1], np.array([[0.7, 0.3], [0.6, 0.4]])),
    "volume_by_week": lambda: plots.volume_by_week(WEEKS, [14_000, 12_000], low=13_000, high=16_000),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_self_contained_and_said_in_words(name: str) -> None:
    figure = FIGURES[name]()
    assert len(figure.caption) > 40
    assert figure.title
    payload = json.loads(script_json(figure.payload))
    assert payload["data"]
    assert "http" not in json.dumps(payload)
    # Plain lists: plotly's base64 arrays would be unreadable to any other tool.
    assert "bdata" not in json.dumps(payload)
    assert figure.height >= 150


def test_precision_recall_draws_the_curve_and_the_gate() -> None:
    figure = precision_recall()
    curve = precision_recall_curve(CHURNED, SCORE)
    line, dot = figure.payload["data"]
    np.testing.assert_allclose(line["x"], curve["recall"], atol=1e-5)
    np.testing.assert_allclose(line["y"], curve["precision"], atol=1e-5)
    assert (dot["x"], dot["y"]) == ([0.62], [0.13])
    lines = [(shape["x0"], shape["y0"]) for shape in figure.payload["layout"]["shapes"]]
    assert lines[0][0] == 0.55
    assert lines[1][1] == 0.65
    assert lines[2][1] == 0.04
    assert "(0.71)" in line["name"]


def test_calibration_bars_reach_the_interval() -> None:
    curve = calibration_curve(CHURNED, SCORE)
    line = plots.calibration({"challenger": curve}).payload["data"][1]
    low = np.array(line["y"]) - np.array(line["error_y"]["arrayminus"])
    high = np.array(line["y"]) + np.array(line["error_y"]["array"])
    np.testing.assert_allclose(low, curve["low"], atol=3e-5)
    np.testing.assert_allclose(high, curve["high"], atol=3e-5)


def test_gain_says_what_the_top_fifth_finds() -> None:
    curve = gain_curve(CHURNED, SCORE)
    figure = plots.gain({"challenger": curve}, min_recall=0.55)
    recall = float(np.interp(0.2, curve["share"], curve["recall"]))
    assert f"{recall:.0%}".rstrip("%") in figure.caption
    np.testing.assert_allclose(figure.payload["data"][0]["y"], curve["recall"], atol=1e-5)


def test_beeswarm_shows_every_account_once_per_feature_with_grey_for_unknown() -> None:
    value = np.array([0.0, 0.5, 1.0, np.nan])
    contribution = np.array([-1.0, 0.0, 0.0, 2.0])
    figure = plots.beeswarm(["usage"], [value], [contribution], accounts=4)
    known, unknown = figure.payload["data"]
    assert known["marker"]["color"] == [0.0, 0.5, 1.0]
    assert unknown["x"] == [2.0]
    assert known["y"][1] != known["y"][2]  # two accounts in one place do not hide each other
    assert max(abs(y) for y in known["y"] + unknown["y"]) <= 0.4


def test_weeks_stack_to_one_and_name_the_year_where_it_differs() -> None:
    figure = FIGURES["scores_by_week"]()
    bars = figure.payload["data"]
    assert bars[0]["x"] == ["30 Dec 2024", "6 Jan"]
    np.testing.assert_allclose(np.array(bars[0]["y"]) + np.array(bars[1]["y"]), 1)


def test_volume_draws_both_bounds() -> None:
    layout = FIGURES["volume_by_week"]().payload["layout"]
    assert [shape["y0"] for shape in layout["shapes"]] == [13_000, 16_000]
    assert layout["yaxis"]["range"][1] > 16_000
