"""Page, second part: moves, stores that do not fit, the list of all stores, variables and what is out of scope."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd
import pyarrow as pa

from pipelines.errors import DataContractError
from pipelines.reporting.figure import Figure
from pipelines.reporting.page import Missing
from pipelines.reporting.sections import scope_reasons
from pipelines.reporting.tables import Grid, GridColumn
from pipelines.usecase import Run
from pipelines.usecases.clustering import page_groups, plots
from pipelines.usecases.clustering.dataset import choose_variables, read_stores
from pipelines.usecases.clustering.page_groups import DayData
from pipelines.usecases.clustering.params import ClusteringParams
from pipelines.usecases.clustering.wording import label

#: Rows shown of a table that may be long; all are in the lake.
_SHOWN = 40

_CAUSES = {
    "store": "the store changed",
    "groups": "the groups changed",
    "dissolved": "its group is gone",
    "scope": "came or left",
}

_SCOPE_WORDS = {
    "store_closed": "Its last day of trade is over.",
    "too_few_days": "It sold on too few days of the window to be told apart from others.",
}

_GRID = Grid(
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


def sections(run: Run[ClusteringParams]) -> Mapping[str, object]:
    """Parts of the page."""
    data = DayData(run)
    return {
        "groups": page_groups.groups(data),
        "heat_map": page_groups.heat_map(data),
        "store_map": page_groups.store_map(data),
        "found": page_groups.figures(data),
        "moves": moves(data),
        "strangers": strangers(data),
        "grid": _GRID,
        "stores": store_list(data),
        "variables": variables(data),
        "out_of_scope": scope_reasons(run.lake, "features/clustering", run.as_of, _SCOPE_WORDS),
    }


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

    since: date
    counts: dict[str, int]
    rows: list[dict[str, Any]]
    hidden: int
    figure: Figure | None


def moves(data: DayData) -> Moves | Missing:
    """Stores in another group than on the last earlier day, and why."""
    if data.stores.empty or data.day_before is None:
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
        colours = {name: plots.colour_of(names, name) for name in names}
        figure = plots.moves(before, after, colours)
    counts = {name: int((table["move"] == name).sum()) for name in order}
    return Moves(data.day_before, counts, rows[:_SHOWN], max(len(rows) - _SHOWN, 0), figure)


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
    return _GRID.payload(pa.Table.from_pandas(table, preserve_index=False))


def variables(data: DayData) -> dict[str, Any] | Missing:
    """Variables that took part, with their weight and how they are compared, and why others did not.

    As the parameters of today would have it; the model card tells those of the version.
    """
    try:
        stores = read_stores(data.run)
    except DataContractError as error:
        return Missing(str(error))
    chosen = choose_variables(stores, data.run.params)
    themes, total = stores.contract.themes, sum(chosen.weights.values())
    kinds = {
        "asymmetric_binary": "yes or no",
        "nominal": "word",
        "ordinal": "ordered word",
        "numeric": "number",
    }
    return {
        "used": [
            {
                "name": label(name).name,
                "theme": themes[name],
                "kind": "amount, by ratio" if name in chosen.log_scaled else kinds[kind],
                "weight": chosen.weights[name] / total,
                "known": float(stores.X[name].notna().mean()),
                "meaning": stores.contract.table.column(name).description,
            }
            for name, kind in chosen.kinds.items()
        ],
        "left_out": [(label(name).name, why) for name, why in chosen.left_out.items()],
    }
