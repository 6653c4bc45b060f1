"""What the simulator knows and the factory does not: every value, and why it is missing."""

from __future__ import annotations

from features.schemas import Column, DType, Table
from pipelines.lab.simulation.imputation.missing import Reason

REASONS = tuple(reason.name.lower() for reason in Reason)

VALUES = Table(
    name="truth/values",
    description="Complete values. One row per part and sensor.",
    columns=(
        Column("part_id", DType.STRING, "Part."),
        Column("sensor_id", DType.STRING, "Sensor."),
        Column("value", DType.NUMBER, "True number; null for words.", nullable=True),
        Column("label", DType.STRING, "True word of a nominal sensor; else null.", nullable=True),
        Column("missing_because", DType.STRING, "Why it is missing; `none` if it is not.", allowed=REASONS),
    ),
    key=("part_id", "sensor_id"),
)
