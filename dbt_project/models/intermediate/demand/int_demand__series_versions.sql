-- Region and category of each series, by the days on which they were known to be these: what promotions of
-- a region or a category apply to. Before anything was known of them, both are null.
{%- set first = "date '0001-01-01'" %}
with

stores as (

    select store_id, region, valid_from, valid_until from {{ ref('int_demand__store_versions') }}
    union all
    select store_id, null, {{ first }}, min(valid_from) from {{ ref('int_demand__store_versions') }} group by 1

),

products as (

    select sku_id, category, valid_from, valid_until from {{ ref('int_demand__product_versions') }}
    union all
    select sku_id, null, {{ first }}, min(valid_from) from {{ ref('int_demand__product_versions') }} group by 1

)

select
    series.series_id,
    series.store_id,
    series.sku_id,
    stores.region,
    products.category,
    coalesce(greatest(stores.valid_from, products.valid_from), {{ first }}) as valid_from,
    coalesce(least(stores.valid_until, products.valid_until), date '9999-12-31') as valid_until

from {{ ref('int_demand__series') }} as series
left join stores using (store_id)
left join products using (sku_id)
where
    coalesce(greatest(stores.valid_from, products.valid_from), {{ first }})
    < coalesce(least(stores.valid_until, products.valid_until), date '9999-12-31')
