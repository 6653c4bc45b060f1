select
    product_id,
    product_name,
    coalesce(nullif(trim(aisle), ''), 'unknown') as aisle,
    coalesce(nullif(trim(department), ''), 'unknown') as department,
    cast(round(price_eur * 100) as bigint) as price_cents,
    cast(known_at as timestamp) as known_at

from {{ source('repurchase', 'products') }}
