with

parameters as (

    select
        max(value) filter (where name = 'window_days') as window_days,
        max(value) filter (where name = 'batch_days') as batch_days
    from {{ ref('stg_run__parameters') }}

)

select
    as_of_dates.as_of,
    parts.part_id,
    parts.line,
    parts.unit_id,
    parts.produced_at,
    parts.produced_at >= as_of_dates.as_of - cast(parameters.batch_days as integer) as in_batch

from {{ ref('stg_imputation__parts') }} as parts
cross join parameters
inner join {{ ref('stg_run__as_of_dates') }} as as_of_dates
    on parts.known_at < as_of_dates.as_of
    and parts.produced_at >= as_of_dates.as_of - cast(parameters.window_days as integer)
