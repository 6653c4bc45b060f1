{#- The days of a forecast in one list per quantity, in order, to 3 decimals. -#}
{% macro packed_quantities() -%}
    min(ds) as starts_on,
    count(*) as days,
    {%- for name in ['operational', 'strategic', 'lower_80', 'upper_80', 'lower_95', 'upper_95'] %}
    list(round({{ name }}, 3) order by horizon) as {{ name }},
    {%- endfor %}
{%- endmacro %}
