"""Tables that imputation writes besides its features, which dbt declares."""

from __future__ import annotations

from features.schemas import AS_OF, MODEL_VERSION, Column, DType, Reference, Table

TRAINED = Column("as_of", DType.DATE, "Day for which the model was trained.")
PART_ID = Column("part_id", DType.STRING, "Part, or period of a unit in a panel.")
SENSOR_ID = Column("sensor_id", DType.STRING, "Sensor.")


def _number(name: str, words: str, *, minimum: float | None = None) -> Column:
    """Number that may be absent; ``words`` say what null means."""
    return Column(name, DType.NUMBER, words, nullable=True, minimum=minimum)


COMPLETED = Table(
    name="predictions/imputation_completed",
    description=(
        "Completed data sets of the parts of the day: every observed cell as it was measured, every other one "
        "drawn. One row per `as_of`, draw, part and sensor; a cell that could not be imputed has none."
    ),
    columns=(
        AS_OF,
        Column("draw", DType.INTEGER, "Number of the completed data set, from 1.", minimum=1),
        PART_ID,
        SENSOR_ID,
        _number("value", "Number; null for words."),
        Column("label", DType.STRING, "Word of a nominal sensor; else null.", nullable=True),
        Column("imputed", DType.BOOLEAN, "Whether the cell was drawn; false if it was measured."),
        Column("seed", DType.INTEGER, "Seed of the day's draws."),
        MODEL_VERSION,
    ),
    key=("as_of", "draw", "part_id", "sensor_id"),
    partition_by=("as_of", "draw"),
    references=(
        Reference(("as_of", "part_id"), "features/imputation_parts", where="in_batch"),
        Reference(("as_of", "sensor_id"), "features/imputation_sensors"),
    ),
    steady=("imputed",),
)

OUT_OF_SCOPE = Table(
    name="predictions/imputation_out_of_scope",
    description="Cells that stay missing, and why. One row per `as_of` and sensor.",
    columns=(
        AS_OF,
        SENSOR_ID,
        Column(
            "scope_reason",
            DType.STRING,
            "Why: `left_out` by the preflight, or `new_sensor` since the training.",
        ),
        Column("words", DType.STRING, "The same in a sentence."),
        Column("cells", DType.INTEGER, "Cells of the day that stay missing.", minimum=0),
        MODEL_VERSION,
    ),
    key=("as_of", "sensor_id"),
    partition_by=("as_of",),
)

COLUMNS = Table(
    name="predictions/imputation_columns",
    description=(
        "What the preflight found of every sensor, and how much of its information is missing. "
        "One row per training `as_of` and sensor."
    ),
    columns=(
        TRAINED,
        SENSOR_ID,
        Column("action", DType.STRING, "`modelled`, `filled` (a constant), `left_out` or `passed_on`."),
        Column("transform", DType.STRING, "Scale of the model; null where not modelled.", nullable=True),
        Column("problem", DType.STRING, "What is wrong with it; null if nothing.", nullable=True),
        Column("words", DType.STRING, "What was found and done, as a sentence."),
        Column("observed", DType.INTEGER, "Observed cells of the training parts.", minimum=0),
        Column("missing", DType.INTEGER, "Missing cells of the training parts.", minimum=0),
        _number(
            "missing_information", "Fraction of the information on its mean that is missing; null if unknown."
        ),
        _number("m_needed", "Data sets that this fraction calls for; null if unknown.", minimum=0),
        MODEL_VERSION,
    ),
    key=("as_of", "sensor_id"),
    partition_by=("as_of",),
)

CHAINS = Table(
    name="predictions/imputation_chains",
    description="How EM ended. One row per training `as_of` and chain.",
    columns=(
        TRAINED,
        Column("chain", DType.STRING, "`all rows`, or the number of a resample."),
        Column("converged", DType.BOOLEAN, "Whether it did."),
        Column("stopped_by", DType.STRING, "`converged`, `max_iter` or `max_seconds`."),
        Column("iterations", DType.INTEGER, "Iterations.", minimum=0),
        _number(
            "change", "Largest change in the last iteration, in standard deviations; null before the second."
        ),
        _number("condition", "Condition number of the covariance, ridge included; null if infinite."),
        Column("ridge", DType.NUMBER, "Prior rows per row of data.", minimum=0),
        Column("flat_columns", DType.STRING, "Columns that are all but collinear, joined by commas."),
    ),
    key=("as_of", "chain"),
    partition_by=("as_of",),
)

DISPERSION = Table(
    name="predictions/imputation_dispersion",
    description=(
        "EM from starts far apart: where each path is. One row per training `as_of`, start and iteration."
    ),
    columns=(
        TRAINED,
        Column("start", DType.INTEGER, "Number of the start, from 1.", minimum=1),
        Column("iteration", DType.INTEGER, "Iteration, from 0.", minimum=0),
        Column(
            "position",
            DType.NUMBER,
            "Distance to the model's answer along the direction in which starts differ most.",
        ),
    ),
    key=("as_of", "start", "iteration"),
    partition_by=("as_of",),
)

VALIDATION = Table(
    name="predictions/imputation_validation",
    description=(
        "Overimputation: observed cells of parts that the model never saw, hidden and imputed. One row per training "
        "`as_of`, candidate, part and sensor."
    ),
    columns=(
        TRAINED,
        Column("candidate", DType.STRING, "`challenger`, `champion` or `mean` (of the sensor)."),
        PART_ID,
        SENSOR_ID,
        Column("line", DType.STRING, "Line of the part."),
        Column("station", DType.STRING, "Station of the sensor."),
        Column("observed", DType.NUMBER, "Value that was measured and hidden."),
        Column("predicted", DType.NUMBER, "Mean of the draws."),
        Column("low", DType.NUMBER, "Lower end of the 90 % interval of the draws."),
        Column("high", DType.NUMBER, "Upper end."),
        Column("covered", DType.BOOLEAN, "Whether the interval held the value."),
        Column(
            "error",
            DType.NUMBER,
            "Predicted minus observed on the model's scale.",
            unit="standard deviations",
        ),
        Column(
            "missing_share",
            DType.NUMBER,
            "Share of the part's other cells that were missing, too.",
            minimum=0,
        ),
    ),
    key=("as_of", "candidate", "part_id", "sensor_id"),
    partition_by=("as_of",),
)

SENSITIVITY = Table(
    name="predictions/imputation_sensitivity",
    description=(
        "Whether a line still differs from the others if its missing cells are shifted: missing not at random. One row "
        "per training `as_of`, sensor and shift."
    ),
    columns=(
        TRAINED,
        SENSOR_ID,
        Column("line", DType.STRING, "Line that is compared with the others."),
        Column("delta", DType.NUMBER, "Shift of the imputed cells of the line.", unit="standard deviations"),
        Column("estimate", DType.NUMBER, "Pooled difference of the line's mean from the other lines'."),
        Column("low", DType.NUMBER, "Lower end of its pooled 95 % interval."),
        Column("high", DType.NUMBER, "Upper end."),
        _number(
            "tipping_low",
            "Shift below zero at which the conclusion changes; null if none of those tried does.",
        ),
        _number("tipping_high", "Shift above zero at which it changes; null if none of those tried does."),
        Column("words", DType.STRING, "The conclusion and its tipping point, as a sentence."),
    ),
    key=("as_of", "sensor_id", "delta"),
    partition_by=("as_of",),
)

#: All of them, in reading order.
TABLES = (COMPLETED, OUT_OF_SCOPE, VALIDATION, COLUMNS, CHAINS, DISPERSION, SENSITIVITY)
