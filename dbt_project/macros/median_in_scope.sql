{# Median of a column over the accounts in scope of the same day. #}
{% macro median_in_scope(column) -%}
    median({{ column }}) filter (where in_scope) over (partition by as_of)
{%- endmacro %}
