{# Prevents a forecast that ends too soon or skips a day: each active series has each day of the horizon, and its
   store has the day in its calendar. #}
with

found as (

    select
        ahead.as_of,
        ahead.store_id,
        ahead.sku_id,
        count(*) as days_found,
        count(calendar.ds) as calendar_days_found

    from {{ ref('ml_demand_ahead') }} as ahead
    left join {{ ref('ml_demand_calendar') }} as calendar using (as_of, store_id, ds)
    group by 1, 2, 3

)

select
    as_of,
    store_id,
    sku_id,
    found.days_found,
    found.calendar_days_found

from {{ ref('int_demand__series_as_of') }} as series
cross join {{ ref('int_demand__parameters') }} as parameters
left join found using (as_of, store_id, sku_id)
where
    series.scope_reason is null
    and (
        found.days_found is distinct from parameters.horizon_days + 1
        or found.calendar_days_found is distinct from parameters.horizon_days + 1
    )
