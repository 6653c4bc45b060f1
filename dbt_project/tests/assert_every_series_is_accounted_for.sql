{# Prevents a product that silently gets no forecast: every store and product that ever sold together, by what
   was known before the newest as_of, is either profiled or out of scope with a reason, once. #}
with

newest as (

    select max(as_of) as as_of from {{ ref('stg_run__as_of_dates') }}

),

expected as (

    select distinct store_id, sku_id
    from {{ ref('stg_demand__sales') }}
    where
        known_at < (select as_of from newest)
        and sold_on < (select as_of from newest)
        and (quantity_milli > 0 or is_stockout)

),

found as (

    select store_id, sku_id, count(*) as rows_found
    from (
        select store_id, sku_id from {{ ref('ml_demand_profile') }}
        union all
        select store_id, sku_id from {{ ref('ml_demand_out_of_scope') }}
    )
    group by 1, 2

)

select
    store_id,
    sku_id,
    expected.store_id is not null as is_expected,
    coalesce(found.rows_found, 0) as rows_found

from expected
full outer join found using (store_id, sku_id)
where coalesce(found.rows_found, 0) <> 1 or expected.store_id is null
