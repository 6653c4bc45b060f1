select
    region,
    cast(issued_at as timestamp) as issued_at,
    cast(valid_on as date) as valid_on,
    cast(round(temperature_c * 100) as bigint) as temperature_centi,
    cast(round(rain_mm * 100) as bigint) as rain_centi

from {{ source('demand', 'weather_forecasts') }}
