select
    store_id,
    store_name,
    region,
    clientele,
    store_type,
    assortment,
    surface_m2,
    competition_distance_m,
    cast(competition_opened_on as date) as competition_opened_on,
    coalesce(opens_sunday, true) as opens_sunday,
    cast(opened_on as date) as opened_on,
    cast(closed_on as date) as closed_on,
    cast(known_at as timestamp) as known_at

from {{ source('demand', 'stores') }}
