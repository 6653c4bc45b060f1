"""Report, first part: the groups in cards, what sets them apart, and how they were found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from models.clustering.profile import NOTABLE
from models.clustering.stability import DOUBTFUL, STABLE
from pipelines.reporting.figure import Figure
from pipelines.reporting.site import Missing
from pipelines.reporting.words import percent
from pipelines.usecases.clustering import plots as plots_groups
from pipelines.usecases.clustering.describe import family, notable_facts
from pipelines.usecases.clustering.report_data import DayData
from pipelines.usecases.clustering.wording import is_worth_telling, label

#: Rows of the heat map.
_ROWS = 18

#: Facts in a card.
_FACTS = 5

_STATES = {"stable": "good", "doubtful": "warn", "unstable": "bad"}


@dataclass(frozen=True)
class Groups:
    """The groups as people see them first.

    Attributes
    ----------
    cards
        One per group: ``name``, ``colour``, ``title``, ``facts``, ``stores``, ``share``, ``typical`` (names),
        ``atypical`` (number), ``state``, ``badge``, ``jaccard``, ``takings`` (share of the chain's).
    atypical, moved
        Stores that do not fit, and that are in another group than on the last day.
    compared_with
        The last earlier day; None on the first.
    """

    cards: list[dict[str, Any]]
    stores: int
    version: str
    trained_on: Any
    stable_share: float | None
    atypical: int
    moved: int
    compared_with: Any


def groups(data: DayData) -> Groups | Missing:
    """Cards of the groups."""
    rows = data.stores
    if rows.empty:
        words = f"Stores have no groups on {data.as_of}."
        return Missing(words, f"millrace score clustering --as-of {data.as_of}")
    names = sorted(rows["cluster"].unique())
    stability = data.stability.set_index("cluster") if len(data.stability) else pd.DataFrame()
    takings = _takings(data)
    cards = [_card(data, name, names, stability, takings) for name in names]
    known = [card for card in cards if card["jaccard"] is not None]
    stable = sum(card["stores"] for card in known if card["state"] == "stable")
    moves = data.moves
    return Groups(
        cards=cards,
        stores=len(rows),
        version=data.version,
        trained_on=data.trained_on,
        stable_share=stable / len(rows) if known else None,
        atypical=int(rows["is_atypical"].sum()),
        moved=int((moves["move"] == "moved").sum()) if len(moves) else 0,
        compared_with=_compared_with(data),
    )


def figures(data: DayData) -> list[Figure]:
    """Tree, number of groups, map and stability; those that the training left."""
    found: list[Figure] = []
    if len(data.choices):
        chosen = int(data.choices.loc[data.choices["chosen"], "n_clusters"].iloc[0])
        if len(data.merges):
            merges = data.merges[["left", "right", "height", "stores"]].to_numpy(np.float64)
            found.append(plots_groups.tree(merges, groups=chosen))
        curve = data.choices[data.choices["n_clusters"] > 1]
        counts, gain, clear = (
            curve[name].to_numpy(np.float64) for name in ("n_clusters", "inertia_gain", "silhouette")
        )
        found.append(plots_groups.number_of_groups(counts, gain, clear, chosen))
    if len(data.stability):
        found.append(
            plots_groups.stability(
                data.stability["cluster"].tolist(),
                data.stability["jaccard"].to_numpy(np.float64),
                stable=STABLE,
                doubtful=DOUBTFUL,
            )
        )
    return found


def store_map(data: DayData) -> Figure | Missing:
    """Stores on the first two axes."""
    rows = data.stores
    if rows.empty:
        return Missing("There is no map without groups.")
    places = plots_groups.Places(
        x=rows["axis_1"].to_numpy(np.float64),
        y=rows["axis_2"].to_numpy(np.float64),
        group=rows["cluster"].tolist(),
        label=[data.name(store) for store in rows["store_id"]],
        typical=rows["is_typical"].to_numpy(bool),
        atypical=rows["is_atypical"].to_numpy(bool),
    )
    axes = list(zip(data.axes["explained"].tolist(), data.axes["words"].tolist(), strict=True))
    return plots_groups.store_map(places, axes or [(float("nan"), "not kept")] * 2)


def heat_map(data: DayData) -> Figure | Missing:
    """Variables that set groups apart most, by group."""
    rows = data.profiles
    if rows.empty:
        return Missing(
            "There are no profiles of this day.", f"millrace score clustering --as-of {data.as_of}"
        )
    rows = rows[rows["v_test"].notna() & (rows["category"] != "missing")]
    told = [
        is_worth_telling(row["variable"], row["category"], row["inside"], row["overall"])
        for row in rows[["variable", "category", "inside", "overall"]].to_dict("records")
    ]
    rows = rows.assign(
        row=np.where(
            rows["category"].isin(["", "yes"]), rows["variable"], rows["variable"] + "=" + rows["category"]
        ),
        strength=np.where(told, rows["v_test"].abs(), 0.0),
    )
    strongest = rows.groupby("row", sort=True)["strength"].max()
    strongest = strongest[strongest >= NOTABLE].sort_values(ascending=False, kind="stable")
    # Of variables that say much the same only the strongest is shown.
    said = pd.Series([family(row) for row in strongest.index], strongest.index)
    chosen = strongest.index[~said.duplicated()][:_ROWS]
    if not len(chosen):
        return Missing("No variable sets the groups apart beyond chance.")
    wanted = rows[rows["row"].isin(chosen)]
    table = wanted.pivot_table(index="row", columns="cluster", values="v_test", aggfunc="first").loc[
        list(chosen)
    ]
    first = wanted.drop_duplicates("row").set_index("row")
    names = {row: _row_name(first.loc[row]) for row in chosen}
    overall = {row: _shown(first.loc[row], "overall") for row in chosen}
    cells = {(row["row"], row["cluster"]): _shown(row, "inside") for row in wanted.to_dict("records")}
    return plots_groups.profile_heat_map(table, cells, overall, names)


def _card(
    data: DayData, name: str, names: list[str], stability: pd.DataFrame, takings: pd.Series | None
) -> dict[str, Any]:
    rows = data.stores[data.stores["cluster"] == name]
    jaccard = float(stability["jaccard"].to_dict()[name]) if name in stability.index else None
    state = str(stability.loc[name, "state"]) if name in stability.index else "not known"
    typical = rows[rows["is_typical"]].sort_values(["distance", "store_id"])
    regions = data.features["region"].reindex(rows["store_id"]).value_counts() if len(data.features) else None
    return {
        "name": name,
        "colour": plots_groups.colour_of(names, name),
        "title": data.titles.get(name, ""),
        "facts": [fact["words"] for fact in notable_facts(data.profiles, name, _FACTS)],
        "stores": len(rows),
        "share": len(rows) / len(data.stores),
        "takings": None if takings is None else float(takings.get(name, 0.0)),
        "typical": [data.name(store) for store in typical["store_id"]],
        "atypical": int(rows["is_atypical"].sum()),
        "regions": [] if regions is None else [f"{place} {count}" for place, count in regions[:3].items()],
        "state": state,
        "badge": _STATES.get(state, ""),
        "jaccard": jaccard,
    }


def _takings(data: DayData) -> pd.Series | None:
    """Share of each group in the chain's takings a day; None if they are not reported."""
    if data.features.empty or data.features["revenue_per_day"].isna().all():
        return None
    daily = data.features["revenue_per_day"].reindex(data.stores["store_id"]).to_numpy(np.float64)
    sums = pd.Series(np.nan_to_num(daily)).groupby(data.stores["cluster"].to_numpy()).sum()
    return sums / sums.sum() if sums.sum() else None


def _compared_with(data: DayData) -> Any:
    earlier = [day for day in data.days() if day < data.as_of]
    return earlier[-1] if earlier else None


def _row_name(row: pd.Series) -> str:
    name = label(str(row["variable"])).name
    return name if row["category"] in ("", "yes") else f"{name}: {row['category']}"


def _shown(row: Any, column: str) -> str:
    value = float(row[column])
    return percent(value) if row["kind"] == "category" else label(str(row["variable"])).shown(value)
