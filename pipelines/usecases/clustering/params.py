"""Parameters of the clustering use case, read from ``params.yaml`` beside this file."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipelines.monitoring.params import DriftParams
from pipelines.params import Params


class FeatureParams(Params):
    """What the feature models are asked for; reaches the SQL as the table ``run.parameters``."""

    history_days: int = Field(ge=56, description="Days of the window before `as_of`.")
    least_open_days: int = Field(ge=7, description="A store that sold on fewer days is not grouped.")
    least_days: int = Field(ge=3, description="Fewest days on either side of a ratio.")
    long_closure_days: int = Field(ge=7, description="Longer closures say nothing of a store's habits.")


class DistanceParams(Params):
    """How different two stores are."""

    theme_weights: dict[str, float] = Field(description="Weight of each theme, shared by its variables.")
    balance_floor: float = Field(gt=0, le=1, description="Least mean difference that weights are divided by.")
    log_scaled: list[str] = Field(description="Amounts that are compared by their ratio.")
    orders: dict[str, list[list[str]]] = Field(description="Words with an order, lowest first.")
    most_alike: float = Field(gt=0.5, le=1, description="Share of stores up to which one value may be held.")
    least_known: float = Field(ge=0, lt=1, description="Share of the stores a variable must be known for.")


class ClusterParams(Params):
    """The tree and where it is cut."""

    count: int | None = Field(
        default=None, ge=2, description="Number of groups; chosen from the data if none."
    )
    min_clusters: int = Field(ge=2)
    max_clusters: int = Field(ge=2, le=30)
    linkage: Literal["ward", "average", "complete"]
    n_axes: int = Field(ge=2)
    consolidate: bool = Field(description="Whether k-means improves on the groups of the tree.")


class StabilityParams(Params):
    """Whether the same groups come out of other stores of the same kind."""

    replicates: int = Field(ge=10)


class GateParams(Params):
    """What groups must show before policies rest on them."""

    min_stores: int = Field(ge=4)
    min_silhouette: float = Field(ge=-1, le=1)
    min_stability: float = Field(ge=0, le=1)
    max_unstable_share: float = Field(ge=0, le=1)
    bootstrap_replicates: int = Field(ge=100)
    confidence: float = Field(gt=0.5, lt=1)


class ScoringParams(Params):
    """What is told of single stores."""

    paragons: int = Field(ge=1)
    atypical_deviation: float = Field(gt=0, description="Deviation from which a store is atypical.")
    reasons: int = Field(ge=1, le=10)


class ClusteringMonitoringParams(DriftParams):
    """Bounds beyond which an alarm is raised."""

    max_moved_share: float = Field(gt=0, le=1)
    max_atypical_share: float = Field(gt=0, le=1)
    min_size_share: float = Field(ge=0, lt=1)
    max_age_days: int = Field(ge=1)


class ClusteringParams(Params):
    """All parameters of the clustering use case."""

    seed: int = 0
    features: FeatureParams
    distance: DistanceParams
    clusters: ClusterParams
    stability: StabilityParams
    gate: GateParams
    scoring: ScoringParams
    monitoring: ClusteringMonitoringParams
