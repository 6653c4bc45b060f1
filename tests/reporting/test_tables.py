from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from pipelines.reporting.tables import Grid, GridColumn


def grid(**changes: Any) -> Grid:
    given: dict[str, Any] = {
        "name": "g",
        "caption": "c",
        "columns": (GridColumn("Name", "text", ("name",)), GridColumn("Score", "percent", ("score",))),
        "filters": {"tier": ("Tier", None)},
        "search": ("name",),
        "export": {"name": "Name"},
    }
    return Grid(**(given | changes))


ROWS = pa.table(
    {
        "name": ["b", "a", None, "d"],
        "score": [0.123456789, 1.0, None, 0.0],
        "tier": ["x", "x", "y", "x"],
        "unused": [1, 2, 3, 4],
    }
)


def decoded(column: dict[str, Any]) -> list[Any]:
    if "d" in column:
        return [None if i is None else column["d"][i] for i in column["i"]]
    return list(column["v"])


def test_payload_holds_every_row_and_only_the_columns_that_are_used() -> None:
    data = grid().payload(ROWS)["data"]
    assert {name: decoded(column) for name, column in data.items()} == {
        "name": ["b", "a", None, "d"],
        "score": [0.1235, 1.0, None, 0.0],
        "tier": ["x", "x", "y", "x"],
    }


def test_repeated_texts_are_stored_once() -> None:
    rows = pa.table({"name": ["long action"] * 900 + [None], "score": [0.5] * 901, "tier": ["x"] * 901})
    name = grid().payload(rows)["data"]["name"]
    assert name["d"] == ["long action"]
    assert decoded(name) == ["long action"] * 900 + [None]


def test_choices_come_from_the_data_or_as_given() -> None:
    assert grid().payload(ROWS)["filters"][0]["values"] == ["x", "y"]
    fixed = grid(filters={"tier": ("Tier", ("z", "y"))}).payload(ROWS)
    assert fixed["filters"][0]["values"] == ["z", "y"]


def test_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(KeyError, match=r"needs the columns \['gone'\]"):
        grid(search=("gone",)).payload(ROWS)


def test_a_kind_that_the_browser_cannot_draw_is_refused() -> None:
    with pytest.raises(ValueError, match="kind must be one of"):
        GridColumn("x", "sparkline", ("name",))
