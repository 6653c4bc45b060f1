"""Tables that the churn steps produce in Python (features and labels are declared in dbt)."""

from __future__ import annotations

from features.schemas import AS_OF, MODEL_VERSION, Column, DType, Reference, Table

RISK_LEVELS = ("low", "medium", "high", "critical")

ACCOUNT_KEY = Column("account_key", DType.STRING, "Pseudonym of the account.")

_SEGMENTS = (
    Column("plan_tier", DType.STRING, "Plan on `as_of`."),
    Column("size_band", DType.STRING, "Staff of the company: 1-9, 10-49, 50-249, 250+, unknown."),
    Column("sector", DType.STRING, "Industry, `unknown` if not stated."),
)

SCORES = Table(
    name="predictions/churn_scores",
    description="Scored accounts. One row per account in scope and `as_of`.",
    columns=(
        AS_OF,
        ACCOUNT_KEY,
        Column(
            "score", DType.NUMBER, "Calibrated probability of churn within 30 days.", minimum=0, maximum=1
        ),
        Column("rank", DType.INTEGER, "1 = highest score of the day; ties by pseudonym.", minimum=1),
        Column(
            "risk_level", DType.STRING, "Band of the score (thresholds in params.yaml).", allowed=RISK_LEVELS
        ),
        Column("reason_1", DType.STRING, "Strongest reason in words, with the account's own values."),
        Column("reason_2", DType.STRING, "Second reason."),
        Column("reason_3", DType.STRING, "Third reason."),
        Column(
            "reasons_json",
            DType.STRING,
            "The facts behind the three reasons: theme, feature, value, peer value, contribution, direction.",
        ),
        Column("action", DType.STRING, "Recommended action for the risk level, from the action guide."),
        *_SEGMENTS,
        Column("mrr_eur", DType.NUMBER, "Recurring revenue at stake.", unit="EUR/month", minimum=0),
        Column("days_to_renewal", DType.INTEGER, "Days until the running term ends.", unit="days", minimum=0),
        MODEL_VERSION,
    ),
    key=("as_of", "account_key"),
    partition_by=("as_of",),
    references=(Reference(("as_of", "account_key"), "features/churn", where="in_scope"),),
    steady=("score", "risk_level"),
)

OUT_OF_SCOPE = Table(
    name="predictions/churn_out_of_scope",
    description="Accounts that got no score, and why. One row per account and `as_of`.",
    columns=(
        AS_OF,
        ACCOUNT_KEY,
        Column("scope_reason", DType.STRING, "Why: `trial`, `churned`, `lapsed`, `not_started`."),
    ),
    key=("as_of", "account_key"),
    partition_by=("as_of",),
)

VALIDATION = Table(
    name="predictions/churn_validation",
    description=(
        "Out-of-time predictions of every candidate of a training run, from which the gate, the curves "
        "and the subgroup tables are computed. One row per training `as_of`, candidate, snapshot and account."
    ),
    columns=(
        AS_OF,
        Column("candidate", DType.STRING, "`challenger`, `champion`, `logistic`, `usage_trend`."),
        Column("snapshot", DType.DATE, "Day the row would have been scored."),
        ACCOUNT_KEY,
        Column("churned", DType.BOOLEAN, "Whether the account churned within 30 days of `snapshot`."),
        Column("score", DType.NUMBER, "Score of the candidate; a probability except for `usage_trend`."),
        *_SEGMENTS,
    ),
    key=("as_of", "candidate", "snapshot", "account_key"),
    partition_by=("as_of",),
)

CONTRIBUTIONS = Table(
    name="predictions/churn_contributions",
    description=(
        "SHAP contributions of a sample of the scored accounts, for the beeswarm. "
        "One row per `as_of`, account and feature."
    ),
    columns=(
        AS_OF,
        ACCOUNT_KEY,
        Column("feature", DType.STRING, "Column of the feature table."),
        Column("theme", DType.STRING, "Business theme of the feature."),
        Column(
            "value",
            DType.NUMBER,
            "Value of a numeric feature; null if missing or categorical.",
            nullable=True,
        ),
        Column(
            "contribution", DType.NUMBER, "Log-odds added to the raw score of the booster.", unit="log-odds"
        ),
    ),
    key=("as_of", "account_key", "feature"),
    partition_by=("as_of",),
)
