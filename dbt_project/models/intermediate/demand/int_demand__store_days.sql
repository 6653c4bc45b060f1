-- Days of each store's calendar at each as_of: those ahead, and for the newest as_of the days of the panel.
-- 15 more on either side, so that the distance to a holiday is known at the edges.
with

as_of_dates as (

    select
        as_of_dates.as_of,
        as_of_dates.as_of
        - case when as_of_dates.as_of = as_of_dates.known_before then parameters.history_days else 0 end as first_day,
        as_of_dates.as_of + parameters.horizon_days as last_day

    from {{ ref('stg_run__as_of_dates') }} as as_of_dates
    cross join {{ ref('int_demand__parameters') }} as parameters

),

store_days as (

    select
        stores.*,
        as_of_dates.first_day,
        as_of_dates.last_day,
        as_of_dates.first_day - 15
        + cast(unnest(range(date_diff('day', as_of_dates.first_day, as_of_dates.last_day) + 31)) as integer) as ds

    from {{ ref('int_demand__stores_as_of') }} as stores
    inner join as_of_dates using (as_of)

),

events as (

    {{ store_events('store_days') }}

),

flagged as (

    select
        store_days.as_of,
        store_days.store_id,
        store_days.region,
        store_days.ds,
        store_days.ds between store_days.first_day and store_days.last_day as is_wanted,
        coalesce(store_days.ds >= store_days.opened_on, true)
        and coalesce(store_days.ds <= store_days.closed_on, true)
        and (store_days.opens_sunday or dayofweek(store_days.ds) <> 0)
        and not coalesce(events.is_closed, false) as is_planned_open,
        coalesce(events.is_public_holiday, false) as is_public_holiday,
        coalesce(events.is_school_holiday, false) as is_school_holiday,
        coalesce(events.has_local_event, false) as has_local_event

    from store_days
    left join events using (as_of, store_id, ds)

),

distances as (

    select
        *,
        min(case when is_public_holiday then ds end) over (
            partition by as_of, store_id order by ds rows between current row and 15 following
        ) as next_holiday,
        max(case when is_public_holiday then ds end) over (
            partition by as_of, store_id order by ds rows between 15 preceding and current row
        ) as last_holiday

    from flagged

)

select
    distances.as_of,
    distances.store_id,
    distances.region,
    distances.ds,
    -- Who sold was open, whatever the plan said.
    distances.is_planned_open or (reports.ds is not null and distances.ds < distances.as_of) as is_open,
    distances.is_public_holiday,
    distances.is_school_holiday,
    distances.has_local_event,
    coalesce(date_diff('day', distances.ds, distances.next_holiday), 15) as days_to_holiday,
    coalesce(date_diff('day', distances.last_holiday, distances.ds), 15) as days_since_holiday

from distances
left join {{ ref('int_demand__store_reports') }} as reports using (store_id, ds)
where distances.is_wanted
