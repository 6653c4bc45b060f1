"""Report: which model serves what, by the competition that chose it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset

from pipelines.reporting.sections import CheckStyle, newest_day
from pipelines.reporting.site import Missing
from pipelines.usecases.demand.report_data import DayData
from pipelines.usecases.demand.schemas import BACKTEST

#: Checks of the gate as people call them.
GATE_CHECKS = {
    "products": CheckStyle("Products sold on the judged days", 0, "\u2265"),
    "bias": CheckStyle("Bias, either way", 3, "\u2264"),
    "coverage_80": CheckStyle("Coverage of the 80 % intervals", 2, "\u2265"),
    "wape_against_seasonal_naive": CheckStyle("WAPE saved against last week's sales"),
    "wape_against_champion": CheckStyle("WAPE saved against the champion"),
}

_LEVEL = "level:"


@dataclass(frozen=True)
class Competition:
    """The newest backtest.

    Attributes
    ----------
    trained_for
        ``as_of`` of the training run.
    cells
        One row per cell: the champion and the mission's model side by side.
    table
        By cell: every model, best first.
    """

    trained_for: date
    cells: list[dict[str, Any]]
    table: dict[str, list[dict[str, Any]]]


def competition(data: DayData) -> Competition | Missing:
    """The competition of the newest training run up to the day."""
    day = newest_day(data.lake, BACKTEST, data.as_of)
    if day is None:
        return Missing("No models have competed yet.", f"millrace train demand --as-of {data.as_of}")
    rows: pd.DataFrame = data.lake.read(BACKTEST, where=pa_dataset.field("as_of") == day).to_pandas()
    whole = rows[rows["horizon"] == 0]
    week = rows[rows["horizon"] == 7].set_index(["cell", "model"])["mape"].rename("mape_j7")
    table = whole.join(week, on=["cell", "model"])
    table = table.sort_values(["cell", "wape", "model"], na_position="last", ignore_index=True)
    by_cell = {
        _cell_words(str(cell)): [_plain(row) for row in group.to_dict("records")]
        for cell, group in sorted(table.groupby("cell"), key=lambda pair: _cell_order(str(pair[0])))
    }
    return Competition(day, [_summary(cell, models) for cell, models in by_cell.items()], by_cell)


def models_in_use(data: DayData) -> list[tuple[str, int, float]]:
    """Model, number of series and their share, most first, of the day's forecasts."""
    counted = pc.value_counts(data.served["model"]).to_pylist()
    total = max(data.served.num_rows, 1)
    rows = [(str(row["values"]), int(row["counts"]), row["counts"] / total) for row in counted]
    return sorted(rows, key=lambda row: (-row[1], row[0]))


def _summary(cell: str, models: list[dict[str, Any]]) -> dict[str, Any]:
    champion = next((row for row in models if row["is_champion"]), models[0])
    reference = next((row for row in models if row["is_mission_model"]), None)
    return {
        "cell": cell,
        "champion": champion,
        "reference": reference,
        "naive": next((row for row in models if row["model"] == "seasonal_naive"), None),
        "series": champion["series"],
    }


def _plain(row: dict[Any, Any]) -> dict[str, Any]:
    """Row with None where a figure is undefined."""
    return {str(name): None if pd.isna(value) else value for name, value in row.items()}


def _cell_words(cell: str) -> str:
    if cell.startswith(_LEVEL):
        return f"{cell.removeprefix(_LEVEL)} (level)"
    return cell.replace("/", ", ")


def _cell_order(cell: str) -> tuple[bool, str]:
    return (cell.startswith(_LEVEL), cell)
