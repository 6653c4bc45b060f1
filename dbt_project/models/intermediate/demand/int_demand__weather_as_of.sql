-- Weather of each region's calendar days as known at each as_of: observed, else the newest forecast issued
-- before (up to `weather_days` ahead), else the mean of the observed years around that day of the year.
with

parameters as (

    select * from {{ ref('int_demand__parameters') }}

),

cells as (

    select distinct as_of, region, ds
    from {{ ref('int_demand__store_days') }}

),

observations as (

    select
        region,
        observed_on,
        temperature_centi,
        rain_centi,
        greatest(cast(known_at as date), observed_on) + 1 as usable_from

    from {{ ref('stg_demand__weather_observed') }}

),

forecasts as (

    select
        cells.as_of,
        cells.region,
        cells.ds,
        arg_max(forecasts.temperature_centi, forecasts.issued_at) as temperature_centi,
        arg_max(forecasts.rain_centi, forecasts.issued_at) as rain_centi

    from cells
    cross join parameters
    inner join {{ ref('stg_demand__weather_forecasts') }} as forecasts
        on cells.region = forecasts.region
        and cells.ds = forecasts.valid_on
        and forecasts.issued_at < cells.as_of
        and cells.ds <= cells.as_of + parameters.weather_days
    group by 1, 2, 3

),

known as (

    select
        cells.as_of,
        cells.region,
        cells.ds,
        coalesce(observations.temperature_centi, forecasts.temperature_centi) / 100.0 as temperature_c,
        coalesce(observations.rain_centi, forecasts.rain_centi) / 100.0 as rain_mm,
        case
            when observations.observed_on is not null then 'observed'
            when forecasts.ds is not null then 'forecast'
        end as weather_source

    from cells
    left join forecasts using (as_of, region, ds)
    left join observations
        on cells.region = observations.region
        and cells.ds = observations.observed_on
        and cells.as_of >= observations.usable_from

),

-- Days of the year within `climatology_days` of a day without weather; the year is a circle of 366 days.
neighbours as (

    select
        known.as_of,
        known.region,
        known.ds,
        (
            dayofyear(known.ds) - 1 + 366
            + unnest(range(-parameters.climatology_days, parameters.climatology_days + 1))
        ) % 366 + 1 as day_of_year

    from known
    cross join parameters
    where known.weather_source is null

),

climatology as (

    select
        neighbours.as_of,
        neighbours.region,
        neighbours.ds,
        avg(observations.temperature_centi) / 100.0 as temperature_c,
        avg(observations.rain_centi) / 100.0 as rain_mm

    from neighbours
    inner join observations
        on neighbours.region = observations.region
        and neighbours.day_of_year = dayofyear(observations.observed_on)
        and neighbours.as_of >= observations.usable_from
    group by 1, 2, 3

)

select
    known.as_of,
    known.region,
    known.ds,
    coalesce(known.temperature_c, climatology.temperature_c) as temperature_c,
    coalesce(known.rain_mm, climatology.rain_mm) as rain_mm,
    coalesce(known.weather_source, case when climatology.ds is not null then 'climatology' end, 'none') as weather_source

from known
left join climatology using (as_of, region, ds)
