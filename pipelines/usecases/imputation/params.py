"""Parameters of the imputation use case, read from ``params.yaml`` beside this file."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from pipelines.monitoring.params import DriftParams
from pipelines.params import Params


class WindowParams(Params):
    """Which parts are learned from and which are completed."""

    train_days: int = Field(ge=1)
    batch_days: int = Field(ge=1)
    holdout: Literal["newest", "random"]
    holdout_days: int = Field(ge=1)
    holdout_share: float = Field(gt=0, lt=1)

    @model_validator(mode="after")
    def _nested(self) -> Self:
        if not self.holdout_days < self.train_days:
            raise ValueError(
                f"holdout_days must be less than train_days, got {self.holdout_days} and {self.train_days}"
            )
        return self


class ModelParams(Params):
    """The model and its caps."""

    m: int = Field(ge=2, le=100)
    unit_intercepts: bool
    max_units: int = Field(ge=1)
    time_degree: int = Field(ge=0, le=3)
    lags: tuple[str, ...]
    leads: tuple[str, ...]
    max_categories: int = Field(ge=2)
    min_observed: int = Field(ge=3)
    ridge: float | None = Field(ge=0)
    max_iter: int = Field(ge=1)
    max_seconds: float = Field(gt=0)


class OverimputationParams(Params):
    """How many observed cells are taken out, and how often each is drawn."""

    cells_per_sensor: int = Field(ge=5)
    draws: int = Field(ge=19)


class GateParams(Params):
    """What a challenger must show before it may serve."""

    min_cells: int = Field(ge=1)
    min_coverage_90: float = Field(gt=0, lt=1)
    max_coverage_90: float = Field(gt=0, lt=1)
    max_left_out_share: float = Field(ge=0, le=1)
    bootstrap_replicates: int = Field(ge=100)
    confidence: float = Field(gt=0.5, lt=1)


class SensitivityParams(Params):
    """Departures from missing at random that are tried."""

    deltas: tuple[float, ...]
    sensors: int = Field(ge=0)


class ImputationMonitoringParams(DriftParams):
    """Limits of the daily checks."""

    max_missing_shift: float = Field(gt=0, lt=1, description="Rise of a sensor's share of missing cells.")
    max_volume_change: float = Field(
        gt=0, description="Change of the number of parts against the last days'."
    )
    min_coverage_90: float = Field(gt=0, lt=1)
    max_coverage_90: float = Field(gt=0, lt=1)
    false_alarm_rate: float = Field(gt=0, lt=1, description="Per run, over all sensors.")
    min_parts: int = Field(ge=1, description="Parts below which shares are not judged.")


class ImputationParams(Params):
    """All parameters of the imputation use case."""

    window: WindowParams
    model: ModelParams
    overimputation: OverimputationParams
    gate: GateParams
    sensitivity: SensitivityParams
    monitoring: ImputationMonitoringParams
    seed: int = 0
