{#-
    Prevents imputing a day from measurements that stopped coming: the parts of the day would be drawn from the model
    alone. Judged at the newest `as_of` of the run, not at the clock, so that a backfill or a rerun gives the same
    verdict. The limit is the source's `error_after`; a run whose window is longer allows its batch.
-#}
{%- set limit = namespace(days=none) -%}
{%- if execute -%}
    {%- for source in graph.sources.values() if source.source_name == 'imputation' and source.name == 'measurements' -%}
        {%- set limit.days = source.freshness.error_after.count -%}
    {%- endfor -%}
{%- endif -%}

with

newest as (

    select max(as_of) as as_of from {{ ref('stg_run__as_of_dates') }}

),

allowed as (

    select greatest({{ limit.days or 0 }}, max(value) filter (where name = 'batch_days')) as days
    from {{ ref('stg_run__parameters') }}

),

last_row as (

    select max(known_at) as known_at
    from {{ ref('stg_imputation__measurements') }} where known_at < (select as_of from newest)

)

select last_row.known_at as last_known_at, newest.as_of, allowed.days as allowed_days

from last_row
cross join newest
cross join allowed
where last_row.known_at < newest.as_of - cast(allowed.days as integer)
