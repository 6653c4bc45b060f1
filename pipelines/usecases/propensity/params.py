"""Parameters of the propensity use case, read from ``params.yaml`` beside this file."""

from __future__ import annotations

from pydantic import Field

from pipelines.monitoring.params import DriftParams
from pipelines.params import Params
from pipelines.sinks.target import SalesforceParams


class SnapshotParams(Params):
    """Which past days make up the training set; those whose horizon reaches into the judged ones are left out."""

    months: int = Field(ge=4, description="Monthly snapshots before the training day.")
    judged_months: int = Field(ge=1, description="Newest snapshots, which judge and never train.")
    horizon_days: int = Field(ge=1, description="Days within which a product is taken or not.")
    settle_days: int = Field(ge=0, description="Days until all rows of a month have arrived.")


class ForestParams(Params):
    """Size of the forests; see :class:`models.classification.balanced_forest.BalancedForestClassifier`."""

    n_estimators: int = Field(ge=10)
    min_samples_leaf: int = Field(ge=1)
    min_events: int = Field(ge=2, description="Customers who took a product, for it to get a forest.")
    n_rules: int = Field(ge=0, description="Most rules told of a product.")


class ListParams(Params):
    """Recommendation; see :class:`models.recommendation.neighbours.NeighbourVotes`."""

    neighbours: int = Field(ge=1)
    similarity: str = Field(pattern="^(cosine|jaccard)$")


class GateParams(Params):
    """What a challenger must show before it may serve; see :class:`models.evaluation.offer_gate.OfferThresholds`."""

    min_takers: int = Field(ge=1)
    min_events: int = Field(ge=1)
    ap_over_random: float = Field(gt=0)
    min_calibration: float = Field(gt=0)
    max_calibration: float = Field(gt=0)
    max_failed_share: float = Field(ge=0, le=1)
    map_over_popularity: float = Field(gt=0)
    min_coverage: float = Field(ge=0, le=1)
    bootstrap_replicates: int = Field(ge=100)
    confidence: float = Field(gt=0.5, lt=1)


class WatchParams(DriftParams):
    """Limits of the daily checks."""

    max_volume_change: float = Field(gt=0, description="Change in scored customers from the last scored day.")


class PropensityParams(Params):
    """All parameters of the propensity use case."""

    snapshots: SnapshotParams
    forest: ForestParams
    lists: ListParams
    gate: GateParams
    monitoring: WatchParams
    publish: SalesforceParams
    seed: int = 0
