-- Names of the products as they were known on the day that is published; the shop may not deliver products at all.
with

versions as (

    {{ valid_versions(ref('stg_repurchase__products'), key='product_id') }}

)

select
    as_of_dates.as_of,
    versions.product_id,
    versions.product_name

from versions
inner join {{ ref('stg_run__as_of_dates') }} as as_of_dates
    on as_of_dates.as_of >= versions.valid_from and as_of_dates.as_of < versions.valid_until
