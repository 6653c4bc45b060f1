select
    as_of,
    account_key,
    score,
    rank,
    risk_level,
    reason_1,
    reason_2,
    reason_3,
    action,
    plan_tier,
    size_band,
    sector,
    mrr_eur,
    days_to_renewal,
    model_version

from {{ source('predictions', 'churn_scores') }}
