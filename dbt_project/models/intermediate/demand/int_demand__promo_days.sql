-- Past days on which a series was in promotion, as known at the start of each day itself: the same for every
-- as_of, so that a training row and a row of today read the same history.
with

spans as (

    select
        series_id,
        discount,
        greatest(starts_on, valid_from) as first_day,
        least(ends_on, valid_until - 1, (select max(as_of) - 1 from {{ ref('stg_run__as_of_dates') }})) as last_day

    from {{ ref('int_demand__promo_spans') }}

),

days as (

    select
        series_id,
        discount,
        first_day + cast(unnest(range(date_diff('day', first_day, last_day) + 1)) as integer) as ds

    from spans
    where first_day <= last_day

)

select
    series_id,
    ds,
    max(discount) as discount

from days
group by 1, 2
