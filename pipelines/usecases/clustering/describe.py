"""What sets groups apart and stores from their group, in tables and words; and one store explained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.dataset as pa_dataset

from models.clustering.exemplars import reasons, usual_values
from models.clustering.groups import NamedGroups
from models.clustering.kinds import BINARY, Kind
from models.clustering.profile import NOTABLE, profile
from pipelines.errors import DataContractError
from pipelines.io.lake import on_day, until_day
from pipelines.io.registry import Registry
from pipelines.reporting.words import join
from pipelines.usecase import Record, Run
from pipelines.usecases.clustering.dataset import Stores, read_stores
from pipelines.usecases.clustering.params import ClusteringParams
from pipelines.usecases.clustering.schemas import CLUSTERS, MIGRATIONS, PROFILES
from pipelines.usecases.clustering.wording import is_worth_telling, label, profile_words, shown

#: Facts in the name of a group, and in its description.
TITLE_FACTS, FACTS = 2, 6
#: Differences from its group that are named of a store.
_REASONS = 5

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
            "inside": table["in_cluster"].astype(float),
            "overall": table["overall"].astype(float),
            "v_test": table["v_test"].astype(float),
            "p_value": table["p_value"].astype(float).clip(0, 1),
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
    own = rows[
        (rows["cluster"] == cluster) & (rows["v_test"].abs() >= NOTABLE) & (rows["category"] != "missing")
    ]
    own = own.sort_values("v_test", key=abs, ascending=False, kind="stable")
    facts: dict[str, dict[Any, Any]] = {}
    for row in own.to_dict("records"):
        if is_worth_telling(row["variable"], row["category"], row["inside"], row["overall"]):
            facts.setdefault(family(row["variable"]), row)
    return list(facts.values())[:top]


def family(variable: str) -> str:
    """What a variable tells of; several may say much the same."""
    return _FAMILIES.get(variable, variable)


def titles(rows: pd.DataFrame) -> dict[str, str]:
    """Each group's strongest facts as a name."""
    return {
        cluster: join([fact["words"].partition(":")[0] for fact in notable_facts(rows, cluster, TITLE_FACTS)])
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
        value = plain(X.loc[row["store"], row["variable"]])
        usual = groups.raw_value(row["variable"], row["usual"])
        words.setdefault(row["store"], []).append(
            f"{label(row['variable']).name} {shown(row['variable'], value)}"
            f" (usual there: {shown(row['variable'], usual)})"
        )
    return {store: tuple(parts) for store, parts in words.items()}


def _kind(column: pd.Series) -> Kind:
    known = column.dropna()
    if known.map(lambda value: isinstance(value, bool | np.bool_)).all():
        return Kind.SYMMETRIC_BINARY
    return Kind.NOMINAL if known.map(lambda value: isinstance(value, str)).all() else Kind.NUMERIC


def plain(value: Any) -> Any:
    """A cell as Python's own value; None if it is not known."""
    value = value.item() if isinstance(value, np.generic) else value
    return None if pd.isna(value) else value


# ----------------------------------------------------------------------------------------- one store


def explain(run: Run[ClusteringParams], keys: Sequence[str]) -> Record:
    """Say which group a store is in on the day, and why.

    Returns the group with ``title`` and ``facts``, how well the store fits it in words, ``differences`` (what
    sets the store apart from its group), ``variables`` (its values beside the usual ones of the group),
    ``history`` (group by day) and ``moves``. Raises ``DataContractError`` if the store has no group that day.
    """
    (store,), lake, as_of = keys, run.lake, run.as_of
    where = (pa_dataset.field("store_id") == store) & until_day(as_of)
    history = lake.read(CLUSTERS, where=where, missing_ok=True).sort_by("as_of").to_pylist()
    if not history or history[-1]["as_of"] != as_of:
        raise DataContractError(_absent(run, store))
    row = history[-1]
    registry = Registry(run.settings, run.usecase)
    groups: NamedGroups = registry.load(registry.version(row["model_version"].rpartition("/")[2]))
    stores = read_stores(run)
    cluster = str(row["cluster"])
    one = stores.X.loc[[store]]
    words = reason_words(groups, one, pd.Series([cluster], [store]), top=_REASONS)
    profiles: pd.DataFrame = lake.read(PROFILES, where=on_day(as_of)).to_pandas()
    moves = lake.read(MIGRATIONS, where=where, missing_ok=True).sort_by("as_of").to_pylist()
    return {
        "store_id": store,
        "as_of": as_of,
        "cluster": cluster,
        "title": titles(profiles)[cluster],
        "facts": [fact["words"] for fact in notable_facts(profiles, cluster)],
        "fit": _fit(row),
        "second_cluster": row["second_cluster"],
        "differences": list(words.get(store, ())),
        "variables": _variables(groups, one, cluster),
        "history": {str(each["as_of"]): each["cluster"] for each in history},
        "moves": [f"{move['as_of']}: {_move(move)}. {move['words']}" for move in moves],
        "model_version": row["model_version"],
    }


def explanation(record: Record) -> str:
    """Lay a record out for a terminal."""
    lines = [
        f"Store {record['store_id']} on {record['as_of']}: group {record['cluster']}, {record['title']} "
        f"({record['model_version']})",
        f"  {record['fit']}",
        "",
        f"Group {record['cluster']}:",
        *(f"  {fact}" for fact in record["facts"]),
        "",
        f"What sets the store apart from group {record['cluster']}:",
        *(f"  {words}" for words in record["differences"] or ["nothing in particular"]),
        "",
        f"{'Variable':<32}{'the store':>20}{'usual in the group':>22}",
        *(f"{row['name']:<32}{row['value']:>20}{row['usual']:>22}" for row in record["variables"]),
    ]
    if record["moves"]:
        lines += ["", "Moves:", *(f"  {move}" for move in record["moves"])]
    return "\n".join(lines)


def _fit(row: dict[str, Any]) -> str:
    near = row["distance"] / row["second_distance"] if row["second_distance"] else 1.0
    if row["is_atypical"]:
        head = "It does not fit its group well"
    elif row["is_typical"]:
        head = "It stands for its group"
    else:
        head = "It fits its group"
    between = f"; group {row['second_cluster']} is almost as near" if near > 0.9 else ""
    return f"{head}: {row['typicality']:.0%} of the group's stores are as different from it or more{between}"


def _variables(groups: NamedGroups, one: pd.DataFrame, cluster: str) -> list[dict[str, str]]:
    usual = usual_values(groups.clustering_).iloc[groups.names_.index(cluster)]
    return [
        {
            "variable": name,
            "name": label(name).name,
            "value": shown(name, plain(one[name].iloc[0])),
            "usual": shown(name, groups.raw_value(name, usual[name])),
        }
        for name in groups.clustering_.gower_.kinds_
    ]


def _move(move: dict[str, Any]) -> str:
    if move["move"] == "moved":
        return f"from group {move['from_cluster']} to {move['to_cluster']}"
    return "came" if move["move"] == "new" else "left"


def _absent(run: Run[ClusteringParams], store: str) -> str:
    """Say why a store has no group."""
    try:
        outside = read_stores(run).outside.set_index("store_id")
    except DataContractError:
        return f"stores have no groups on {run.as_of}: run `{run.command('score')}`"
    if store in outside.index:
        return f"store {store!r} is not grouped on {run.as_of}: {outside.loc[store, 'scope_reason']}"
    return f"there is no store {store!r} on {run.as_of}: check the id, or run `{run.command('score')}`"
