select
    sensor_id,
    station,
    quantity,
    unit,
    kind,
    scale,
    cast(low as double) as low,
    cast(high as double) as high,
    cast(known_at as timestamp) as known_at

from {{ source('imputation', 'sensors') }}
