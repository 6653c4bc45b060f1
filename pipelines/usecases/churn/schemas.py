"""Tables that the churn steps produce in Python (features and labels are declared in dbt)."""

from __future__ import annotations

from features.schemas import AS_OF, MODEL_VERSION, Reference, Table, day, flag, integer, number, text

RISK_LEVELS = ("low", "medium", "high", "critical")

ACCOUNT_KEY = text("account_key", "Pseudonym of the account.")

_SEGMENTS = (
    text("plan_tier", "Plan on `as_of`."),
    text("size_band", "Staff of the company: 1-9, 10-49, 50-249, 250+, unknown."),
    text("sector", "Industry, `unknown` if not stated."),
)

SCORES = Table(
    name="predictions/churn_scores",
    description="Scored accounts. One row per account in scope and `as_of`.",
    columns=(
        AS_OF,
        ACCOUNT_KEY,
        number("score", "Calibrated probability of churn within 30 days.", minimum=0, maximum=1),
        integer("rank", "1 = highest score of the day; ties by pseudonym.", minimum=1),
        text("risk_level", "Band of the score (thresholds in params.yaml).", allowed=RISK_LEVELS),
        text("reason_1", "Strongest reason in words, with the account's own values."),
        text("reason_2", "Second reason."),
        text("reason_3", "Third reason."),
        text(
            "reasons_json",
            "The facts behind the three reasons: theme, feature, value, peer value, contribution, direction.",
        ),
        text("action", "Recommended action for the risk level, from the action guide."),
        *_SEGMENTS,
        number("mrr_eur", "Recurring revenue at stake.", unit="EUR/month", minimum=0),
        integer("days_to_renewal", "Days until the running term ends.", unit="days", minimum=0),
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
    columns=(AS_OF, ACCOUNT_KEY, text("scope_reason", "Why: `trial`, `churned`, `lapsed`, `not_started`.")),
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
        text("candidate", "`challenger`, `champion`, `logistic`, `usage_trend`."),
        day("snapshot", "Day the row would have been scored."),
        ACCOUNT_KEY,
        flag("churned", "Whether the account churned within 30 days of `snapshot`."),
        number("score", "Score of the candidate; a probability except for `usage_trend`."),
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
        text("feature", "Column of the feature table."),
        text("theme", "Business theme of the feature."),
        number("value", "Value of a numeric feature; null if missing or categorical.", nullable=True),
        number("contribution", "Log-odds added to the raw score of the booster.", unit="log-odds"),
    ),
    key=("as_of", "account_key", "feature"),
    partition_by=("as_of",),
)
