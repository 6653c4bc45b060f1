select
    promo_id,
    store_id,
    region,
    sku_id,
    category,
    cast(starts_on as date) as starts_on,
    cast(ends_on as date) as ends_on,
    mechanic,
    discount,
    status,
    cast(announced_at as timestamp) as announced_at

from {{ source('demand', 'promotions') }}
