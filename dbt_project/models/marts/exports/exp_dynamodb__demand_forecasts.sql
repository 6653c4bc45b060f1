with

as_of_dates as (

    select * from {{ ref('stg_run__as_of_dates') }}

),

forecasts as (

    select * from {{ ref('stg_predictions__demand_forecasts') }}
    inner join as_of_dates using (as_of)

),

aggregates as (

    select * from {{ ref('stg_predictions__demand_aggregates') }}
    inner join as_of_dates using (as_of)

),

orders as (

    select * from {{ ref('stg_predictions__demand_orders') }}
    inner join as_of_dates using (as_of)

),

series as (

    select
        as_of,
        store_id,
        sku_id,
        {{ packed_quantities() }}
        any_value(segment) as segment,
        any_value(model) as model,
        any_value(reason) as reason,
        any_value(model_version) as model_version

    from forecasts
    group by as_of, store_id, sku_id

),

nodes as (

    select
        as_of,
        level,
        node,
        {{ packed_quantities() }}
        any_value(model_version) as model_version

    from aggregates
    group by as_of, level, node

),

items as (

    select
        series.*,
        'sku_store#' || series.store_id || '#' || series.sku_id as item_key,
        'sku_store' as level,
        series.store_id || '/' || series.sku_id as node,
        orders.packs as order_packs,
        orders.units as order_units,
        orders.order_day,
        orders.arrives_on,
        orders.covers_until,
        orders.reason as order_reason

    from series
    left join orders
        on
            series.as_of = orders.as_of
            and series.store_id = orders.store_id
            and series.sku_id = orders.sku_id

    union all by name

    select
        *,
        level || '#' || node as item_key

    from nodes

)

select

    ---------- identity
    item_key,
    level,
    node,
    store_id,
    sku_id,

    ---------- time
    as_of,
    starts_on,
    days,

    ---------- quantities, one value per day
    operational,
    strategic,
    lower_80,
    upper_80,
    lower_95,
    upper_95,

    ---------- order of the morning
    order_packs,
    order_units,
    order_day,
    arrives_on,
    covers_until,
    order_reason,

    ---------- provenance
    segment,
    model,
    reason,
    model_version

from items
