"""Report, last part: checks, variables, what is out of scope, and the tables behind the page."""

from __future__ import annotations

from datetime import date
from typing import Any

from pipelines.errors import DataContractError
from pipelines.io.lake import Lake
from pipelines.reporting import sections
from pipelines.reporting.control_room import Watched
from pipelines.reporting.sections import CheckStyle
from pipelines.reporting.site import Missing
from pipelines.usecases.clustering.contracts import USECASE
from pipelines.usecases.clustering.dataset import choose_variables
from pipelines.usecases.clustering.report_data import DayData
from pipelines.usecases.clustering.wording import label

#: Rows of this use case in tables that all share.
_OURS = {"usecase": USECASE}

WATCHED = (
    Watched("features/clustering", "Features of the stores", "as_of", 31, "millrace score clustering"),
    Watched("ops/promotions", "Promotion log of models", "as_of", 186, "millrace train clustering", _OURS),
    Watched("predictions/store_clusters", "Groups of the stores", "as_of", 31, "millrace score clustering"),
    Watched("ops/monitoring", "Monitoring", "as_of", 31, "millrace monitor clustering", _OURS),
)

SCOPE_WORDS = {
    "store_closed": "Its last day of trade is over.",
    "too_few_days": "It sold on too few days of the window to be told apart from others.",
}

GATE_CHECKS = {
    "stores": CheckStyle("Stores judged", 0, "at least"),
    "silhouette": CheckStyle("Silhouette", 3, "at least"),
    "stability": CheckStyle("Stability", 2, "at least"),
    "unstable_share": CheckStyle("Stores in unstable groups", 2, "at most"),
    "silhouette_against_champion": CheckStyle("Silhouette gained on the champion", 3, ">"),
    **{
        f"silhouette_against_{name}": CheckStyle(
            f"Silhouette gained on grouping by {name.replace('_', ' ')}", 3, ">"
        )
        for name in ("store_type", "assortment", "clientele", "region")
    },
}


def findings(lake: Lake, as_of: date) -> list[dict[str, Any]] | Missing:
    """Findings of the day's monitoring."""
    return sections.findings(
        lake,
        USECASE,
        as_of,
        counts=("stores", "age"),
        shares=("moved", "atypical", "size"),
        named=("size",),
        what="The groups",
    )


def out_of_scope(data: DayData) -> list[tuple[str, str, int]]:
    """Reasons with their meaning and the number of stores."""
    if data.features.empty:
        return []
    counts = data.features["scope_reason"].dropna().value_counts().sort_index()
    return [(str(reason), SCOPE_WORDS[str(reason)], int(n)) for reason, n in counts.items()]


def variables(data: DayData) -> dict[str, Any] | Missing:
    """Variables that took part, with their weight and how they are compared, and why others did not.

    As the parameters of today would have it; the model card tells those of the version.
    """
    from pipelines.usecases.clustering.dataset import read_stores

    try:
        stores = read_stores(data.lake, data.settings, data.as_of)
    except DataContractError as error:
        return Missing(str(error))
    chosen = choose_variables(stores, data.params)
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
