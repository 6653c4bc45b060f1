{# Prevents an order system that misses a product, or takes one day's forecast for another's: the items of the day
   are its series and nodes, one for one, each with every day from J+1 to the horizon, once. #}
with

horizon as (

    select max(value) filter (where name = 'horizon_days') as days from {{ ref('stg_run__parameters') }}

),

wanted as (

    select 'sku_store' as level, store_id || '/' || sku_id as node
    from {{ ref('stg_predictions__demand_forecasts') }}
    inner join {{ ref('stg_run__as_of_dates') }} as as_of_dates using (as_of)
    group by store_id, sku_id
    union all
    select level, node
    from {{ ref('stg_predictions__demand_aggregates') }}
    inner join {{ ref('stg_run__as_of_dates') }} as as_of_dates using (as_of)
    group by level, node

),

items as (

    select * from {{ ref('exp_dynamodb__demand_forecasts') }}

),

days_off as (

    select as_of, ds, horizon, level, node
    from (
        select as_of, ds, horizon, 'sku_store' as level, store_id || '/' || sku_id as node
        from {{ ref('stg_predictions__demand_forecasts') }}
        union all
        select as_of, ds, horizon, level, node from {{ ref('stg_predictions__demand_aggregates') }}
    )
    inner join {{ ref('stg_run__as_of_dates') }} as as_of_dates using (as_of)
    where ds <> as_of + cast(horizon as integer)

)

select level, node, 'forecast but not sent' as problem
from (select level, node from wanted except all select level, node from items)
union all
select level, node, 'sent but not forecast' as problem
from (select level, node from items except all select level, node from wanted)
union all
select items.level, items.node, 'not every day to the horizon once' as problem
from items
cross join horizon
where items.days is distinct from horizon.days or items.starts_on <> items.as_of + 1
union all
select level, node, 'a day that is not its horizon' as problem
from days_off
