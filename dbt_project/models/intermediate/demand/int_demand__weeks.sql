-- Weeks of each series, counted back from the newest as_of, as deviations of their days from the week's mean.
-- Only ordinary days count: open, reported, without stock-out (a lower bound of the demand) and without
-- promotion (whose effect is told apart). Weeks with fewer than 5 of them are left out.
{%- set positions = range(7) %}
with

days as (

    select
        panel.series_id,
        panel.quantity_milli,
        date_diff('day', panel.ds, as_of_dates.as_of) - 1 as age_days

    from {{ ref('int_demand__panel_days') }} as panel
    cross join {{ ref('stg_run__as_of_dates') }} as as_of_dates
    where
        as_of_dates.as_of = as_of_dates.known_before
        and panel.quantity_milli is not null
        and panel.is_open
        and not panel.is_stockout
        and panel.discount is null

),

weeks as (

    select
        series_id,
        cast(age_days // 7 as integer) as week,
        count(*) as days,
        cast(sum(quantity_milli) as bigint) as quantity_milli,
        {%- for position in positions %}
        max(quantity_milli) filter (where age_days % 7 = {{ position }}) as quantity_{{ position }}{{ "," if not loop.last }}
        {%- endfor %}

    from days
    group by 1, 2
    having count(*) >= 5

)

select
    series_id,
    week,
    days,
    cast(round(quantity_milli / days) as bigint) as mean_milli,
    {%- for position in positions %}
    cast(round(quantity_{{ position }} - quantity_milli / days) as bigint) as deviation_{{ position }}{{ "," if not loop.last }}
    {%- endfor %}

from weeks
