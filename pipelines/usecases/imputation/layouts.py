"""Raw layouts of the imputation use case: what a factory's measuring systems deliver.

A *part* passes the stations of its line; each station has sensors. A measurement that was not taken has
no row, and one that left the range of its instrument says on which side. Two times run through every
table: ``produced_at`` and ``measured_at`` say when something happened, ``known_at`` when the factory's
systems had it. A feature at ``as_of`` uses rows with ``known_at < as_of`` only.
"""

from __future__ import annotations

from features.schemas import KNOWN_AT, Column, Table, number, text, timestamp
from pipelines.sources.layout import History, RawLayout, RowRule

#: What a sensor's values are.
KINDS = ("numeric", "ordinal", "nominal")
#: Scale on which a numeric sensor's values are about normal.
SCALES = ("identity", "log", "sqrt", "logistic")
#: What a row of measurements says; without a row nothing was measured.
STATUSES = ("measured", "below_limit", "above_limit", "failed")

PART_ID = text("part_id", "Part, or period of a unit in a panel.")
SENSOR_ID = text("sensor_id", "What is measured where; one column of the wide table.")


def _limit(name: str, words: str) -> Column:
    return number(name, f"{words}; null if there is none.", nullable=True)


PARTS = RawLayout(
    Table(
        name="parts",
        description="Parts that were made. One row per part.",
        columns=(
            PART_ID,
            text("line", "Production line or route the part took."),
            text(
                "unit_id",
                "What is observed again and again in a panel (a country, a machine); null where each part is "
                "measured once.",
                nullable=True,
            ),
            timestamp("produced_at", "When the part was made (UTC)."),
            KNOWN_AT,
        ),
        key=("part_id",),
    ),
    history=History.IMMUTABLE,
    rules=(RowRule("known_at", "not be before produced_at", "known_at >= produced_at"),),
)

SENSORS = RawLayout(
    Table(
        name="sensors",
        description=(
            "Sensors as described from `known_at` on; a change is a further version. "
            "One row per sensor and version."
        ),
        columns=(
            SENSOR_ID,
            text("station", "Station where it measures."),
            text("quantity", "What it measures, for people."),
            text("unit", "Unit of its values; null if it has none.", nullable=True),
            text("kind", "What its values are.", allowed=KINDS),
            text("scale", "Scale on which its values are about normal.", allowed=SCALES),
            _limit("low", "Smallest value that is physically possible"),
            _limit("high", "Largest value that is physically possible"),
            KNOWN_AT,
        ),
        key=("sensor_id", "known_at"),
    ),
    history=History.VERSIONED,
    rules=(
        RowRule("high", "be above low", "high > low"),
        RowRule("scale", "be identity unless kind is numeric", "scale = 'identity' or kind = 'numeric'"),
    ),
)

MEASUREMENTS = RawLayout(
    Table(
        name="measurements",
        description=(
            "Measurements; a correction is a further version. A part without a row of a sensor was not measured "
            "by it. One row per part, sensor and version."
        ),
        columns=(
            PART_ID,
            SENSOR_ID,
            timestamp("measured_at", "When it was measured (UTC)."),
            number(
                "value",
                "Measured number; with a status of below_limit or above_limit the limit itself. Null for words and "
                "failures.",
                nullable=True,
            ),
            text("label", "Measured word of a nominal sensor; else null.", nullable=True),
            text("status", "What the row says.", allowed=STATUSES),
            KNOWN_AT,
        ),
        key=("part_id", "sensor_id", "known_at"),
    ),
    history=History.VERSIONED,
    month_of="measured_at",
    references=(("part_id", "parts", "part_id"), ("sensor_id", "sensors", "sensor_id")),
    rules=(
        RowRule("known_at", "not be before measured_at", "known_at >= measured_at"),
        RowRule(
            "status",
            "be failed where there is neither a value nor a label, and only there",
            "(status = 'failed') = (value is null and label is null)",
        ),
        RowRule("label", "be null where there is a value", "label is null or value is null"),
        RowRule("label", "be null beyond a limit", "label is null or status = 'measured'"),
    ),
)

#: In landing order: what is referred to comes first.
LAYOUTS = (PARTS, SENSORS, MEASUREMENTS)
