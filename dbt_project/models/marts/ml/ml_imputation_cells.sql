select
    as_of,
    part_id,
    sensor_id,
    value,
    label,
    status

from {{ ref('int_imputation__cells_as_of') }}
