"""Model card of a version of the groups: what they are made from, how far they can be trusted, their limits."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from pipelines.usecases.clustering.params import ClusteringParams
from pipelines.usecases.clustering.wording import label

if TYPE_CHECKING:
    from pipelines.usecases.clustering.dataset import Stores
    from pipelines.usecases.clustering.train import Trained


def model_card(*, as_of: date, params: ClusteringParams, stores: Stores, trained: Trained) -> str:
    """Write the card as Markdown."""
    model = trained.groups.clustering_
    means = trained.validation.groupby("candidate", sort=True)["silhouette"].mean()
    variables = trained.variables
    cut = "k-means from the cut" if params.clusters.consolidate else "the cut as it is"
    lines = [
        f"# Store clustering of {as_of}",
        "",
        "**Use**: one commercial policy per group of stores; an attribute of the store in demand forecasts. "
        "**Not for**: judging the people who run a store, or single stores that are marked atypical.",
        "",
        "## Data",
        f"- {len(stores.inside):,} stores over {params.features.history_days} days; out of scope: {len(stores.outside):,}.",
        f"- {len(variables.kinds)} variables: {', '.join(label(name).name for name in variables.kinds)}.",
        "- Left out: "
        + ("; ".join(f"{label(name).name} ({why})" for name, why in variables.left_out.items()) or "none")
        + ".",
        "",
        "## Method",
        "- Gower's distance; weights: "
        + ", ".join(f"{name} {weight:g}" for name, weight in params.distance.theme_weights.items())
        + ", shared by the variables of a theme, over their mean difference.",
        f"- {len(model.explained_)} principal coordinates with {model.explained_.sum():.0%} of the differences; "
        f"{params.clusters.linkage} linkage; {cut}: "
        f"inertia within the groups {model.inertia_before_consolidation_:.1%} before and "
        f"{model.inertia_after_consolidation_:.1%} after.",
        "",
        "## Groups",
        "",
        "| group | stores | stability | verdict |",
        "|---|---|---|---|",
        *(
            f"| {row.name_} | {row.size_:,} | {row.jaccard:.2f} | {row.verdict} |"
            for row in trained.stability.rename(columns={"name": "name_", "size": "size_"}).itertuples()
        ),
        "",
        "| grouped by | mean silhouette |",
        "|---|---|",
        *(f"| {name} | {value:.3f} |" for name, value in means.items() if np.isfinite(value)),
        "",
        "## Limits",
        "- Groups are a convenience: between two of them there are stores that could be in either.",
        "- A variable that is unknown for a store is skipped for it: its group rests on the others.",
        *([f"- {trained.warning}."] if trained.warning else []),
    ]
    return "\n".join(lines) + "\n"
