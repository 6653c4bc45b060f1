{#-
    Prevents scoring on a feed that stopped: everybody would be overdue at once. Judged at the newest `as_of` of the
    run, not at the clock, so that a backfill or a rerun gives the same verdict. The limits are the sources'
    `error_after`. A table without any row by then is one that the shop does not have, not a stale one.
-#}
{%- set limits = {} -%}
{%- if execute -%}
    {%- for source in graph.sources.values() if source.source_name == 'repurchase' -%}
        {%- set limit = source.freshness.error_after if source.freshness else none -%}
        {%- if limit and limit.count -%}
            {%- do limits.update({source.name: limit.count}) -%}
        {%- endif -%}
    {%- endfor -%}
{%- endif -%}

with

newest as (

    select max(as_of) as as_of from {{ ref('stg_run__as_of_dates') }}

),

last_rows as (

    select 'orders' as source, max(known_at) as known_at
    from {{ ref('stg_repurchase__orders') }} where known_at < (select as_of from newest)
    union all
    select 'order_lines', max(known_at)
    from {{ ref('stg_repurchase__order_lines') }} where known_at < (select as_of from newest)

),

limits as (

    select * from (values
        {%- for source, days in limits.items() %}
        ('{{ source }}', {{ days }}){{ "," if not loop.last }}
        {%- else %}
        (cast(null as varchar), cast(null as integer))
        {%- endfor %}
    ) as t (source, days)

)

select
    last_rows.source,
    last_rows.known_at as last_known_at,
    newest.as_of,
    limits.days as allowed_days

from last_rows
cross join newest
inner join limits using (source)
where last_rows.known_at < newest.as_of - cast(limits.days as integer)
