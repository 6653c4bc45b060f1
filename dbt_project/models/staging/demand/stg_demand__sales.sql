select
    store_id,
    sku_id,
    cast(sold_on as date) as sold_on,
    cast(round(quantity * 1000) as bigint) as quantity_milli,
    -- Shelf prices are in cents; more digits of the quotient are the rounding of the receipt.
    nullif(round(revenue_eur / nullif(quantity, 0), 2), 0) as paid_price,
    coalesce(stocked_out, false) as is_stockout,
    cast(known_at as timestamp) as known_at

from {{ source('demand', 'sales') }}
