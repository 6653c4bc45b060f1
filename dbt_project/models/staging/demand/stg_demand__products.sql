select
    sku_id,
    category,
    subcategory,
    brand,
    price_band,
    list_price_eur as list_price,
    cast(launched_on as date) as launched_on,
    cast(delisted_on as date) as delisted_on,
    cast(known_at as timestamp) as known_at

from {{ source('demand', 'products') }}
