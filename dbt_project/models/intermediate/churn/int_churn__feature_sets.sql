-- Usage rows name the product features of a day in one string. There are few distinct strings, so each is
-- taken apart once and becomes a bit mask; the features of a window are then the OR of its masks.
with

strings as (

    select distinct features_used
    from {{ ref('stg_churn__usage_events') }}
    where features_used <> ''

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
