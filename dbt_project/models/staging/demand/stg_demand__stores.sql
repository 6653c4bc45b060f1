select
    store_id,
    region,
    clientele,
    store_type,
    assortment,
    coalesce(opens_sunday, true) as opens_sunday,
    cast(opened_on as date) as opened_on,
    cast(closed_on as date) as closed_on,
    cast(known_at as timestamp) as known_at

from {{ source('demand', 'stores') }}
