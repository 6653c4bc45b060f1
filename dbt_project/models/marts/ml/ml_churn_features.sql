with

accounts as (

    select accounts.*
    from {{ ref('int_churn__accounts_as_of') }} as accounts
    inner join {{ ref('stg_run__as_of_dates') }} as as_of_dates using (as_of)
    where as_of_dates.wants_features

),

contracts as (

    select * from {{ ref('int_churn__contracts_as_of') }}

),

usage as (

    select * from {{ ref('int_churn__usage_as_of') }}

),

tickets as (

    select * from {{ ref('int_churn__tickets_as_of') }}

),

invoices as (

    select * from {{ ref('int_churn__invoices_as_of') }}

),

features as not materialized (

    select

        ---------- keys and scope
        accounts.as_of,
        accounts.account_key,
        coalesce(contracts.in_scope, false) as in_scope,
        case when contracts.account_key is null then 'not_started' else contracts.scope_reason end as scope_reason,

        ---------- segments
        contracts.plan_tier,
        contracts.billing_period,
        accounts.size_band,
        accounts.sector,
        accounts.country,

        ---------- usage: trends first, they say more than amounts
        case when accounts.days_since_signup >= 28 then
            {{ smoothed_ratio('coalesce(usage.logins_7d, 0)', 'coalesce(usage.logins_week_1_of_4, 0)', 1) }}
        end as usage_trend_4w,
        case when accounts.days_since_signup >= 28 then
            {{ smoothed_ratio('coalesce(usage.minutes_7d, 0)', 'coalesce(usage.minutes_week_1_of_4, 0)', 30) }}
        end as minutes_trend_4w,
        case when accounts.days_since_signup >= 56 then
            {{ smoothed_ratio('coalesce(usage.logins_28d, 0)', 'coalesce(usage.logins_prev_28d, 0)', 4) }}
        end as usage_trend_8w,
        case when accounts.days_since_signup >= 84 then
            {{ smoothed_ratio('coalesce(usage.logins_28d, 0)', 'coalesce(usage.logins_third_28d, 0)', 4) }}
        end as usage_trend_12w,
        coalesce(usage.days_since_last_login, 365) as days_since_last_login,
        coalesce(usage.logins_7d, 0) as logins_7d,
        coalesce(usage.logins_28d, 0) as logins_28d,
        coalesce(usage.logins_prev_28d, 0) as logins_prev_28d,
        coalesce(usage.minutes_28d, 0) as minutes_28d,
        coalesce(usage.minutes_prev_28d, 0) as minutes_prev_28d,
        coalesce(usage.active_days_28d, 0) as active_days_28d,

        ---------- engagement
        coalesce(usage.features_used_28d, 0) as features_used_28d,
        coalesce(usage.activation_score_28d, 0) as activation_score_28d,

        ---------- support
        coalesce(tickets.tickets_30d, 0) as tickets_30d,
        coalesce(tickets.tickets_90d, 0) as tickets_90d,
        coalesce(tickets.urgent_tickets_90d, 0) as urgent_tickets_90d,
        coalesce(tickets.open_tickets, 0) as open_tickets,
        tickets.csat_mean_90d,
        coalesce(tickets.csat_answers_90d, 0) as csat_answers_90d,

        ---------- billing
        coalesce(invoices.late_payments_180d, 0) as late_payments_180d,
        coalesce(invoices.failed_payments_90d, 0) as failed_payments_90d,
        coalesce(invoices.disputes_180d, 0) as disputes_180d,
        coalesce(invoices.unpaid_eur, 0) as unpaid_eur,
        invoices.days_payment_delay_mean_180d,

        ---------- contract
        contracts.tenure_days,
        contracts.days_to_renewal,
        contracts.days_to_renewal <= 30 as term_ends_within_30d,
        contracts.renewal_booked,
        contracts.billing_period = 'annual' as is_annual,
        contracts.seats,
        contracts.seats_change_365d,
        contracts.mrr_eur,
        contracts.mrr_change_365d,
        coalesce(contracts.tier_changes_365d, 0) as tier_changes_365d,
        coalesce(contracts.tier_downgrades_365d, 0) as tier_downgrades_365d,
        coalesce(contracts.reactivations, 0) as reactivations,

        ---------- profile
        accounts.employees,
        accounts.company_age_years

    from accounts
    left join contracts using (as_of, account_key)
    left join usage using (as_of, account_key)
    left join tickets using (as_of, account_key)
    left join invoices using (as_of, account_key)

),

-- Not a window: that would hold every column of every row at once.
medians as (

    select
        as_of,
        median(usage_trend_4w) as usage_trend_4w,
        median(minutes_trend_4w) as minutes_trend_4w,
        median(usage_trend_8w) as usage_trend_8w,
        median(usage_trend_12w) as usage_trend_12w

    from features
    where in_scope
    group by as_of

)

select
    features.*,

    ---------- the same trends against the median account of the day: holidays and seasons move everyone
    features.usage_trend_4w / medians.usage_trend_4w as usage_trend_4w_vs_all,
    features.minutes_trend_4w / medians.minutes_trend_4w as minutes_trend_4w_vs_all,
    features.usage_trend_8w / medians.usage_trend_8w as usage_trend_8w_vs_all,
    features.usage_trend_12w / medians.usage_trend_12w as usage_trend_12w_vs_all

from features
left join medians using (as_of)
