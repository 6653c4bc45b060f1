{#-
    Prevents scoring on a feed that stopped: everybody's "days since last login" would grow at once and the
    list of customer success would be noise. Judged at the newest `as_of` of the run, not at the clock, so
    that a backfill or a rerun gives the same verdict. The limits are the sources' `error_after`.
    A table without any row by then is a source the company does not have, not a stale one.
-#}
{%- set limits = {} -%}
{%- if execute -%}
    {%- for source in graph.sources.values() if source.source_name == 'churn' -%}
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

    select 'subscriptions' as source, max(known_at) as known_at
    from {{ ref('stg_churn__subscriptions') }} where known_at < (select as_of from newest)
    union all
    select 'usage_events', max(known_at)
    from {{ ref('stg_churn__usage_events') }} where known_at < (select as_of from newest)
    union all
    select 'invoices', max(known_at)
    from {{ ref('stg_churn__invoices') }} where known_at < (select as_of from newest)
    union all
    select 'support_tickets', max(known_at)
    from {{ ref('stg_churn__support_tickets') }} where known_at < (select as_of from newest)

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
