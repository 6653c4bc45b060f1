"""Parameters of the repurchase use case, read from ``params.yaml`` beside this file."""

from __future__ import annotations

from datetime import date, timedelta

from pydantic import Field

from features.spine import past_origins
from pipelines.monitoring.params import DriftParams
from pipelines.params import Params
from pipelines.sinks.target import DynamoParams, SalesforceParams

#: Past score days whose labels are built again with every run; several, so that a missed day heals.
_MATURED_DAYS = 3


class FeatureParams(Params):
    """What the feature models are asked for; reaches the SQL as the table ``run.parameters``."""

    history_days: int = Field(ge=56, description="Days of orders that features look back on.")
    active_days: int = Field(ge=7, description="A customer whose last order is longer ago is out of scope.")
    max_candidates: int = Field(ge=1, description="Most products per customer that may be bought again.")
    training_customers: int = Field(
        ge=1, description="Customers, a random sample, of whom past candidates are built for training."
    )
    settle_days: int = Field(ge=0, description="Days that an order may need to become known.")


class SnapshotParams(Params):
    """Which past days make up the training set."""

    count: int = Field(ge=2, description="Past days on which models learn and are judged.")
    spacing_days: int = Field(ge=1, description="Days between them.")
    observed_days: int = Field(
        ge=1, description="Days that are over after the newest of them: later orders are censored."
    )


class TrainingParams(Params):
    """How much of the past is learned from, and what judges."""

    judged_snapshots: int = Field(ge=1, description="Newest snapshots, which judge and never train.")
    max_waits: int = Field(
        ge=1000, description="Most customer snapshots that the model of dates learns from."
    )
    window: float = Field(gt=0, lt=1, description="Share of the returns that the window of days holds.")


class TimingParams(Params):
    """Size and pace of the boosted trees that predict dates; see :class:`NextOrderTiming`."""

    rounds: int = Field(ge=1)
    learning_rate: float = Field(gt=0, le=1)
    max_depth: int = Field(ge=1)
    min_child_weight: float = Field(ge=0)
    n_folds: int = Field(ge=2, description="Folds of customers for the spread of waits.")


class BasketParams(Params):
    """Size and pace of the boosted trees that predict products; see :class:`BasketClassifier`."""

    rounds: int = Field(ge=1)
    learning_rate: float = Field(gt=0, le=1)
    max_depth: int = Field(ge=1)
    min_child_weight: float = Field(ge=0)
    n_models: int = Field(ge=1, description="Boosters whose log-odds are averaged.")


class GateParams(Params):
    """What a challenger must show before it may serve; see :class:`NextOrderThresholds`."""

    min_returns: int = Field(ge=1)
    min_lists: int = Field(ge=1)
    min_coverage: float = Field(gt=0, lt=1)
    max_coverage: float = Field(gt=0, lt=1)
    max_return_bias: float = Field(gt=0)
    max_product_bias: float = Field(gt=0)
    bootstrap_replicates: int = Field(ge=100)
    confidence: float = Field(gt=0.5, lt=1)


class MonitorParams(DriftParams):
    """When past predictions raise an alarm."""

    max_volume_change: float = Field(gt=0, description="Change in scored customers from the last scored day.")
    max_return_bias: float = Field(gt=0, description="Mean return probability less the share that returned.")
    min_coverage: float = Field(gt=0, lt=1, description="Least share of the returns inside their window.")
    max_coverage: float = Field(gt=0, lt=1)
    min_f1_share: float = Field(gt=0, le=1, description="Least F1 of lists as a share of the expected F1.")
    min_returns: int = Field(ge=1, description="Returns, or lists, needed to judge.")


class PublishParams(SalesforceParams, DynamoParams):
    """How predictions leave for Salesforce and DynamoDB."""


class RepurchaseParams(Params):
    """All parameters of the repurchase use case."""

    horizon_days: int = Field(ge=1, description="Days within which a customer is said to come back or not.")
    features: FeatureParams
    snapshots: SnapshotParams
    training: TrainingParams
    timing: TimingParams
    basket: BasketParams
    gate: GateParams
    monitoring: MonitorParams
    publish: PublishParams
    candidate_versions: int = Field(ge=1, description="Days of `features/repurchase_candidates` kept.")
    seed: int = 0

    def origins(self, as_of: date) -> list[date]:
        """Past days on which models learn, oldest first; the newest has been observed for ``observed_days``."""
        return past_origins(
            as_of,
            origins=self.snapshots.count,
            spacing_days=self.snapshots.spacing_days,
            horizon_days=self.snapshots.observed_days + self.features.settle_days,
        )

    def matured(self, as_of: date) -> list[date]:
        """Newest days whose horizon is over and known at ``as_of``, oldest first."""
        newest = as_of - timedelta(days=self.horizon_days + self.features.settle_days)
        return [newest - timedelta(days=days) for days in range(_MATURED_DAYS)][::-1]
