with

usage as (

    select * from {{ ref('stg_churn__usage_events') }}

),

days as (

    select * from {{ ref('int_churn__lookback_days') }}

),

feature_sets as (

    select * from {{ ref('int_churn__feature_sets') }}

),

catalogues as (

    select
        catalogue,
        bit_or(cast(1 as bigint) << cast(bit as integer)) as key_mask,
        count(*) as key_features

    from {{ ref('churn_key_features') }}
    where is_key
    group by 1

),

-- Twelve weeks carry every sum; a year is only needed to find the last login.
windows as (

    select
        days.as_of,
        usage.account_key,

        sum(usage.logins) filter (where days.age_days <= 7) as logins_7d,
        sum(usage.logins) filter (where days.age_days <= 28) as logins_28d,
        sum(usage.logins) filter (where days.age_days between 22 and 28) as logins_week_1_of_4,
        sum(usage.logins) filter (where days.age_days between 29 and 56) as logins_prev_28d,
        sum(usage.logins) filter (where days.age_days between 57 and 84) as logins_third_28d,

        sum(usage.duration_centiminutes) filter (where days.age_days <= 7) as centiminutes_7d,
        sum(usage.duration_centiminutes) filter (where days.age_days <= 28) as centiminutes_28d,
        sum(usage.duration_centiminutes)
            filter (where days.age_days between 22 and 28) as centiminutes_week_1_of_4,
        sum(usage.duration_centiminutes)
            filter (where days.age_days between 29 and 56) as centiminutes_prev_28d,

        count(*) filter (where days.age_days <= 28) as active_days_28d,
        bit_or(feature_sets.feature_mask) filter (where days.age_days <= 28) as feature_mask_28d

    from usage
    inner join days
        on usage.used_on = days.day
        and usage.known_at < days.as_of
        and days.age_days <= 84
    left join feature_sets on usage.features_used = feature_sets.features_used
    group by 1, 2

),

last_logins as (

    select
        days.as_of,
        usage.account_key,
        min(days.age_days) as days_since_last_login

    from usage
    inner join days
        on usage.used_on = days.day
        and usage.known_at < days.as_of
    group by 1, 2

),

activation as (

    -- An account uses one product; where a lake holds several, its best matching catalogue counts.
    select
        windows.as_of,
        windows.account_key,
        max(
            bit_count(windows.feature_mask_28d & catalogues.key_mask) / cast(catalogues.key_features as double)
        ) as activation_score_28d

    from windows
    cross join catalogues
    group by 1, 2

)

select
    last_logins.as_of,
    last_logins.account_key,
    last_logins.days_since_last_login,
    cast(coalesce(windows.logins_7d, 0) as bigint) as logins_7d,
    cast(coalesce(windows.logins_28d, 0) as bigint) as logins_28d,
    cast(coalesce(windows.logins_week_1_of_4, 0) as bigint) as logins_week_1_of_4,
    cast(coalesce(windows.logins_prev_28d, 0) as bigint) as logins_prev_28d,
    cast(coalesce(windows.logins_third_28d, 0) as bigint) as logins_third_28d,
    coalesce(windows.centiminutes_7d, 0) / 100.0 as minutes_7d,
    coalesce(windows.centiminutes_28d, 0) / 100.0 as minutes_28d,
    coalesce(windows.centiminutes_week_1_of_4, 0) / 100.0 as minutes_week_1_of_4,
    coalesce(windows.centiminutes_prev_28d, 0) / 100.0 as minutes_prev_28d,
    coalesce(windows.active_days_28d, 0) as active_days_28d,
    cast(coalesce(bit_count(windows.feature_mask_28d), 0) as bigint) as features_used_28d,
    coalesce(activation.activation_score_28d, 0) as activation_score_28d

from last_logins
left join windows using (as_of, account_key)
left join activation using (as_of, account_key)
