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
        *,
        'sku_store#' || store_id || '#' || sku_id as item_key,
        'sku_store' as level,
        store_id || '/' || sku_id as node

    from series

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

    ---------- provenance
    segment,
    model,
    reason,
    model_version

from items
