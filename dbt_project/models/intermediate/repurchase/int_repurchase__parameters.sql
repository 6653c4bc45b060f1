{#- One typed column per parameter. A parameter that the run was not given is null here, which the not_null
    tests refuse before any model reads it. -#}
{%- set whole = [
    'history_days', 'active_days', 'max_candidates', 'training_customers', 'settle_days'
] -%}
select
    {%- for name in whole %}
    cast(max(value) filter (where name = '{{ name }}') as integer) as {{ name }}{{ "," if not loop.last }}
    {%- endfor %}

from {{ ref('stg_run__parameters') }}
