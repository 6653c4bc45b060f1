select
    cast(as_of as date) as as_of,
    store_id,
    sku_id,
    packs,
    units,
    cast(order_day as date) as order_day,
    cast(arrives_on as date) as arrives_on,
    cast(covers_until as date) as covers_until,
    reason

from {{ source('predictions', 'demand_orders') }}
