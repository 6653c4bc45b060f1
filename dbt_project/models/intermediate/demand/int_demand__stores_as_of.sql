-- Newest version of each store known before each as_of.
select
    as_of_dates.as_of,
    stores.store_id,
    coalesce(stores.region, 'unknown') as region,
    stores.clientele,
    stores.store_type,
    stores.assortment,
    stores.opens_sunday,
    stores.opened_on,
    stores.closed_on

from {{ ref('int_demand__store_versions') }} as stores
inner join {{ ref('stg_run__as_of_dates') }} as as_of_dates
    on as_of_dates.as_of >= stores.valid_from
    and as_of_dates.as_of < stores.valid_until
