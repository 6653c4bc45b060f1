{# Prevents a panel with a day missing or twice: every lag and every weekly cycle of the models would shift from
   there on. Each active series has each day from its first to yesterday once. #}
with

series as (

    select
        series.series_id,
        greatest(series.first_sold_on, series.as_of - parameters.history_days) as first_day,
        series.as_of - 1 as last_day

    from {{ ref('int_demand__series_as_of') }} as series
    inner join {{ ref('stg_run__as_of_dates') }} as as_of_dates using (as_of)
    cross join {{ ref('int_demand__parameters') }} as parameters
    where
        series.scope_reason is null
        and as_of_dates.as_of = as_of_dates.known_before

),

expected as (

    select
        series_id,
        first_day,
        last_day,
        date_diff('day', first_day, last_day) + 1 as history_days,
        (date_diff('day', date '2000-01-01', first_day) + date_diff('day', date '2000-01-01', last_day))
        * (date_diff('day', first_day, last_day) + 1) // 2 as day_sum

    from series

)

select
    series_id,
    expected.history_days as expected_days,
    found.history_days as found_days

from expected
full outer join {{ ref('int_demand__series_statistics') }} as found using (series_id)
where
    found.first_day is distinct from expected.first_day
    or found.last_day is distinct from expected.last_day
    or found.history_days is distinct from expected.history_days
    or found.day_sum is distinct from expected.day_sum
