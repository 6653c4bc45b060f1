"""Explain the group of one store: how well it fits, what sets it apart, and where it was before."""

from __future__ import annotations

from datetime import date
from typing import Any

import pandas as pd
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset

from models.clustering.exemplars import usual_values
from models.clustering.groups import NamedGroups
from pipelines.errors import DataContractError
from pipelines.io.lake import Lake
from pipelines.io.registry import Registry
from pipelines.settings import Settings
from pipelines.usecases.clustering.contracts import USECASE
from pipelines.usecases.clustering.dataset import read_stores
from pipelines.usecases.clustering.describe import notable_facts, reason_words, titles
from pipelines.usecases.clustering.schemas import CLUSTERS, MIGRATIONS, PROFILES
from pipelines.usecases.clustering.wording import label, shown

#: Differences from the group that are named.
_REASONS = 5


def newest_day(settings: Settings) -> date:
    """Newest day with groups.

    Raises
    ------
    DataContractError
        There is none.
    """
    days = Lake.of(settings).read(CLUSTERS, columns=["as_of"], missing_ok=True)["as_of"]
    if not len(days):
        raise DataContractError(
            "no store has a group yet: run `millrace train clustering` and `millrace score clustering`"
        )
    newest: date = pc.max(days).as_py()
    return newest


def run(as_of: date, store: str, *, settings: Settings | None = None) -> dict[str, Any]:
    """Say which group a store is in on a day, and why.

    Returns
    -------
    dict
        ``store_id``, ``as_of``, ``cluster``, ``title`` and ``facts`` of the group, ``fit`` (in words),
        ``second_cluster``, ``differences`` (what sets the store apart from its group), ``variables`` (its values
        beside the usual ones of the group), ``history`` (group by day) and ``moves``.

    Raises
    ------
    DataContractError
        The store has no group that day.
    """
    settings = settings or Settings.load()
    lake = Lake.of(settings)
    everything = lake.read(CLUSTERS, where=pa_dataset.field("store_id") == store, missing_ok=True).to_pylist()
    rows = [row for row in everything if row["as_of"] == as_of]
    if not rows:
        raise DataContractError(_absent(lake, settings, as_of, store))
    row = rows[0]
    registry = Registry(settings, USECASE)
    groups: NamedGroups = registry.load(registry.version(row["model_version"].rpartition("/")[2]))
    stores = read_stores(lake, settings, as_of)
    cluster = str(row["cluster"])
    one = stores.X.loc[[store]]
    words = reason_words(groups, one, pd.Series([cluster], [store]), top=_REASONS)
    profiles: pd.DataFrame = lake.read(PROFILES, where=pa_dataset.field("as_of") == as_of).to_pandas()
    where = (pa_dataset.field("store_id") == store) & (pa_dataset.field("as_of") <= as_of)
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
        "history": {
            str(other["as_of"]): other["cluster"]
            for other in sorted(everything, key=lambda each: each["as_of"])
            if other["as_of"] <= as_of
        },
        "moves": [f"{move['as_of']}: {_move(move)}. {move['words']}" for move in moves],
        "model_version": row["model_version"],
    }


def as_text(record: dict[str, Any]) -> str:
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
    levels = dict(groups.levels or {})
    rows = []
    for name in groups.clustering_.gower_.kinds_:
        middle = groups.raw_value(name, usual[name])
        if name in levels and isinstance(middle, float):
            middle = levels[name][round(middle)]
        value = one[name].iloc[0]
        value = value.item() if hasattr(value, "item") else value
        rows.append(
            {
                "variable": name,
                "name": label(name).name,
                "value": shown(name, value),
                "usual": shown(name, middle),
            }
        )
    return rows


def _move(move: dict[str, Any]) -> str:
    if move["move"] == "moved":
        return f"from group {move['from_cluster']} to {move['to_cluster']}"
    return "came" if move["move"] == "new" else "left"


def _absent(lake: Lake, settings: Settings, as_of: date, store: str) -> str:
    """Say why a store has no group."""
    try:
        outside = read_stores(lake, settings, as_of).outside.set_index("store_id")
    except DataContractError:
        return f"stores have no groups on {as_of}: run `millrace score clustering --as-of {as_of}`"
    if store in outside.index:
        return f"store {store!r} is not grouped on {as_of}: {outside.loc[store, 'scope_reason']}"
    return f"there is no store {store!r} on {as_of}: check the id, or run `millrace score clustering --as-of {as_of}`"
