-- Every store and product that ever sold together, with a short number of its own: joins of millions of rows
-- on two texts and a day take three times the memory. The numbers never leave the run.
with

pairs as (

    select distinct store_id, sku_id
    from {{ ref('stg_demand__sales') }}
    where known_at < (select max(as_of) from {{ ref('stg_run__as_of_dates') }})

)

select
    cast(row_number() over (order by store_id, sku_id) as integer) as series_id,
    store_id,
    sku_id

from pairs
