select
    as_of_dates.as_of,
    sensors.* exclude (known_at)

from {{ ref('stg_imputation__sensors') }} as sensors
inner join {{ ref('stg_run__as_of_dates') }} as as_of_dates on sensors.known_at < as_of_dates.as_of
qualify row_number() over (partition by as_of_dates.as_of, sensors.sensor_id order by sensors.known_at desc) = 1
