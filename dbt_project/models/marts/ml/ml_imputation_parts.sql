with

counts as (

    select
        as_of,
        part_id,
        count(*) filter (where status = 'measured') as measured
    from {{ ref('int_imputation__cells_as_of') }}
    group by all

)

select
    parts.as_of,
    parts.part_id,
    parts.line,
    parts.unit_id,
    parts.produced_at,
    parts.in_batch,
    coalesce(counts.measured, 0) as measured

from {{ ref('int_imputation__parts_as_of') }} as parts
left join counts using (as_of, part_id)
