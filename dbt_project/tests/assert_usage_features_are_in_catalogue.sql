{{ config(severity='warn') }}
{# Prevents an activation score that quietly ignores a new product feature: add it to the seed. #}
with

named as (

    select unnest(string_split(features_used, '|')) as feature
    from {{ ref('stg_churn__usage_events') }}
    where features_used <> ''
    group by features_used

)

select distinct feature
from named
where feature not in (select feature from {{ ref('churn_key_features') }})
