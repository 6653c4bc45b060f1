{#-
    Holidays, events and closures of the days of stores, as known at each `as_of`: for the relation `store_days`
    with `as_of`, `store_id`, `region` and `ds`, flags of the days that have any. One join per scope, each on a
    key: together they would be a cross join.
-#}
{% macro store_events(store_days) -%}
select
    as_of,
    store_id,
    ds,
    bool_or(kind = 'public_holiday') as is_public_holiday,
    bool_or(kind = 'school_holiday') as is_school_holiday,
    bool_or(kind = 'local_event') as has_local_event,
    bool_or(kind = 'closure') as is_closed

from (

    {%- for join, rest in [
        ("store_days.store_id = event_days.store_id", "true"),
        ("store_days.region = event_days.region", "event_days.store_id is null"),
        ("true", "event_days.store_id is null and event_days.region is null"),
    ] %}
    select store_days.as_of, store_days.store_id, store_days.ds, event_days.kind
    from {{ store_days }} as store_days
    inner join {{ ref('int_demand__event_days') }} as event_days
        on store_days.ds = event_days.ds
        and {{ join }}
        and {{ rest }}
        and store_days.as_of >= event_days.valid_from
        and store_days.as_of < event_days.valid_until
    {% if not loop.last %}union all{% endif %}
    {%- endfor %}

)
group by 1, 2, 3
{%- endmacro %}
