with

newest as (

    -- By one hash aggregate: a window would sort all measurements.
    select
        parts.as_of,
        measurements.part_id,
        measurements.sensor_id,
        arg_max(
            struct_pack(
                value := measurements.value, label := measurements.label, status := measurements.status
            ),
            measurements.known_at
        ) as cell

    from {{ ref('stg_imputation__measurements') }} as measurements
    inner join {{ ref('int_imputation__parts_as_of') }} as parts
        on measurements.part_id = parts.part_id
        and measurements.known_at < parts.as_of
    group by all

)

select
    as_of,
    part_id,
    sensor_id,
    cell.value as value,
    cell.label as label,
    cell.status as status

from newest
