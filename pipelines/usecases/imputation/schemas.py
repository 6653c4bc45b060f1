"""Tables that imputation writes besides its features, which dbt declares."""

from __future__ import annotations

from features.schemas import AS_OF, MODEL_VERSION, Reference, Table, day, flag, integer, number, text

TRAINED = day("as_of", "Day for which the model was trained.")
PART_ID = text("part_id", "Part, or period of a unit in a panel.")
SENSOR_ID = text("sensor_id", "Sensor.")


COMPLETED = Table(
    name="predictions/imputation_completed",
    description=(
        "Completed data sets of the parts of the day: every observed cell as it was measured, every other one "
        "drawn. One row per `as_of`, draw, part and sensor; a cell that could not be imputed has none."
    ),
    columns=(
        AS_OF,
        integer("draw", "Number of the completed data set, from 1.", minimum=1),
        PART_ID,
        SENSOR_ID,
        number("value", "Number; null for words.", nullable=True),
        text("label", "Word of a nominal sensor; else null.", nullable=True),
        flag("imputed", "Whether the cell was drawn; false if it was measured."),
        integer("seed", "Seed of the day's draws."),
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
        text("scope_reason", "Why: `left_out` by the preflight, or `new_sensor` since the training."),
        text("words", "The same in a sentence."),
        integer("cells", "Cells of the day that stay missing.", minimum=0),
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
        text("action", "`modelled`, `filled` (a constant), `left_out` or `passed_on`."),
        text("transform", "Scale of the model; null where not modelled.", nullable=True),
        text("problem", "What is wrong with it; null if nothing.", nullable=True),
        text("words", "What was found and done, as a sentence."),
        integer("observed", "Observed cells of the training parts.", minimum=0),
        integer("missing", "Missing cells of the training parts.", minimum=0),
        number(
            "missing_information",
            "Fraction of the information on its mean that is missing; null if unknown.",
            nullable=True,
        ),
        number(
            "m_needed", "Data sets that this fraction calls for; null if unknown.", minimum=0, nullable=True
        ),
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
        text("chain", "`all rows`, or the number of a resample."),
        flag("converged", "Whether it did."),
        text("stopped_by", "`converged`, `max_iter` or `max_seconds`."),
        integer("iterations", "Iterations.", minimum=0),
        number(
            "change",
            "Largest change in the last iteration, in standard deviations; null before the second.",
            nullable=True,
        ),
        number(
            "condition",
            "Condition number of the covariance, ridge included; null if infinite.",
            nullable=True,
        ),
        number("ridge", "Prior rows per row of data.", minimum=0),
        text("flat_columns", "Columns that are all but collinear, joined by commas."),
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
        integer("start", "Number of the start, from 1.", minimum=1),
        integer("iteration", "Iteration, from 0.", minimum=0),
        number("position", "Distance to the model's answer along the direction in which starts differ most."),
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
        text("candidate", "`challenger`, `champion` or `mean` (of the sensor)."),
        PART_ID,
        SENSOR_ID,
        text("line", "Line of the part."),
        text("station", "Station of the sensor."),
        number("observed", "Value that was measured and hidden."),
        number("predicted", "Mean of the draws."),
        number("low", "Lower end of the 90 % interval of the draws."),
        number("high", "Upper end."),
        flag("covered", "Whether the interval held the value."),
        number("error", "Predicted minus observed on the model's scale.", unit="standard deviations"),
        number("missing_share", "Share of the part's other cells that were missing, too.", minimum=0),
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
        text("line", "Line that is compared with the others."),
        number("delta", "Shift of the imputed cells of the line.", unit="standard deviations"),
        number("estimate", "Pooled difference of the line's mean from the other lines'."),
        number("low", "Lower end of its pooled 95 % interval."),
        number("high", "Upper end."),
        number(
            "tipping_low",
            "Shift below zero at which the conclusion changes; null if none of those tried does.",
            nullable=True,
        ),
        number(
            "tipping_high",
            "Shift above zero at which it changes; null if none of those tried does.",
            nullable=True,
        ),
        text("words", "The conclusion and its tipping point, as a sentence."),
    ),
    key=("as_of", "sensor_id", "delta"),
    partition_by=("as_of",),
)

#: All of them, in reading order.
TABLES = (COMPLETED, OUT_OF_SCOPE, VALIDATION, COLUMNS, CHAINS, DISPERSION, SENSITIVITY)
