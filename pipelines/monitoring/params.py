"""Thresholds of the alarms; part of the parameters of every use case that is watched for drift."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from pipelines.params import Params


class DriftParams(Params):
    """When features that moved raise an alarm.

    A shift does so when it exceeds both its limit and what sampling alone reaches with the probability
    ``false_alarm_rate`` (see :mod:`pipelines.monitoring.drift`).
    """

    max_feature_shift: float = Field(
        0.25, gt=0, lt=1, description="Share of rows that may sit in another bin than in training; a warning."
    )
    false_alarm_rate: float = Field(
        0.01, gt=0, lt=0.5, description="Chance per run that data without drift raises a distribution alarm."
    )
    min_segment_rows: int = Field(
        100, ge=20, description="Segments with fewer rows, now or in the reference, are not judged."
    )


class MonitoringParams(DriftParams):
    """When scores raise an alarm: moved, too few or too many, or wrong."""

    max_score_shift: float = Field(
        0.15, gt=0, lt=1, description="Share of rows that may sit in another score band than expected."
    )
    previous_weeks: int = Field(4, ge=1, description="Earlier score days that this one is compared with.")
    min_predictions: int = Field(ge=0, description="Alarm below this number of scored rows.")
    max_predictions: int = Field(ge=1, description="Alarm above this number of scored rows.")
    min_auc_pr: float = Field(0.60, gt=0, lt=1, description="Alarm below, on rows whose label is known.")
    min_labels: int = Field(1_000, ge=1, description="Labelled rows needed to judge performance.")
    min_positives: int = Field(50, ge=1, description="Rows with a true label needed among them.")

    @model_validator(mode="after")
    def _bounds_are_ordered(self) -> Self:
        if self.min_predictions >= self.max_predictions:
            raise ValueError(
                "min_predictions must be below max_predictions, "
                f"got {self.min_predictions} and {self.max_predictions}"
            )
        return self
