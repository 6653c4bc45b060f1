-- Days of the window on which each store had opened and not closed for good, with what it sold and who came.
-- `level_ppm` is what it sold over what it usually sells on that weekday, in millionths: it compares days of
-- different weekdays, and whole numbers add up the same in any order.
with

stores as (

    select
        stores.as_of,
        stores.store_id,
        stores.region,
        stores.opens_sunday,
        greatest(stores.as_of - parameters.history_days, coalesce(stores.opened_on, stores.as_of - parameters.history_days))
            as first_day,
        least(stores.as_of - 1, coalesce(stores.closed_on, stores.as_of - 1)) as last_day

    from {{ ref('int_demand__stores_as_of') }} as stores
    cross join {{ ref('int_clustering__parameters') }} as parameters

),

store_days as (

    select
        * exclude (first_day, last_day),
        first_day + cast(unnest(range(date_diff('day', first_day, last_day) + 1)) as integer) as ds

    from stores
    where first_day <= last_day

),

events as (

    {{ store_events('store_days') }}

),

sold as (

    select
        as_of,
        store_id,
        ds,
        cast(sum(quantity_milli) as bigint) as quantity_milli,
        cast(sum(revenue_millicents) as bigint) as revenue_millicents,
        cast(sum(quantity_milli) filter (where is_promo) as bigint) as promo_quantity_milli,
        count(*) as products

    from {{ ref('int_clustering__sales') }}
    group by 1, 2, 3

),

days as (

    select
        store_days.as_of,
        store_days.store_id,
        store_days.ds,
        isodow(store_days.ds) as weekday,
        -- Who sold was open, whatever the plan said.
        sold.ds is not null
        or ((store_days.opens_sunday or dayofweek(store_days.ds) <> 0) and not coalesce(events.is_closed, false)) as is_open,
        coalesce(events.is_public_holiday, false) as is_public_holiday,
        coalesce(events.is_school_holiday, false) as is_school_holiday,
        sold.* exclude (as_of, store_id, ds),
        customers.customers

    from store_days
    left join events using (as_of, store_id, ds)
    left join sold using (as_of, store_id, ds)
    left join {{ ref('stg_demand__customers') }} as customers
        on store_days.store_id = customers.store_id
        and store_days.ds = customers.counted_on
        and greatest(cast(customers.known_at as date), customers.counted_on) < store_days.as_of

),

usual as (

    select
        as_of,
        store_id,
        weekday,
        sum(quantity_milli) / cast(count(quantity_milli) as double) as usual_milli

    from days
    where not is_public_holiday
    group by 1, 2, 3

),

-- Days between which a day lies on which the store was open; the edges of the window count as open.
spans as (

    select
        as_of,
        store_id,
        ds,
        coalesce(
            max(ds) filter (where is_open) over (by_day rows between unbounded preceding and current row),
            min(ds) over (by_day rows between unbounded preceding and unbounded following) - 1
        ) as open_before,
        coalesce(
            min(ds) filter (where is_open) over (by_day rows between current row and unbounded following),
            max(ds) over (by_day rows between unbounded preceding and unbounded following) + 1
        ) as open_after

    from days
    window by_day as (partition by as_of, store_id order by ds)

)

select
    days.*,
    -- A refurbishment says nothing of a store's habits.
    date_diff('day', spans.open_before, spans.open_after) > parameters.long_closure_days as is_long_closure,
    lead(days.is_public_holiday, 1, false) over (
        partition by days.as_of, days.store_id order by days.ds
    ) as is_holiday_eve,
    cast(round(1e6 * days.quantity_milli / nullif(usual.usual_milli, 0)) as bigint) as level_ppm

from days
cross join {{ ref('int_clustering__parameters') }} as parameters
inner join spans using (as_of, store_id, ds)
left join usual using (as_of, store_id, weekday)
