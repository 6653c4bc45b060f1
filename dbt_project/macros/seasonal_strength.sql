{#-
    Share of the variance that a season explains, 0 to 1, from sums of squares: both variances are divided by
    their degrees of freedom, so that noise has no season on average. A constant has none.
-#}
{% macro seasonal_strength(total_ss, season_ss, total_df, season_df) -%}
    case
        when {{ total_df }} <= {{ season_df }} then null
        when {{ total_ss }} = 0 then 0.0
        else greatest(
            0.0,
            1.0 - ({{ total_ss }} - {{ season_ss }}) / (({{ total_df }}) - ({{ season_df }}))
            / (cast({{ total_ss }} as double) / ({{ total_df }}))
        )
    end
{%- endmacro %}
