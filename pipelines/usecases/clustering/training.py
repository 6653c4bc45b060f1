"""Training: groups found among the stores of the day, their stability, and what they continue.

There is no truth that groups could be held against. What is judged is what serves: the registered model assigns
stores to the very groups whose clearness and stability the gate sees.
"""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.clustering.clusterer import StoreClustering
from models.clustering.coordinates import axis_correlations
from models.clustering.groups import NamedGroups, letters
from models.clustering.groupwise import silhouettes
from models.clustering.matching import match_labels
from models.clustering.stability import bootstrap_jaccard, warning_of
from pipelines.io.frames import fullest_rows
from pipelines.measure import Stopwatch
from pipelines.monitoring.reference import Sample
from pipelines.reporting.card import model_card
from pipelines.usecase import Run, Trained
from pipelines.usecases.clustering.dataset import SUBJECTS, Stores, Variables, choose_variables, new_groups
from pipelines.usecases.clustering.params import ClusteringParams
from pipelines.usecases.clustering.schemas import AXES, CHOICES, STABILITY, TREES, VALIDATION
from pipelines.usecases.clustering.wording import label

log = logging.getLogger(__name__)

#: Features that people group stores by where nothing else tells; the first that sets stores apart is the baseline.
BASELINES = ("store_type", "assortment", "clientele", "region")

#: Variables named per axis.
_PER_AXIS = 4


@dataclass(frozen=True)
class Found:
    """What a training found."""

    groups: NamedGroups
    variables: Variables
    #: By `bootstrap_jaccard`, with ``name`` of each group.
    stability: pd.DataFrame
    #: ``candidate``, ``store_id``, ``group`` and ``silhouette``.
    validation: pd.DataFrame
    #: Names of groups that continue none of the champion's, and of the champion's that no group continues.
    new: set[str]
    gone: list[str]
    #: What to say of groups that are not stable; empty if all are.
    warning: str


def fit(run: Run[ClusteringParams], stores: Stores, champion: NamedGroups | None) -> Trained:
    """Find groups among the stores of the day; those that continue the champion's keep their names."""
    watch = Stopwatch()
    found = find_groups(stores, run.params, champion, watch)
    model = found.groups.clustering_
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        choice = model.choice_.to_csv(index=False)
    stability = dict(zip(found.stability["name"], found.stability["jaccard"].tolist(), strict=True))
    return Trained(
        model=found.groups,
        example=fullest_rows(stores.X[list(found.variables.kinds)]),
        card=model_card(
            run.usecase,
            as_of=run.as_of,
            params=run.params,
            stores=stores,
            variables=found.variables,
            model=model,
            stability=found.stability,
            silhouettes=found.validation.groupby("candidate")["silhouette"].mean().dropna(),
            warning=found.warning,
            label=label,
        ),
        tables={
            CHOICES: _choices(model),
            TREES: _tree(model),
            AXES: _axes(stores, found.groups),
            STABILITY: found.stability.assign(
                cluster=found.stability["name"],
                stores=found.stability["size"].astype(int),
                state=found.stability["verdict"].astype(str),
            ),
            VALIDATION: found.validation,
        },
        metrics={
            "stores": len(stores.inside),
            "clusters": model.n_clusters_,
            "silhouette": model.silhouette_,
            "within_inertia_before_consolidation": model.inertia_before_consolidation_,
            "within_inertia_after_consolidation": model.inertia_after_consolidation_,
            "explained_by_axes": model.explained_.sum(),
            **{f"stability.{name}": jaccard for name, jaccard in stability.items()},
            **{
                f"silhouette.{name}": rows["silhouette"].mean()
                for name, rows in found.validation.groupby("candidate")
            },
            **{f"seconds.{name}": value for name, value in watch.seconds.items()},
        },
        record={
            "stores": len(stores.inside),
            "clusters": dict(sorted(Counter(found.groups.labels_.tolist()).items())),
            "continued": [name for name in found.groups.names_ if name not in found.new],
            "gone": found.gone,
            "silhouette": round(float(model.silhouette_), 4),
            "stability": {name: round(jaccard, 3) for name, jaccard in stability.items()},
            "warning": found.warning,
            "left_out": found.variables.left_out,
            "seconds": {name: round(seconds, 1) for name, seconds in watch.seconds.items()},
        },
        predict="predict",
        texts={"choice.csv": choice, "stability.csv": found.stability.to_csv(index=False)},
        sample=Sample(stores.X.reset_index(), SUBJECTS),
    )


def find_groups(
    stores: Stores, params: ClusteringParams, serving: NamedGroups | None, watch: Stopwatch
) -> Found:
    """Find groups, name them after the serving ones they continue, and measure how much they can be trusted."""
    with watch.phase("variables"):
        variables = choose_variables(stores, params)
    with watch.phase("groups"):
        groups = new_groups(variables, params, stores=len(stores.inside)).fit(stores.X)
    log.info("%d groups of %d stores", groups.clustering_.n_clusters_, len(stores.inside))
    new, gone = set(groups.names_), []
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
        new = set(matching.overlap.loc[matching.overlap["is_new"], "name"])
        gone = [str(name) for name in matching.gone]
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
    return Found(groups, variables, stability, validation, new, gone, warning)


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
    parts = [
        pd.DataFrame(
            {
                "candidate": name,
                "store_id": stores.inside.index,
                "group": labels.astype(str),
                "silhouette": silhouettes(dissimilarity, pd.factorize(labels, sort=True)[0]),
            }
        )
        for name, labels in candidates.items()
    ]
    return pd.concat(parts, ignore_index=True)


# -------------------------------------------------------------------------------------------- tables


def _choices(model: StoreClustering) -> pd.DataFrame:
    curve = model.choice_
    whole = float(curve["within_inertia"].iloc[0]) or 1.0
    return curve.assign(inertia_gain=curve["inertia_gain"] / whole)


def _tree(model: StoreClustering) -> pd.DataFrame:
    merges = pd.DataFrame(model.linkage_matrix_, columns=["left", "right", "height", "stores"])
    merges = merges.astype({"left": int, "right": int, "stores": int})
    return merges.assign(step=np.arange(len(merges)), height=merges["height"].clip(lower=0.0))


def _axes(stores: Stores, groups: NamedGroups) -> pd.DataFrame:
    """Axes with the variables that grow and fall along them."""
    model = groups.clustering_
    correlations = axis_correlations(groups.prepared(stores.X), model.gower_.kinds_, model.coordinates_)
    return pd.DataFrame(
        {
            "axis": np.arange(1, len(model.explained_) + 1),
            "explained": np.clip(model.explained_, 0.0, 1.0),
            "words": [
                "; ".join(_direction(one[:_PER_AXIS], up=up) for up in (True, False)) for one in correlations
            ],
        }
    )


def _direction(correlation: pd.Series, *, up: bool) -> str:
    names = [
        label(variable).name + (f" {category}" if category else "")
        for (variable, category), value in zip(correlation.index.tolist(), correlation.tolist(), strict=True)
        if (value > 0) is up
    ]
    side = "right" if up else "left"
    return f"{side}: {', '.join(names) if names else 'nothing in particular'}"
