{#-
    Mean level of the days that meet a condition over that of the others, from `level_ppm` (what a day sold over
    what such weekdays usually sell, in millionths); null with fewer than `parameters.least_days` days of either.
-#}
{% macro level_ratio(condition) -%}
    case
        when count(level_ppm) filter (where {{ condition }}) >= any_value(parameters.least_days)
            and count(level_ppm) filter (where not ({{ condition }})) >= any_value(parameters.least_days)
            then round(
                sum(level_ppm) filter (where {{ condition }})
                / cast(count(level_ppm) filter (where {{ condition }}) as double)
                / nullif(
                    sum(level_ppm) filter (where not ({{ condition }}))
                    / cast(count(level_ppm) filter (where not ({{ condition }})) as double),
                    0
                ),
                6
            )
    end
{%- endmacro %}
