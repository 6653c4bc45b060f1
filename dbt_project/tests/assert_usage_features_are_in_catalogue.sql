{{ config(severity='warn') }}
{# Prevents an activation score that quietly ignores a new product feature: add it to the seed. #}
with

named as (

    select unnest(string_split(features_used, '|')) as feature
    from (
        select distinct usage.features_used
        from {{ ref('stg_churn__usage_events') }} as usage
        inner join {{ ref('int_churn__lookback_days') }} as days
            on usage.used_on = days.day
            and days.age_days <= 28
        where usage.features_used <> ''
    )

)

select distinct feature
from named
where feature not in (select feature from {{ ref('churn_key_features') }})
