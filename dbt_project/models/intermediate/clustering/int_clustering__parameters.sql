{#- One typed column per parameter. One that the run was not given is null here, which the not_null tests
    refuse before any model reads it. -#}
{%- set whole = ['history_days', 'least_open_days', 'least_days', 'long_closure_days'] %}
select
    {%- for name in whole %}
    cast(max(value) filter (where name = '{{ name }}') as integer) as {{ name }}{{ "," if not loop.last }}
    {%- endfor %}

from {{ ref('stg_run__parameters') }}
