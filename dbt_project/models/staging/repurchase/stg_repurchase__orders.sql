select
    order_id,
    customer_key,
    cast(ordered_at as timestamp) as ordered_at,
    cast(ordered_at as date) as ordered_on,
    cast(known_at as timestamp) as known_at

from {{ source('repurchase', 'orders') }}
