-- Newest version of each product known before each as_of.
select
    as_of_dates.as_of,
    products.sku_id,
    coalesce(products.category, 'unknown') as category,
    products.subcategory,
    products.brand,
    products.price_band,
    products.list_price,
    products.launched_on,
    products.delisted_on

from {{ ref('int_demand__product_versions') }} as products
inner join {{ ref('stg_run__as_of_dates') }} as as_of_dates
    on as_of_dates.as_of >= products.valid_from
    and as_of_dates.as_of < products.valid_until
