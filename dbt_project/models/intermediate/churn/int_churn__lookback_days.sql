-- Joining facts on the day itself turns "facts of the last n days for each of many as_of" into a hash
-- join, and lets DuckDB skip the files and row groups outside the days that are needed.
with

as_of_dates as (

    select * from {{ ref('stg_run__as_of_dates') }}
    where wants_features

),

ages as (

    select unnest(generate_series(1, 365)) as age_days

)

select
    as_of_dates.as_of,
    as_of_dates.as_of - cast(ages.age_days as integer) as day,
    ages.age_days

from as_of_dates
cross join ages
