"""Report, second part: moves, stores that do not fit, and the list of all stores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa

from pipelines.reporting.figure import Figure
from pipelines.reporting.site import Missing
from pipelines.reporting.tables import Grid, GridColumn
from pipelines.usecases.clustering import plots as plots_groups
from pipelines.usecases.clustering.report_data import DayData

#: Rows shown of a table that may be long; all are in the lake.
_SHOWN = 40

_CAUSES = {
    "store": "the store changed",
    "groups": "the groups changed",
    "dissolved": "its group is gone",
    "scope": "came or left",
}

GRID = Grid(
    name="store-groups",
    caption="All stores with their group. Fit: share of the group's stores that are as different from it or more.",
    columns=(
        GridColumn("Store", "two_lines", ("store", "place"), "22%"),
        GridColumn("Group", "two_lines", ("cluster", "title"), "26%"),
        GridColumn("Fit", "percent", ("typicality",), "8%", "Fit"),
        GridColumn("Next nearest", "text", ("second_cluster",), "9%"),
        GridColumn("Before", "text", ("previous_cluster",), "8%"),
        GridColumn("Remarks", "text", ("why",), "27%"),
    ),
    filters={"cluster": ("Group", None), "region": ("Region", None), "mark": ("Mark", None)},
    search=("store", "store_id", "title", "why"),
    export={
        "store_id": "store_id",
        "store": "store",
        "region": "region",
        "cluster": "cluster",
        "typicality": "typicality",
        "deviation": "deviation",
        "second_cluster": "second_cluster",
        "previous_cluster": "previous_cluster",
        "mark": "mark",
        "why": "why",
    },
    hint="name, id, group, remark",
)


@dataclass(frozen=True)
class Moves:
    """What moved.

    Attributes
    ----------
    rows
        ``store``, ``from_cluster``, ``to_cluster``, ``move``, ``cause`` and ``words``.
    hidden
        Rows that are not shown.
    figure
        Flows between the groups; None if nothing moved.
    """

    since: Any
    counts: dict[str, int]
    rows: list[dict[str, Any]]
    hidden: int
    figure: Figure | None


def moves(data: DayData) -> Moves | Missing:
    """Stores in another group than on the last earlier day, and why."""
    earlier = [day for day in data.days() if day < data.as_of]
    if data.stores.empty or not earlier:
        return Missing("There is no earlier day to compare the groups with yet.")
    table = data.moves
    order = {"moved": 0, "left": 1, "new": 2}
    table = table.assign(order=table["move"].map(order)).sort_values(["order", "store_id"])
    rows = [
        {
            "store": data.name(row["store_id"]),
            "move": row["move"],
            "from_cluster": row["from_cluster"] or "–",  # noqa: RUF001 - a dash is meant
            "to_cluster": row["to_cluster"] or "–",  # noqa: RUF001
            "cause": _CAUSES[row["cause"]],
            "words": row["words"],
        }
        for row in table.to_dict("records")
    ]
    figure = None
    if len(table):
        gone = table[table["move"] == "left"]
        before = [*data.stores["previous_cluster"].fillna(""), *gone["from_cluster"].fillna("")]
        after = [*data.stores["cluster"], *[""] * len(gone)]
        names = sorted({*before, *after} - {""})
        colours = {name: plots_groups.colour_of(names, name) for name in names}
        figure = plots_groups.moves(before, after, colours)
    counts = {name: int((table["move"] == name).sum()) for name in order}
    return Moves(earlier[-1], counts, rows[:_SHOWN], max(len(rows) - _SHOWN, 0), figure)


def strangers(data: DayData) -> list[dict[str, Any]] | Missing:
    """Stores that do not fit their group, farthest first, and what makes them so."""
    if data.stores.empty:
        return Missing("No store has a group.")
    rows = data.stores[data.stores["is_atypical"]].sort_values(
        ["deviation", "store_id"], ascending=[False, True]
    )
    return [
        {
            "store": data.name(row["store_id"]),
            "cluster": row["cluster"],
            "second_cluster": row["second_cluster"],
            "deviation": row["deviation"],
            "reasons": row["why"].split("; ") if row["why"] else [],
        }
        for row in rows.head(_SHOWN).to_dict("records")
    ]


def store_list(data: DayData) -> dict[str, Any] | Missing:
    """Payload of the list of all stores."""
    rows = data.stores
    if rows.empty:
        return Missing("No store has a group.")
    region = rows["store_id"].map(data.features["region"]) if len(data.features) else None
    place = pd.Series("", index=rows.index) if region is None else region.fillna("").astype(str)
    mark = rows["is_atypical"].map({True: "does not fit", False: ""})
    mark = mark.where(~rows["is_typical"], "typical")
    table = pd.DataFrame(
        {
            "store_id": rows["store_id"],
            "store": [data.name(store) for store in rows["store_id"]],
            "region": place,
            "place": place,
            "cluster": rows["cluster"],
            "title": rows["cluster"].map(data.titles).fillna(""),
            "typicality": rows["typicality"],
            "deviation": rows["deviation"],
            "second_cluster": rows["second_cluster"],
            "previous_cluster": rows["previous_cluster"].fillna(""),
            "mark": mark,
            "why": rows["why"].fillna(""),
        }
    )
    return GRID.payload(pa.Table.from_pandas(table, preserve_index=False))
