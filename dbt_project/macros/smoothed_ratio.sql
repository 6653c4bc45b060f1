{#-
    Ratio of two counts, each raised by `pseudo_count`, capped at `cap`.

    The pseudo-count keeps 0/0 at exactly 1 ("no change"), makes the denominator positive and pulls the
    ratios of accounts with little use towards 1, where 2 logins after 1 are no news.
-#}
{% macro smoothed_ratio(numerator, denominator, pseudo_count, cap=10) -%}
    least(({{ numerator }} + {{ pseudo_count }}) / cast({{ denominator }} + {{ pseudo_count }} as double), {{ cap }})
{%- endmacro %}
