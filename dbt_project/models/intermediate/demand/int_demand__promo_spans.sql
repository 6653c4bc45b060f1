-- Planned promotions of each series: first and last day of the promotion, and the days on whose start it was
-- known to be planned so (valid_from <= day < valid_until). A cancelled or changed one ends with the version
-- that says so.
--   A past day was in promotion if the promotion ran on it and was known at the start of that day.
--   A day ahead of as_of is in promotion if the promotion runs on it and is known at the start of as_of.
-- Neither asks what became known later.
with

promotions as (

    select * from {{ ref('int_demand__promotion_versions') }}
    where status = 'planned'

),

series as (

    select * from {{ ref('int_demand__series_versions') }}

),

-- The scopes are joined one by one, each on a key: together they would be a cross join.
matched as (

    {%- for join, rest in [
        ("series.sku_id = promotions.sku_id", "true"),
        ("series.category = promotions.category", "promotions.sku_id is null"),
        ("series.store_id = promotions.store_id", "promotions.sku_id is null and promotions.category is null"),
        ("series.region = promotions.region",
         "promotions.sku_id is null and promotions.category is null and promotions.store_id is null"),
        ("true", "promotions.sku_id is null and promotions.category is null and promotions.store_id is null"
         " and promotions.region is null"),
    ] %}
    select
        series.series_id,
        promotions.* replace (
            greatest(series.valid_from, promotions.valid_from) as valid_from,
            least(series.valid_until, promotions.valid_until) as valid_until
        )

    from series
    inner join promotions on {{ join }}
    where
        {{ rest }}
        and (promotions.store_id is null or promotions.store_id = series.store_id)
        and (promotions.region is null or promotions.region = series.region)
        and (promotions.category is null or promotions.category = series.category)
    {% if not loop.last %}union all{% endif %}
    {%- endfor %}

)

select
    series_id,
    promo_id,
    mechanic,
    -- A display or a leaflet has no discount; 0 means "no promotion" everywhere downstream.
    greatest(discount, 0.01) as discount,
    starts_on,
    ends_on,
    valid_from,
    valid_until

from matched
where valid_from < valid_until
