"""Parameters of the churn use case, read from ``params.yaml`` beside this file."""

from __future__ import annotations

from datetime import date
from typing import Self

from pydantic import Field, model_validator

from features.spine import monthly_snapshots
from pipelines.monitoring.params import MonitoringParams
from pipelines.params import Params
from pipelines.sinks.target import SalesforceParams


class SnapshotParams(Params):
    """Which past days make up the training set."""

    months: int = Field(ge=6, description="Monthly snapshots before the training day.")
    holdout_months: int = Field(ge=1, description="Newest snapshots kept out of time.")
    horizon_days: int = Field(
        ge=30, le=30, description="Days within which a churn counts; the label SQL says 30."
    )


class TuningParams(Params):
    """Bounds of the search for hyper-parameters."""

    trials: int = Field(ge=0, description="Optuna trials; 0 keeps the defaults.")
    folds: int = Field(ge=2, description="Time-ordered folds, of the search and of early stopping.")
    max_rows: int = Field(ge=1000, description="Rows of a deterministic subsample used while tuning.")
    learning_rate: float = Field(gt=0, le=1, description="Shrinkage of each boosting round.")
    seed: int = 0


class GateParams(Params):
    """What a challenger must show before it may serve."""

    min_auc_pr: float = Field(gt=0, lt=1)
    min_recall_at_top20: float = Field(gt=0, lt=1)
    max_seconds_per_15000: float = Field(gt=0, description="Scoring time per 15,000 accounts.")
    min_positives: int = Field(
        ge=1, description="Churned accounts out of time below which nothing is decided."
    )
    bootstrap_replicates: int = Field(ge=100)
    confidence: float = Field(gt=0.5, lt=1)


class RiskLevelParams(Params):
    """Lower bounds of the bands of the score; below ``medium`` the level is low."""

    medium: float = Field(gt=0, lt=1)
    high: float = Field(gt=0, lt=1)
    critical: float = Field(gt=0, lt=1)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.medium < self.high < self.critical:
            raise ValueError(
                f"bounds must rise: medium < high < critical, got {self.medium}, {self.high}, {self.critical}"
            )
        return self


class ChurnParams(Params):
    """All parameters of the churn use case."""

    snapshots: SnapshotParams
    tuning: TuningParams
    gate: GateParams
    risk_levels: RiskLevelParams
    publish: SalesforceParams
    monitoring: MonitoringParams
    max_volume_change: float = Field(
        gt=0, description="Share by which the number of scored accounts may differ from the last day's."
    )
    seed: int = 0

    def origins(self, as_of: date) -> list[date]:
        """Past days on which the model learns and is judged, oldest first."""
        wanted = self.snapshots
        return monthly_snapshots(as_of, months=wanted.months, horizon_days=wanted.horizon_days)
