{#- One typed column per parameter. A parameter that the run was not given is null here, which the not_null
    tests refuse before any model reads it. -#}
{%- set whole = [
    'history_days', 'horizon_days', 'active_days', 'new_days', 'short_days', 'weather_days', 'climatology_days',
    'clientele_days'
] -%}
{%- set real = [
    'promo_share_min', 'promo_uplift_min', 'weekly_strength_min', 'yearly_strength_min', 'intermittent_adi', 'erratic_cv2',
    'tourist_ratio', 'residential_ratio'
] %}
select
    {%- for name in whole %}
    cast(max(value) filter (where name = '{{ name }}') as integer) as {{ name }},
    {%- endfor %}
    {%- for name in real %}
    max(value) filter (where name = '{{ name }}') as {{ name }}{{ "," if not loop.last }}
    {%- endfor %}

from {{ ref('stg_run__parameters') }}
