{# Prevents scoring an account without a contract, or leaving one out without saying why: in scope means a
   complete contract and no reason; out of scope means a reason and no renewal date. #}
select as_of, account_key, in_scope, scope_reason, days_to_renewal
from {{ ref('ml_churn_features') }}
where
    (in_scope and (
        scope_reason is not null or days_to_renewal is null or plan_tier is null or billing_period is null
        or seats is null or mrr_eur is null or tenure_days is null or renewal_booked is null
    ))
    or (not in_scope and (scope_reason is null or days_to_renewal is not null))
