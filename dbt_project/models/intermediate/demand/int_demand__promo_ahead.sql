-- Days ahead of each as_of that follow or lie in a promotion of the series that was known to be planned by
-- then. Several at once: the largest discount counts.
with

series as (

    select as_of, series_id
    from {{ ref('int_demand__series_as_of') }}
    where scope_reason is null

),

-- A promotion that runs already, or begins within the horizon.
coming as (

    select
        series.as_of,
        series.series_id,
        spans.promo_id,
        spans.mechanic,
        spans.discount,
        spans.starts_on,
        spans.ends_on,
        greatest(spans.starts_on, series.as_of) as first_day,
        series.as_of + parameters.horizon_days as last_day

    from series
    cross join {{ ref('int_demand__parameters') }} as parameters
    inner join {{ ref('int_demand__promo_spans') }} as spans
        on series.series_id = spans.series_id
        and series.as_of >= spans.valid_from
        and series.as_of < spans.valid_until
        and spans.ends_on >= series.as_of
        and spans.starts_on <= series.as_of + parameters.horizon_days

),

days as (

    select
        * exclude (first_day, last_day),
        first_day + cast(unnest(range(date_diff('day', first_day, last_day) + 1)) as integer) as ds

    from coming

),

strongest as (

    select
        as_of,
        series_id,
        ds,
        min(greatest(date_diff('day', ends_on, ds), 0)) as days_since_promo,
        max({discount: discount, promo_id: promo_id, mechanic: mechanic, starts_on: starts_on, ends_on: ends_on})
            filter (where ds <= ends_on) as promo

    from days
    group by 1, 2, 3

)

select
    as_of,
    series_id,
    ds,
    days_since_promo,
    promo.discount,
    promo.mechanic,
    date_diff('day', promo.starts_on, ds) + 1 as promo_day,
    date_diff('day', ds, promo.ends_on) as promo_days_left

from strongest
