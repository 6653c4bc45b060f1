-- Usage rows name the product features of a day in one string. There are few distinct strings, so each is
-- taken apart once and becomes a bit mask; the features of a window are then the OR of its masks.
with

strings as (

    select distinct usage.features_used
    from {{ ref('stg_churn__usage_events') }} as usage
    inner join {{ ref('int_churn__lookback_days') }} as days
        on usage.used_on = days.day
        and days.age_days <= 28
    where usage.features_used <> ''

),

names as (

    select
        features_used,
        unnest(string_split(features_used, '|')) as feature

    from strings

),

catalogue as (

    select * from {{ ref('churn_key_features') }}

)

select
    names.features_used,
    bit_or(cast(1 as bigint) << cast(catalogue.bit as integer)) as feature_mask

from names
inner join catalogue on names.feature = catalogue.feature
group by 1
