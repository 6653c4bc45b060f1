select
    order_id,
    product_id,
    -- Whole thousandths: a sum of doubles depends on the order in which threads add.
    cast(round(quantity * 1000) as bigint) as quantity_milli,
    cast(position as integer) as position,
    cast(known_at as timestamp) as known_at

from {{ source('repurchase', 'order_lines') }}
