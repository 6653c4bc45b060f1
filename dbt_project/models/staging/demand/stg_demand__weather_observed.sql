select
    region,
    cast(observed_on as date) as observed_on,
    cast(round(temperature_c * 100) as bigint) as temperature_centi,
    cast(round(rain_mm * 100) as bigint) as rain_centi,
    cast(known_at as timestamp) as known_at

from {{ source('demand', 'weather_observed') }}
