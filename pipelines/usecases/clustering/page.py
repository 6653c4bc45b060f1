"""Page, second part: moves, stores that do not fit, the list of all stores, variables and what is out of scope."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.errors import DataContractError
from pipelines.reporting.page import Missing
from pipelines.reporting.sections import scope_reasons
from pipelines.reporting.tables import Grid, GridColumn
from pipelines.reporting.words import NONE
from pipelines.usecase import Run
from pipelines.usecases.clustering import page_groups, plots
from pipelines.usecases.clustering.dataset import choose_variables, read_stores
from pipelines.usecases.clustering.page_groups import DayData
from pipelines.usecases.clustering.params import ClusteringParams
from pipelines.usecases.clustering.schemas import MIGRATIONS
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

_EXPORTED = (
    "store_id", "store", "region", "cluster", "typicality", "deviation", "second_cluster", "previous_cluster",
    "mark", "why",
)  # fmt: skip

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
    export={name: name for name in _EXPORTED},
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


def moves(data: DayData) -> dict[str, Any] | Missing:
    """Stores in another group than on the last earlier day (``since``), and why.

    Returns the first ``rows`` and how many are ``hidden``, ``counts`` by kind of move, and the ``figure`` of
    the flows between the groups; None if nothing moved.
    """
    if data.stores.empty or data.day_before is None:
        return Missing("There is no earlier day to compare the groups with yet.")
    order = {"moved": 0, "left": 1, "new": 2}
    table = data.rows(MIGRATIONS)
    table = table.assign(
        order=table["move"].map(order),
        store=table["store_id"].map(data.name),
        cause=table["cause"].map(_CAUSES),
        from_cluster=table["from_cluster"].fillna(NONE),
        to_cluster=table["to_cluster"].fillna(NONE),
    ).sort_values(["order", "store_id"])
    figure = None
    if len(table):
        gone = table.loc[table["move"] == "left", "from_cluster"]
        before = [*data.stores["previous_cluster"].fillna(""), *gone]
        after = [*data.stores["cluster"], *[""] * len(gone)]
        names = sorted({*before, *after} - {""})
        figure = plots.moves(before, after, {name: plots.colour_of(names, name) for name in names})
    return {
        "since": data.day_before,
        "counts": {name: int((table["move"] == name).sum()) for name in order},
        "rows": table[:_SHOWN].to_dict("records"),
        "hidden": max(len(table) - _SHOWN, 0),
        "figure": figure,
    }


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
    region = data.features["region"].reindex(rows["store_id"]).fillna("").to_numpy()
    table = rows.assign(
        store=rows["store_id"].map(data.name),
        region=region,
        place=region,
        title=rows["cluster"].map(data.titles).fillna(""),
        previous_cluster=rows["previous_cluster"].fillna(""),
        mark=np.select([rows["is_typical"], rows["is_atypical"]], ["typical", "does not fit"], ""),
        why=rows["why"].fillna(""),
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
