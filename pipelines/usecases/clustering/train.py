"""Clustering, training: groups found among the stores of the day, their stability, and what they continue.

There is no truth that groups could be held against. What is judged is what serves: the registered model assigns
stores to the very groups whose clearness and stability the gate sees.
"""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from datetime import date
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.clustering.groups import NamedGroups, letters
from models.clustering.groupwise import silhouettes
from models.clustering.matching import match_labels
from models.clustering.stability import bootstrap_jaccard, warning_of
from pipelines.io.fingerprint import code_fingerprint
from pipelines.io.lake import Lake
from pipelines.io.registry import CHALLENGER, CHAMPION, ModelVersion, Registry, code_version
from pipelines.measure import Stopwatch
from pipelines.monitoring.reference import store_reference
from pipelines.settings import Settings
from pipelines.usecases.clustering.contracts import USECASE
from pipelines.usecases.clustering.dataset import (
    WATCHED,
    Stores,
    Variables,
    choose_variables,
    fingerprint_of,
    new_groups,
    read_stores,
)
from pipelines.usecases.clustering.model_card import model_card
from pipelines.usecases.clustering.params import ClusteringParams
from pipelines.usecases.clustering.records import publish_training

log = logging.getLogger(__name__)

#: Folders whose code decides what a model is; part of the fingerprint.
_CODE = ("features", "models/clustering", "pipelines/usecases/clustering", "dbt_project/models")

#: Features that people group stores by where nothing else tells; the first that sets stores apart is the baseline.
BASELINES = ("store_type", "assortment", "clientele", "region")

_EXAMPLE_ROWS = 5


@dataclass(frozen=True)
class Trained:
    """What a training found.

    Attributes
    ----------
    stability
        By `bootstrap_jaccard`, with ``name`` of each group.
    validation
        ``candidate``, ``store_id``, ``group`` and ``silhouette``.
    overlap
        Groups with the share they have in common with the champion's of the same name; empty without champion.
    gone
        Names of the champion's groups that no group continues.
    warning
        What to say of groups that are not stable; empty if all are.
    """

    groups: NamedGroups
    variables: Variables
    stability: pd.DataFrame
    validation: pd.DataFrame
    overlap: pd.DataFrame
    gone: list[str]
    warning: str


def run(
    as_of: date, *, settings: Settings | None = None, params: ClusteringParams | None = None
) -> dict[str, Any]:
    """Find groups among the stores of ``as_of`` and register them as the challenger.

    A run with the same data, parameters and code as the newest challenger's reuses that version. Groups that
    continue those of the champion keep their names.

    Returns
    -------
    dict
        ``model_version``, whether it was ``reused``, ``clusters`` (stores by group), ``silhouette``,
        ``stability`` (by group), ``left_out`` (variables that take no part) and the seconds of each part.
    """
    settings, params = settings or Settings.load(), params or ClusteringParams.load_default()
    lake, registry = Lake.of(settings), Registry(settings, USECASE)
    stores = read_stores(lake, settings, as_of)
    content = fingerprint_of(stores)
    fingerprint = code_fingerprint(settings.home, _CODE, str(as_of), params.fingerprint, content)
    version = registry.aliased(CHALLENGER)
    if version is not None and version.tags.get("fingerprint") == fingerprint:
        return {"model_version": version.label, "reused": True, "run_id": version.run_id}

    tags = {
        "as_of": str(as_of),
        "code_version": code_version(settings.home),
        "data_versions": str({stores.contract.table.name: stores.version}),
        "data_fingerprint": content,
    }
    watch = Stopwatch()
    champion = registry.aliased(CHAMPION)
    serving = registry.load(champion) if champion is not None else None
    with registry.run(f"{USECASE}-{as_of}-{tags['code_version']}", tags) as run_id:
        trained = find_groups(stores, params, serving=serving, watch=watch)
        model = trained.groups
        version = registry.log_model(model, _example(stores, trained), tags=tags, predict="predict")
        with watch.phase("tables"):
            publish_training(lake, as_of, stores, trained, version.label)
            store_reference(lake, WATCHED, version.label, stores.X.reset_index(), as_of=as_of)
        _log(registry, version, as_of, params, stores, trained, watch.seconds)
    # Last, so that a version whose tables are incomplete after a crash is never reused.
    registry.mark_complete(version, fingerprint)
    return {
        "model_version": version.label,
        "reused": False,
        "run_id": run_id,
        "stores": len(stores.inside),
        "clusters": _sizes(model),
        "continued": [name for name in model.names_ if name not in _new_names(trained)],
        "gone": trained.gone,
        "silhouette": round(float(model.clustering_.silhouette_), 4),
        "stability": dict(
            zip(trained.stability["name"], trained.stability["jaccard"].round(3).tolist(), strict=True)
        ),
        "warning": trained.warning,
        "left_out": trained.variables.left_out,
        "seconds": {name: round(seconds, 1) for name, seconds in watch.seconds.items()},
    }


def find_groups(
    stores: Stores,
    params: ClusteringParams,
    *,
    serving: NamedGroups | None = None,
    watch: Stopwatch | None = None,
) -> Trained:
    """Find groups, name them after the serving ones they continue, and measure how much they can be trusted."""
    watch = watch or Stopwatch()
    with watch.phase("variables"):
        variables = choose_variables(stores, params)
    with watch.phase("groups"):
        groups = new_groups(variables, params, stores=len(stores.inside)).fit(stores.X)
    log.info("%d groups of %d stores", groups.clustering_.n_clusters_, len(stores.inside))
    overlap, gone = pd.DataFrame(), []
    before: NDArray[Any] | None = None
    if serving is not None:
        before = serving.predict(stores.X)
        matching = match_labels(
            pd.Series(before, stores.inside.index),
            pd.Series(groups.clustering_.labels_, stores.inside.index),
            fresh=letters(groups.clustering_.n_clusters_, serving.used_names_),
        )
        numbers = range(groups.clustering_.n_clusters_)
        groups.rename([matching.names[number] for number in numbers], serving.used_names_)
        overlap, gone = matching.overlap, [str(name) for name in matching.gone]
    with watch.phase("stability"):
        stability = bootstrap_jaccard(
            groups.clustering_, params.stability.replicates, random_state=params.seed
        )
        stability["name"] = [groups.names_[number] for number in stability["cluster"]]
    warning = warning_of(stability.assign(cluster=stability["name"])) or ""
    if warning:
        log.warning("%s", warning)
    with watch.phase("validation"):
        validation = _validate(stores, groups, before)
    return Trained(groups, variables, stability, validation, overlap, gone, warning)


def _validate(stores: Stores, groups: NamedGroups, before: NDArray[Any] | None) -> pd.DataFrame:
    """Silhouettes of the challenger, of the champion and of what people group by, all in the same space."""
    model = groups.clustering_
    candidates = {"challenger": groups.labels_}
    if before is not None:
        candidates["champion"] = before
    known = {name: stores.inside[name].fillna("not stated").to_numpy(object) for name in BASELINES}
    usable = [name for name, values in known.items() if 1 < len(set(values)) <= len(values) // 2]
    candidates |= {name: known[name] for name in usable[:1]}
    dissimilarity = model.dissimilarity()
    parts = []
    for name, labels in candidates.items():
        codes = pd.factorize(labels, sort=True)[0]
        parts.append(
            pd.DataFrame(
                {
                    "candidate": name,
                    "store_id": stores.inside.index,
                    "group": labels.astype(str),
                    "silhouette": silhouettes(dissimilarity, codes),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _example(stores: Stores, trained: Trained) -> pd.DataFrame:
    """Stores of which most is known, with the columns that serve; text without a value is empty in none of them."""
    X = stores.X[list(trained.variables.kinds)]
    fullest = X.isna().sum(axis=1).sort_values(kind="stable").index[:_EXAMPLE_ROWS]
    return X.loc[fullest].reset_index(drop=True)


def _sizes(groups: NamedGroups) -> dict[str, int]:
    names, counts = np.unique(groups.labels_.astype(str), return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))


def _new_names(trained: Trained) -> set[str]:
    if trained.overlap.empty:
        return set(trained.groups.names_)
    return set(trained.overlap.loc[trained.overlap["is_new"], "name"])


def _log(
    registry: Registry,
    version: ModelVersion,
    as_of: date,
    params: ClusteringParams,
    stores: Stores,
    trained: Trained,
    seconds: dict[str, float],
) -> None:
    """Log parameters, metrics, tables and the model card to the open run."""
    model = trained.groups.clustering_
    flat = {name: str(value)[:500] for name, value in params.flat().items()}
    mlflow.log_params(flat)
    values = {
        "stores": float(len(stores.inside)),
        "clusters": float(model.n_clusters_),
        "silhouette": float(model.silhouette_),
        "within_inertia_before_consolidation": float(model.inertia_before_consolidation_),
        "within_inertia_after_consolidation": float(model.inertia_after_consolidation_),
        "explained_by_axes": float(model.explained_.sum()),
        **{f"stability.{row.name_}": float(row.jaccard) for row in _named(trained.stability)},
        **{
            f"silhouette.{name}": float(rows["silhouette"].mean())
            for name, rows in trained.validation.groupby("candidate")
        },
        **{f"seconds.{name}": value for name, value in seconds.items()},
    }
    mlflow.log_metrics({name: value for name, value in values.items() if np.isfinite(value)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        mlflow.log_text(model.choice_.to_csv(index=False), "choice.csv")
    mlflow.log_text(trained.stability.to_csv(index=False), "stability.csv")
    card = model_card(as_of=as_of, params=params, stores=stores, trained=trained)
    mlflow.log_text(card, "model_card.md")
    registry.client.update_model_version(version.name, version.version, description=card[:5000])


def _named(stability: pd.DataFrame) -> list[Any]:
    return list(stability.rename(columns={"name": "name_"}).itertuples(index=False))
