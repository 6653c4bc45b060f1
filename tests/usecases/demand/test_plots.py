"""What is drawn of forecasts is what was forecast: heights, bands, marks and words of every figure."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from pipelines.reporting.figure import Figure
from pipelines.reporting.site import script_json
from pipelines.usecases.demand import outlook, plots
from pipelines.usecases.demand.outlook import Outlook

AS_OF = date(2025, 6, 16)
NAN = float("nan")
OUTLOOK = Outlook(
    name="S1/K1",
    label="Milk, Lyon",
    group="Stores",
    words="Milk.",
    sold=np.array([NAN, 4.0, 5.0, NAN, 7.0]),
    stockout=np.array([False, False, True, False, False]),
    told=np.array([6.0, 6.5]),
    forecast=np.array([8.0, 9.0, 1234.5]),
    strategic=np.array([8.5, 9.5, 10.5]),
    intervals={80: (np.array([7.0, 8, 9]), np.array([9.0, 10, 11])), 95: (np.array([6.0, 7, 8]), np.array([12.0, 13, 14]))},
    promo=np.array([0, 0, 0.2, 0, 0, 0, 0.3, 0, 0]),
)  # fmt: skip


def fan() -> Figure:
    return outlook.fan(OUTLOOK, AS_OF, holidays=[date(2025, 6, 18)])


def by_part(figure: Figure) -> dict[str, dict[str, object]]:
    return {trace["meta"]: trace for trace in figure.payload["data"]}


FIGURES = {
    "fan": fan,
    "changes": lambda: plots.changes(
        ["S1", "S2"], np.array([50.0, -20.0]), np.array([0.1, NAN]), since=date(2025, 6, 15), days=13
    ),
    "error_by_horizon": lambda: plots.error_by_horizon(
        "new", np.array([0.1, NAN, 0.1, 0.1, 0.1, 0.1, 0.2]), {1: 0.15, 7: 0.2}, target=0.25, series=1200
    ),
    "error_by_level": lambda: plots.error_by_level(
        ["nation", "store"], {1: np.array([0.02, 0.1]), 7: np.array([0.03, NAN])}
    ),
    "bias_by_segment": lambda: plots.bias_by_segment(["new"], {7: np.array([-0.2])}, limit=0.1),
    "bias_by_store": lambda: plots.bias_by_store(["S1"], np.array([0.2]), limit=0.1, of=150),
    "coverage": lambda: plots.coverage(
        80, {"nation": np.array([0.7, NAN])}, {"nation": np.array([0.8, 0.8])}, (0.7, 0.92)
    ),
    "error_from_day_to_day": lambda: plots.error_from_day_to_day(
        [date(2025, 6, 15), AS_OF], {"new": np.array([0.2, 0.3])}, {"new": 0.25}
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_self_contained_and_said_in_words(name: str) -> None:
    figure = FIGURES[name]()
    assert len(figure.caption) > 40
    assert figure.title
    payload = json.loads(script_json(figure.payload))
    assert payload["data"]
    assert "http" not in json.dumps(payload)
    assert "bdata" not in json.dumps(payload)
    assert figure.height >= 140


def test_the_fan_puts_each_value_on_its_day() -> None:
    parts = by_part(fan())
    assert parts["sold"]["x"] == [f"2025-06-{day}" for day in (11, 12, 13, 14, 15)]
    assert parts["sold"]["y"] == [None, 4.0, 5.0, None, 7.0]
    assert parts["stockout"]["y"] == [None, None, 5.0, None, None]
    assert parts["told"]["x"] == ["2025-06-14", "2025-06-15"]
    assert parts["forecast"]["x"] == ["2025-06-17", "2025-06-18", "2025-06-19"]
    assert parts["forecast"]["y"] == [8.0, 9.0, 1234], "thousands need no decimals"
    assert dict(zip(parts["promo"]["x"], parts["promo"]["y"], strict=True)) == {
        **{f"2025-06-{day}": None for day in range(11, 20)}, "2025-06-13": 0.2, "2025-06-17": 0.3
    }  # fmt: skip


def test_each_band_is_filled_to_its_own_lower_end() -> None:
    """Plotly fills to the line before: an order of lower, lower, upper, upper would shade the wrong area."""
    traces = fan().payload["data"]
    names = [trace["meta"] for trace in traces]
    for nominal in (80, 95):
        place = names.index(f"upper_{nominal}")
        assert traces[place]["fill"] == "tonexty"
        assert names[place - 1] == f"lower_{nominal}"
        assert traces[place - 1]["y"] == OUTLOOK.intervals[nominal][0].tolist()
    assert names.index("upper_95") < names.index("upper_80"), "the narrow band lies on the wide one"


def test_the_fan_starts_with_the_first_sale_and_marks_today_and_holidays() -> None:
    layout = fan().payload["layout"]
    assert layout["xaxis"]["range"] == ["2025-06-11", "2025-06-20"]
    assert [note["text"] for note in layout["annotations"]] == ["today", "holiday"]
    assert layout["annotations"][1]["x"] == "2025-06-18"


def test_choices_hold_the_same_heights_as_a_figure_of_their_own() -> None:
    other = replace(
        OUTLOOK, name="S2/K1", group="Regions", forecast=np.array([1.0, 2.0, 3.0]), promo_words="of all"
    )
    choices = outlook.with_choices([OUTLOOK, other], fan()).choices
    drawn = outlook.fan(other, AS_OF).payload["data"]
    [first, second] = choices.payload["choices"]
    assert choices.payload["target"] == "fan"
    assert second["y"] == [trace["y"] for trace in drawn]
    assert first["y"] != second["y"]
    assert second["promo"] == "of all"
    assert choices.groups == {"Stores": [("S1/K1", "Milk, Lyon")], "Regions": [("S2/K1", "Milk, Lyon")]}


def test_changes_are_coloured_by_their_sign() -> None:
    [bars] = FIGURES["changes"]().payload["data"]
    assert bars["x"] == [50.0, -20.0]
    assert len(set(bars["marker"]["color"])) == 2
    assert bars["customdata"] == [0.1, None]


def test_the_error_of_a_segment_is_held_against_its_target() -> None:
    figure = FIGURES["error_by_horizon"]()
    line, marks = figure.payload["data"]
    assert line["y"] == [0.1, None, 0.1, 0.1, 0.1, 0.1, 0.2]
    assert (marks["x"], marks["y"]) == ([1, 7], [0.15, 0.2])
    [target] = figure.payload["layout"]["shapes"]
    assert target["y0"] == 0.25
    assert "20.0" in figure.caption
    assert "1\u202f200 series sell enough" in figure.caption


def test_coverage_shows_what_is_honest_and_the_limits() -> None:
    figure = FIGURES["coverage"]()
    now, past = figure.payload["data"]
    assert now["y"] == [0.7, None]
    assert (past["showlegend"], past["mode"]) == (False, "markers"), "few horizons are kept: no line between"
    assert {shape["y0"] for shape in figure.payload["layout"]["shapes"]} == {0.8, 0.7, 0.92}
    assert figure.payload["layout"]["yaxis"]["range"][0] < 0.7
