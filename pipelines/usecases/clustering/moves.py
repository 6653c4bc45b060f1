"""Stores that changed their group since the last run, and why."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pandas as pd
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset

from models.clustering.groups import NamedGroups
from models.clustering.matching import (
    DISSOLVED,
    MOVED_BY_GROUPS,
    MOVED_BY_STORE,
    Matching,
    explain_moves,
    migrations,
)
from pipelines.io.lake import Lake
from pipelines.usecases.clustering.dataset import Stores
from pipelines.usecases.clustering.schemas import CLUSTERS, MIGRATIONS
from pipelines.usecases.clustering.wording import move_words

_CAUSES = {MOVED_BY_STORE: "store", MOVED_BY_GROUPS: "groups", DISSOLVED: "dissolved"}
_OUT_OF_SCOPE = {"store_closed": "has closed", "too_few_days": "sold on too few days"}
_COLUMNS = [name for name in MIGRATIONS.column_names if name not in ("as_of", "model_version")]


def previous_day(lake: Lake, as_of: date) -> date | None:
    """Newest earlier day with groups; None before the second run."""
    where = pa_dataset.field("as_of") < as_of
    days = lake.read(CLUSTERS, columns=["as_of"], where=where, missing_ok=True)["as_of"]
    newest: date | None = pc.max(days).as_py() if len(days) else None
    return newest


def groups_on(lake: Lake, day: date) -> pd.Series:
    """Group of each store on a day."""
    where = pa_dataset.field("as_of") == day
    rows = lake.read(CLUSTERS, columns=["store_id", "cluster"], where=where, missing_ok=True).to_pandas()
    return pd.Series(rows["cluster"].to_numpy(object), rows["store_id"].to_numpy(object)).sort_index()


def moved_rows(
    groups: NamedGroups,
    stores: Stores,
    clusters: pd.Series,
    *,
    before: pd.Series,
    stores_before: Stores | None,
    day_before: date,
    top: int,
) -> pd.DataFrame:
    """Rows of ``predictions/store_cluster_migrations``, without day and version.

    Parameters
    ----------
    clusters, before
        Group of each store now and on ``day_before``.
    stores_before
        Features of that day; None if they are not kept, in which case moves are told without their variables.
    """
    moves = migrations(before, clusters)
    explained = _explained(groups, stores, stores_before, moves, top)
    outside = dict(zip(stores.outside["store_id"], stores.outside["scope_reason"], strict=True))
    rows = []
    for move in moves[moves["status"] != "stayed"].to_dict("records"):
        store, status = str(move["store"]), str(move["status"])
        variables: list[dict[str, Any]] = []
        cause, words = "scope", "Grouped for the first time"
        if status == "left":
            reason = _OUT_OF_SCOPE.get(str(outside.get(store)), "is not known any more")
            words = f"No longer grouped: the store {reason}"
        elif status == "moved":
            cause, words, variables = explained.get(
                store, ("groups", "The features of the last run are not kept", [])
            )
        rows.append(
            {
                "store_id": store,
                "previous_as_of": day_before,
                "move": status,
                "from_cluster": _text(move["previous"]),
                "to_cluster": _text(move["current"]),
                "cause": cause,
                "words": words,
                "variables_json": json.dumps(variables, default=str),
            }
        )
    return pd.DataFrame(rows, columns=_COLUMNS)


def _explained(
    groups: NamedGroups, stores: Stores, before: Stores | None, moves: pd.DataFrame, top: int
) -> dict[str, tuple[str, str, list[dict[str, Any]]]]:
    """Cause, words and variables of each store that moved."""
    moved = moves[moves["status"] == "moved"]
    if before is None or moved.empty:
        return {}
    moved = moved[moved["store"].isin(before.inside.index)]
    matching = Matching(dict(enumerate(groups.names_)), pd.DataFrame(), ())
    table = explain_moves(
        groups.clustering_, matching, moved, groups.prepared(before.X), groups.prepared(stores.X), top=top
    )
    found = {}
    for store, rows in table.groupby("store", sort=True):
        cause = _CAUSES[rows["cause"].iloc[0]]
        variables = [
            {
                "variable": row["variable"],
                "before": _plain(before.X.loc[store, row["variable"]]),
                "now": _plain(stores.X.loc[store, row["variable"]]),
                "pull": round(float(row["pull"]), 4),
            }
            for row in rows[rows["variable"].notna()].to_dict("records")
        ]
        found[str(store)] = (cause, _words(cause, variables, rows.iloc[0]), variables)
    return found


def _words(cause: str, variables: list[dict[str, Any]], row: pd.Series) -> str:
    if cause == "dissolved":
        return f"Group {row['previous']} is gone: no group of today continues it"
    if cause == "groups":
        return "The groups were found anew: as it was before, the store would not be in its old group either"
    if not variables:
        return "Many small changes, none of which stands out"
    return "; ".join(move_words(v["variable"], v["before"], v["now"]) for v in variables)


def _text(value: Any) -> str | None:
    return None if pd.isna(value) else str(value)


def _plain(value: Any) -> Any:
    if hasattr(value, "item"):
        value = value.item()
    return None if pd.isna(value) else value
