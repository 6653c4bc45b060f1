select
    part_id,
    sensor_id,
    cast(value as double) as value,
    label,
    status,
    cast(known_at as timestamp) as known_at

from {{ source('imputation', 'measurements') }}
