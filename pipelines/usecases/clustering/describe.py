"""What sets groups apart, which stores stand for them and which do not fit, in tables and words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from models.clustering.exemplars import reasons
from models.clustering.groups import NamedGroups
from models.clustering.kinds import BINARY, Kind
from models.clustering.profile import NOTABLE, profile
from pipelines.usecases.clustering.dataset import Stores
from pipelines.usecases.clustering.records import or_none
from pipelines.usecases.clustering.wording import difference_words, is_worth_telling, profile_words, title

#: Facts in the name of a group, and in its description.
TITLE_FACTS, FACTS = 2, 6


def profile_rows(stores: Stores, clusters: pd.Series) -> pd.DataFrame:
    """Rows of ``predictions/store_cluster_profiles``, without day and version, strongest first in a group.

    All features take part, also those that groups were not made from, and the region: groups may differ in
    them as well.
    """
    columns = pd.concat([stores.X, stores.regions], axis=1)
    kinds = {str(name): _kind(columns[name]) for name in columns if columns[name].notna().any()}
    table = profile(columns[list(kinds)], clusters.to_numpy(str), kinds)
    table = table[(table["category"] != "missing") | (table["v_test"].abs() >= NOTABLE)]
    numeric = table["category"].isna()
    binary = table["kind"].isin([str(kind) for kind in BINARY])
    known = pd.concat([columns.notna(), clusters.rename("cluster")], axis=1).groupby("cluster").sum()
    rows = pd.DataFrame(
        {
            "cluster": table["cluster"].astype(str),
            "variable": table["variable"],
            "category": np.where(numeric, "", np.where(binary, "yes", table["category"].astype(str))),
            "kind": np.where(numeric, "numeric", "category"),
            "stores": [
                int(known.loc[cluster, variable])
                for cluster, variable in zip(table["cluster"], table["variable"], strict=True)
            ],
            "inside": or_none(table["in_cluster"]),
            "overall": or_none(table["overall"]),
            "v_test": or_none(table["v_test"]),
            "p_value": or_none(table["p_value"].clip(0, 1)),
        }
    )
    rows["words"] = [
        profile_words(row["variable"], row["category"], row["inside"], row["overall"])
        for row in rows.to_dict("records")
    ]
    return rows


def notable_facts(rows: pd.DataFrame, cluster: str, top: int = FACTS) -> list[dict[str, Any]]:
    """Strongest facts of a group that chance does not explain and people would call a difference.

    Weekday openings and the like say one thing several times: of a theme's twins only the strongest is named.
    """
    own = rows[(rows["cluster"] == cluster) & rows["v_test"].notna()]
    strength = own["v_test"].astype(float).abs()
    own = (
        own[strength >= NOTABLE]
        .assign(strength=strength)
        .sort_values("strength", ascending=False, kind="stable")
    )
    facts: list[dict[str, Any]] = []
    seen: set[str] = set()
    for row in own.to_dict("records"):
        said = family(row["variable"])
        told = is_worth_telling(row["variable"], row["category"], row["inside"], row["overall"])
        if told and said not in seen and row["category"] != "missing":
            seen.add(said)
            facts.append({str(name): value for name, value in row.items()})
    return facts[:top]


def family(variable: str) -> str:
    """What a variable tells of; several may say much the same."""
    return _FAMILIES.get(variable, variable)


def titles(rows: pd.DataFrame) -> dict[str, str]:
    """Each group's strongest facts as a name."""
    return {
        cluster: title([fact["words"] for fact in notable_facts(rows, cluster, TITLE_FACTS)])
        or "like all others"
        for cluster in sorted(rows["cluster"].unique())
    }


def reason_words(
    groups: NamedGroups, X: pd.DataFrame, clusters: pd.Series, *, top: int
) -> dict[str, tuple[str, ...]]:
    """Say for stores what sets them apart from their group most: by store, strongest first."""
    if X.empty:
        return {}
    numbers = clusters.map({name: number for number, name in enumerate(groups.names_)})
    found = reasons(groups.clustering_, groups.prepared(X), numbers.to_numpy(int), top=top)
    words: dict[str, list[str]] = {}
    for row in found.to_dict("records"):
        value = X.loc[row["store"], row["variable"]]
        usual = groups.raw_value(row["variable"], row["usual"])
        words.setdefault(row["store"], []).append(
            difference_words(row["variable"], _plain(value), _ordinal(groups, row["variable"], usual))
        )
    return {store: tuple(parts) for store, parts in words.items()}


#: Variables that say much the same.
_FAMILIES: Mapping[str, str] = {
    **{
        f"open_{day}_share": "opening"
        for day in ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
    },
    "open_day_share": "opening",
    "open_sunday_share": "sunday",
    "opens_sunday": "sunday",
    "promo_day_share": "promotion",
    "promo_volume_share": "promotion",
}


def _kind(column: pd.Series) -> Kind:
    known = column.dropna()
    if known.map(lambda value: isinstance(value, bool | np.bool_)).all():
        return Kind.SYMMETRIC_BINARY
    return Kind.NOMINAL if known.map(lambda value: isinstance(value, str)).all() else Kind.NUMERIC


def _ordinal(groups: NamedGroups, variable: str, value: Any) -> Any:
    """Word of a level number."""
    levels = dict(groups.levels or {}).get(variable)
    if levels is None or value is None or isinstance(value, str):
        return value
    return levels[round(float(value))]


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
