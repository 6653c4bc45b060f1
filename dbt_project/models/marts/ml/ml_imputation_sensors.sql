select
    as_of,
    sensor_id,
    station,
    quantity,
    unit,
    kind,
    scale,
    low,
    high

from {{ ref('int_imputation__sensors_as_of') }}
