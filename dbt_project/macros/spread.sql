{#- Standard deviation of n numbers (n - 1 in the denominator) from their sum and sum of squares; null below two. -#}
{% macro spread(n, total, squares) -%}
    case when {{ n }} > 1 then
        sqrt(
            ({{ n }} * cast({{ squares }} as double) - cast({{ total }} as double) * {{ total }})
            / (cast({{ n }} as double) * ({{ n }} - 1))
        )
    end
{%- endmacro %}
