with

store_days as (

    select * from {{ ref('int_demand__store_days') }}

),

weather as (

    select * from {{ ref('int_demand__weather_as_of') }}

)

select

    ---------- keys
    store_days.as_of,
    store_days.store_id,
    store_days.ds,

    ---------- calendar
    store_days.is_open,
    store_days.is_public_holiday,
    store_days.is_school_holiday,
    store_days.has_local_event,
    store_days.days_to_holiday,
    store_days.days_since_holiday,

    ---------- weather
    weather.temperature_c,
    weather.rain_mm,
    weather.weather_source

from store_days
left join weather using (as_of, region, ds)
