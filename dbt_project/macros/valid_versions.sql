{#-
    Rows of a versioned table with the days on whose start each is the newest version known:
    valid_from <= day < valid_until. A version recorded at any time of a day, midnight included, is known
    from the next day on; of several versions of one day the last one counts.

    `valid_until` looks ahead to the next version, which is point in time as long as it is only compared
    with the day: deleting what became known since then changes no comparison.
-#}
{% macro valid_versions(relation, key, known_at='known_at') -%}
select
    *,
    cast({{ known_at }} as date) + 1 as valid_from,
    coalesce(
        cast(lead({{ known_at }}) over (partition by {{ key }} order by {{ known_at }}) as date) + 1,
        date '9999-12-31'
    ) as valid_until

from {{ relation }}
qualify valid_from < valid_until
{%- endmacro %}
