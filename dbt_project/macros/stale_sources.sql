{#-
    Sources of a use case that stopped: tables whose newest row known before the newest `as_of` of the run is older
    than their `error_after`. Judged at that day, not at the clock, so that a backfill or a rerun gives the same
    verdict. A table without any row by then is one that the company does not have, not a stale one.
    `known_columns`: the column that says when a row was known, by table.
-#}
{%- macro stale_sources(source_name, known_columns) -%}
{%- set limits = {} -%}
{%- if execute -%}
    {%- for source in graph.sources.values() if source.source_name == source_name -%}
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

    {%- for source, known in known_columns.items() %}
    select '{{ source }}' as source, max({{ known }}) as known_at
    from {{ ref('stg_' ~ source_name ~ '__' ~ source) }} where {{ known }} < (select as_of from newest)
    {{ "union all" if not loop.last }}
    {%- endfor %}

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
{%- endmacro -%}
