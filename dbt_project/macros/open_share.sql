{#- Share of the days that meet a condition on which a store was open; long closures are left out. -#}
{% macro open_share(condition) -%}
    round(
        count(*) filter (where not is_long_closure and is_open and {{ condition }})
        / cast(nullif(count(*) filter (where not is_long_closure and {{ condition }}), 0) as double),
        6
    )
{%- endmacro %}
