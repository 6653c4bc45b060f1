"""Tables of the monitoring, shared by all use cases."""

from __future__ import annotations

from enum import StrEnum

from features.schemas import Column, DType, Table

#: Value of ``segment_column`` and ``segment`` for all rows together.
ALL = "all"

#: Name of the variable that holds the scores among the monitored variables.
SCORE = "score"


class State(StrEnum):
    """What a check found."""

    OK = "ok"
    ALARM = "alarm"
    #: Nothing can be said yet; ``message`` says what is missing.
    NOT_ENOUGH_DATA = "not_enough_data"


class Severity(StrEnum):
    """How urgent an alarm is."""

    #: Look at it this week; the published scores may be used.
    WARNING = "warning"
    #: Look at it today; do not act on the scores before somebody has.
    CRITICAL = "critical"


REFERENCE = Table(
    name="ops/monitoring_reference",
    description=(
        "What a model saw: bin counts of its features and scores, which later days are compared with. "
        "One row per model version, variable, segment and bin."
    ),
    columns=(
        Column("usecase", DType.STRING, "Name of the use case."),
        Column("model_version", DType.STRING, "Version in the MLflow registry, as `<use case>/<number>`."),
        Column("as_of", DType.DATE, "Training day of the version."),
        Column("variable", DType.STRING, "`score` or a column of the feature table."),
        Column("kind", DType.STRING, "How values are binned.", allowed=("numeric", "categorical")),
        Column("segment_column", DType.STRING, "Column that defines the segment; `all` for all rows."),
        Column("segment", DType.STRING, "Value of that column; `all` for all rows."),
        Column("bin", DType.INTEGER, "Position of the bin; the last one holds missing values.", minimum=0),
        Column(
            "upper",
            DType.NUMBER,
            "Upper edge (inclusive) of a numeric bin; null for the open last one, missing and categories.",
            nullable=True,
        ),
        Column(
            "category",
            DType.STRING,
            "Value of a categorical bin; null for numeric, other and missing.",
            nullable=True,
        ),
        Column("rows", DType.INTEGER, "Rows in the bin.", minimum=0),
        Column(
            "subjects",
            DType.INTEGER,
            "Distinct subjects in the segment: rows of one subject in several snapshots are not independent.",
            minimum=0,
        ),
        Column(
            "expected_auc_pr",
            DType.NUMBER,
            "AUC-PR to expect of the segment's scores if they are calibrated; null for features.",
            nullable=True,
            minimum=0,
            maximum=1,
        ),
    ),
    key=("usecase", "model_version", "variable", "segment_column", "segment", "bin"),
    partition_by=("usecase", "model_version"),
)

MONITORING = Table(
    name="ops/monitoring",
    description="Results of the checks. One row per use case, `as_of`, metric, subject and segment.",
    columns=(
        Column("usecase", DType.STRING, "Name of the use case."),
        Column("as_of", DType.DATE, "Day whose predictions were checked."),
        Column("metric", DType.STRING, "What was measured, for instance `score_shift`."),
        Column("subject", DType.STRING, "What it was measured on: `score`, a feature, `predictions`."),
        Column("segment_column", DType.STRING, "Column that defines the segment; `all` for all rows."),
        Column("segment", DType.STRING, "Value of that column; `all` for all rows."),
        Column("state", DType.STRING, "What the check found.", allowed=tuple(State)),
        Column("severity", DType.STRING, "Urgency; null unless `alarm`.", nullable=True),
        Column("value", DType.NUMBER, "Measured value; null if it could not be measured.", nullable=True),
        Column(
            "threshold",
            DType.NUMBER,
            "Limit the value was held against; null if it is not judged.",
            nullable=True,
        ),
        Column(
            "psi",
            DType.NUMBER,
            "Population stability index of the same bins, for those used to it; never judged.",
            nullable=True,
        ),
        Column(
            "impact",
            DType.NUMBER,
            "Feature shift times the feature's share of all SHAP contributions; null for other metrics.",
            nullable=True,
        ),
        Column(
            "excess",
            DType.NUMBER,
            "Part of a shift that sampling does not explain, by which segments rank; 0 for other metrics.",
        ),
        Column("rows", DType.INTEGER, "Rows the value was measured on.", minimum=0),
        Column("message", DType.STRING, "The finding in words."),
        Column(
            "model_version", DType.STRING, "Version that made the predictions; null if none.", nullable=True
        ),
    ),
    key=("usecase", "as_of", "metric", "subject", "segment_column", "segment"),
    partition_by=("usecase", "as_of"),
)
