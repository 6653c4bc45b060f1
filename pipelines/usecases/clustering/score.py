"""Clustering, scoring: the group of every store, what sets the groups apart, and what moved since the last run."""

from __future__ import annotations

import logging
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.dataset as pa_dataset

from models.clustering.groups import NamedGroups
from pipelines.errors import DataContractError
from pipelines.io.hashing import content_hash
from pipelines.io.lake import Lake
from pipelines.io.quality import quality_audit
from pipelines.io.registry import CHAMPION, Registry
from pipelines.settings import Settings
from pipelines.usecases.clustering.contracts import USECASE
from pipelines.usecases.clustering.dataset import Stores, read_stores
from pipelines.usecases.clustering.describe import profile_rows, reason_words
from pipelines.usecases.clustering.moves import groups_on, moved_rows, previous_day
from pipelines.usecases.clustering.params import ClusteringParams
from pipelines.usecases.clustering.records import commit_day
from pipelines.usecases.clustering.schemas import CLUSTERS, MIGRATIONS, PROFILES

log = logging.getLogger(__name__)


def run(
    as_of: date,
    *,
    settings: Settings | None = None,
    params: ClusteringParams | None = None,
    alias: str = CHAMPION,
) -> dict[str, Any]:
    """Assign the stores of ``as_of`` to the groups of the version that carries ``alias``, without fitting again.

    Returns
    -------
    dict
        ``model_version``, ``stores``, ``clusters`` (stores by group), ``atypical``, ``compared_with`` (the last
        earlier day), ``moves`` (stores by kind of move), ``lake_version``, ``content_hash``.

    Raises
    ------
    ModelGateError
        No version carries the alias.
    DataContractError
        The day has no features, a store shares no variable with the groups, or an audit failed.
    """
    settings, params = settings or Settings.load(), params or ClusteringParams.load_default()
    lake, registry = Lake.of(settings), Registry(settings, USECASE)
    version = registry.serving(alias)
    groups: NamedGroups = registry.load(version)
    stores = read_stores(lake, settings, as_of)
    rows = assigned_rows(groups, stores, params)
    clusters = rows["cluster"]
    before = previous_day(lake, as_of)
    previous = groups_on(lake, before) if before else pd.Series(dtype=object)
    rows["previous_cluster"] = previous.reindex(rows.index)
    moves = moved_rows(
        groups,
        stores,
        clusters,
        before=previous,
        stores_before=_kept(lake, settings, before),
        day_before=before or as_of,
        top=params.scoring.reasons,
    )
    if before is None:
        moves = moves.iloc[:0]  # on the first day every store would be new
    commit_day(lake, PROFILES, as_of, profile_rows(stores, clusters), version.label)
    commit_day(lake, MIGRATIONS, as_of, moves, version.label)
    # Last: readers, demand among them, go by this table.
    ordered = rows.rename_axis("store_id").reset_index().sort_values("store_id")
    audits = [quality_audit(CLUSTERS, settings)]
    lake_version = commit_day(lake, CLUSTERS, as_of, ordered, version.label, audits)
    written = lake.read(CLUSTERS, version=lake_version, where=pa_dataset.field("as_of") == as_of)
    return {
        "model_version": version.label,
        "stores": len(rows),
        "clusters": clusters.value_counts().sort_index().astype(int).to_dict(),
        "atypical": int(rows["is_atypical"].sum()),
        "compared_with": before.isoformat() if before else None,
        "moves": moves["move"].value_counts().sort_index().astype(int).to_dict(),
        "lake_version": lake_version,
        "content_hash": content_hash(written, sort_by=CLUSTERS.key),
    }


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
    rows["why"] = pd.Series(_why(groups, stores, rows, rank, params), index=rows.index, dtype=object)
    return rows


def _why(
    groups: NamedGroups, stores: Stores, rows: pd.DataFrame, rank: pd.Series, params: ClusteringParams
) -> list[str | None]:
    strange = rows.index[rows["is_atypical"]]
    words = reason_words(
        groups, stores.X.loc[strange], rows.loc[strange, "cluster"], top=params.scoring.reasons
    )
    places = dict(zip(rank.index.astype(str), rank.tolist(), strict=True))
    found: list[str | None] = []
    for store, row in rows.to_dict("index").items():
        if row["is_atypical"]:
            found.append(
                "; ".join(words.get(str(store), ("Many small differences, none of which stands out",)))
            )
        elif row["is_typical"]:
            place = {1: "Nearest", 2: "Second nearest", 3: "Third nearest"}.get(
                int(places[str(store)]), "Near"
            )
            found.append(f"{place} to the middle of group {row['cluster']}")
        else:
            found.append(None)
    return found


def _kept(lake: Lake, settings: Settings, day: date | None) -> Stores | None:
    """Stores of an earlier day, if its features are still there."""
    if day is None:
        return None
    try:
        return read_stores(lake, settings, day)
    except DataContractError:
        log.warning("features of %s are not kept: moves since then are told without their variables", day)
        return None
