"""Scoring: the group of every store, what sets the groups apart, and what moved since the last run."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd

from models.clustering.groups import NamedGroups
from models.clustering.matching import (
    DISSOLVED,
    MOVED_BY_GROUPS,
    MOVED_BY_STORE,
    Matching,
    explain_moves,
    migrations,
)
from pipelines.errors import DataContractError, NotKeptError
from pipelines.io.lake import Lake, on_day
from pipelines.io.registry import ModelVersion
from pipelines.usecase import Output, Run
from pipelines.usecases.clustering.dataset import Stores, read_stores
from pipelines.usecases.clustering.describe import plain, profile_rows, reason_words
from pipelines.usecases.clustering.params import ClusteringParams
from pipelines.usecases.clustering.schemas import CLUSTERS, MIGRATIONS, PROFILES
from pipelines.usecases.clustering.wording import label, shown

log = logging.getLogger(__name__)

_CAUSES = {MOVED_BY_STORE: "store", MOVED_BY_GROUPS: "groups", DISSOLVED: "dissolved"}
_OUT_OF_SCOPE = {"store_closed": "has closed", "too_few_days": "sold on too few days"}


def predict(run: Run[ClusteringParams], groups: NamedGroups, version: ModelVersion) -> Iterator[Output]:
    """Assign the stores of the day to the groups, without fitting again, and tell what moved.

    Raises ``DataContractError`` if the day has no features, or a store shares no variable with the groups.
    """
    stores = read_stores(run)
    rows = assigned_rows(groups, stores, run.params)
    clusters = rows["cluster"]
    before = run.lake.newest_day(CLUSTERS, run.as_of - timedelta(days=1))
    previous = _groups_on(run.lake, before) if before else pd.Series(dtype=object)
    rows["previous_cluster"] = previous.reindex(rows.index)
    moves = _moved_rows(
        groups,
        stores,
        clusters,
        before=previous,
        stores_before=_kept(run, before),
        day_before=before or run.as_of,
        top=run.params.scoring.reasons,
    )
    if before is None:
        moves = moves.iloc[:0]  # on the first day every store would be new
    yield Output(PROFILES, profile_rows(stores, clusters))
    yield Output(MIGRATIONS, moves)
    yield Output(
        CLUSTERS,
        rows.rename_axis("store_id").reset_index(),
        record={
            "stores": len(rows),
            "clusters": clusters.value_counts().sort_index().astype(int).to_dict(),
            "atypical": int(rows["is_atypical"].sum()),
            "compared_with": before.isoformat() if before else None,
            "moves": moves["move"].value_counts().sort_index().astype(int).to_dict(),
        },
    )


def assigned_rows(groups: NamedGroups, stores: Stores, params: ClusteringParams) -> pd.DataFrame:
    """Group of each store with how well it fits, index ``store_id``."""
    assigned = groups.assign(stores.X)
    lost = assigned.index[assigned["cluster"] == ""].tolist()
    if lost:
        raise DataContractError(
            f"every store must share a known variable with the groups, {len(lost)} do not: {lost[:5]}; look at "
            "their rows in features/clustering"
        )
    places = groups.coordinates(stores.X)
    places = np.pad(places, ((0, 0), (0, max(0, 2 - places.shape[1]))))
    deviation = groups.deviation(assigned)
    rank = assigned["distance"].groupby(assigned["cluster"]).rank(method="first")
    rows = assigned.drop(columns="difference").assign(
        axis_1=places[:, 0],
        axis_2=places[:, 1],
        deviation=deviation,
        is_typical=(rank <= params.scoring.paragons).to_numpy(),
        is_atypical=deviation >= params.scoring.atypical_deviation,
    )
    rows["is_typical"] &= ~rows["is_atypical"]
    rows["why"] = pd.Series(
        _why(groups, stores, rows, rank, params.scoring.reasons), rows.index, dtype=object
    )
    return rows


def _why(
    groups: NamedGroups, stores: Stores, rows: pd.DataFrame, rank: pd.Series, top: int
) -> list[str | None]:
    """What makes a store atypical or typical, in words; None for the others."""
    strange = rows.index[rows["is_atypical"]]
    words = reason_words(groups, stores.X.loc[strange], rows.loc[strange, "cluster"], top=top)
    places = {1: "Nearest", 2: "Second nearest", 3: "Third nearest"}
    found: list[str | None] = []
    for row, place in zip(rows.itertuples(), rank.tolist(), strict=True):
        if row.is_atypical:
            why = words.get(str(row.Index), ("Many small differences, none of which stands out",))
            found.append("; ".join(why))
        elif row.is_typical:
            found.append(f"{places.get(int(place), 'Near')} to the middle of group {row.cluster}")
        else:
            found.append(None)
    return found


def _kept(run: Run[ClusteringParams], day: date | None) -> Stores | None:
    """Stores of an earlier day; None if its features are no longer there. Any other fault of theirs is one."""
    if day is None:
        return None
    try:
        return read_stores(run, day)
    except NotKeptError:
        log.warning("features of %s are not kept: moves since then are told without their variables", day)
        return None


# --------------------------------------------------------------------------------------------- moves


def _groups_on(lake: Lake, day: date) -> pd.Series:
    """Group of each store on a day."""
    rows = lake.read(CLUSTERS, columns=["store_id", "cluster"], where=on_day(day)).to_pandas()
    return pd.Series(rows["cluster"].to_numpy(object), rows["store_id"].to_numpy(object)).sort_index()


def _moved_rows(
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

    ``clusters`` and ``before`` are the group of each store now and on ``day_before``; without the features of
    that day (``stores_before``) moves are told without their variables.
    """
    moves = migrations(before, clusters)
    explained = _explained(groups, stores, stores_before, moves, top)
    outside = dict(zip(stores.outside["store_id"], stores.outside["scope_reason"], strict=True))

    def told(move: Any) -> tuple[str, str, list[dict[str, Any]]]:
        if move.status == "new":
            return "scope", "Grouped for the first time", []
        if move.status == "left":
            reason = _OUT_OF_SCOPE.get(str(outside.get(move.store)), "is not known any more")
            return "scope", f"No longer grouped: the store {reason}", []
        return explained.get(move.store, ("groups", "The features of the last run are not kept", []))

    moves = moves[moves["status"] != "stayed"]
    reasons = [told(move) for move in moves.itertuples()]
    return pd.DataFrame(
        {
            "store_id": moves["store"].astype(str),
            "previous_as_of": day_before,
            "move": moves["status"],
            "from_cluster": moves["previous"].astype(object),
            "to_cluster": moves["current"].astype(object),
            "cause": [cause for cause, _, _ in reasons],
            "words": [words for _, words, _ in reasons],
            "variables_json": [json.dumps(variables, default=str) for _, _, variables in reasons],
        }
    )


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
                "before": plain(before.X.loc[store, row["variable"]]),
                "now": plain(stores.X.loc[store, row["variable"]]),
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
    changes = [(one["variable"], one["before"], one["now"]) for one in variables]
    return "; ".join(
        f"{label(name).name} from {shown(name, old)} to {shown(name, new)}" for name, old, new in changes
    )
