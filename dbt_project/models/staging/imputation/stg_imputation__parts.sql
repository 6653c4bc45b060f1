select
    part_id,
    line,
    unit_id,
    cast(produced_at as timestamp) as produced_at,
    cast(known_at as timestamp) as known_at

from {{ source('imputation', 'parts') }}
